"""All that is known of a state, from one projection of it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.registration import conclusion, projection
from wsreg.registration.clock import Clock
from wsreg.registration.conclusion import conclude
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.readings import Reading
from wsreg.registration.strategy import Answer
from wsreg.registration.terms.image_term import ImageTerm
from wsreg.registration.verdict import at_state
from wsreg.registration.verdict.contradiction import MoveAlone
from wsreg.registration.verdict.evaluation import evaluate
from wsreg.rendering.render import render, render_with_jacobian


class Counted:
    """How often a body was rendered: ``images`` without, ``jacobians`` with derivatives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = self.jacobians = 0

        def counted_image(*args: object, **kwargs: object) -> Tensor:
            self.images += 1
            return render(*args, **kwargs)  # type: ignore[arg-type]

        def counted_jacobian(*args: object, **kwargs: object) -> tuple[Tensor, Tensor]:
            self.jacobians += 1
            return render_with_jacobian(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(projection, "render", counted_image)
        monkeypatch.setattr(projection, "render_with_jacobian", counted_jacobian)


IMAGES_OF_A_STATE = 2 * 2 + 2
"""Two bodies in two views, and the regions of two bodies in one of them."""


def test_all_is_read_from_one_projection(
    pair_level: Level, pair: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    found = evaluate(pair_level, pair.start, derivatives=True)
    assert (counted.images, counted.jacobians) == (0, IMAGES_OF_A_STATE)
    assert found.similarity < 1.0
    assert found.loss > 0.0
    assert max(found.gradient_agreements) < 1.0
    assert min(found.overlaps) > 0.0
    assert found.roi_dice()
    assert found.model() is not None
    assert found.image_model() is not None
    assert (counted.images, counted.jacobians) == (0, IMAGES_OF_A_STATE)


def test_a_conclusion_renders_start_and_answer_once(
    pair_level: Level, pair: Problem, true_state: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    still = MoveAlone(distance_mm=0.0, deviation_mm=0.1)
    monkeypatch.setattr(at_state, "moves_alone", lambda *_: [still, still])
    monkeypatch.setattr(conclusion, "fitted_distances", lambda *_: None)
    reading = Reading(problem=pair, levels=[pair_level])
    answer = Answer(
        reading=reading, state=true_state, iterations=3, renders=4, rivals=pair.start[None][:0],
        starts=2,
    )  # fmt: skip
    result = conclude(answer, Clock(), "as read")
    outlines = 4  # the bodies, or the regions of them, on each image's own grid
    beside = 2 * 2  # all poses beside the answer at once, of two bodies in two views
    assert (counted.images, counted.jacobians) == (
        IMAGES_OF_A_STATE + outlines + beside, IMAGES_OF_A_STATE,
    )  # fmt: skip
    assert torch.equal(result.camera_from_ct, true_state[0])
    assert result.similarity_start < 0.95
    # The CT's level averages its voxels once more than what made the X-rays.
    assert result.similarity_end > 0.98
    assert torch.equal(result.comparison.fixed, pair_level.views[0].fixed)


def test_an_answer_that_is_worse_than_the_start_is_not_kept(
    pair_level: Level, pair: Problem, true_state: Tensor
) -> None:
    problem = dataclasses.replace(pair, start=true_state)
    answer = Answer(
        reading=Reading(problem=problem, levels=[pair_level]), state=pair.start, iterations=0,
        renders=0, rivals=pair.start[None][:0], starts=0,
    )  # fmt: skip
    result = conclude(answer, Clock(), "as read")
    assert torch.equal(result.camera_from_ct, true_state[0])
    assert result.similarity_start == pytest.approx(result.similarity_end, abs=1e-4)


def test_each_view_has_its_numbers_and_the_least_similar_one_counts(
    pair_level: Level, pair: Problem, true_state: Tensor
) -> None:
    """The second view looks past a part of the CT and shows something else."""
    first, second = pair_level.views
    noise = torch.rand(second.fixed.shape, generator=torch.Generator().manual_seed(0))
    bad = dataclasses.replace(second, fixed=noise, measure=pair.settings.levels[0].measure.prepare(
        noise, second.mask))  # fmt: skip
    bad = bad.with_terms(ImageTerm(measure=bad.measure))
    one, other, both = (
        evaluate(dataclasses.replace(pair_level, views=views), true_state, derivatives=True)
        for views in ((first,), (bad,), (first, bad))
    )
    assert one.similarity > 0.95
    assert both.similarity == other.similarity < 0.5
    assert both.similarities == (*one.similarities, *other.similarities)
    assert both.gradient_agreements == (*one.gradient_agreements, *other.gradient_agreements)
    assert other.gradient_agreements[0] < 0.9 < one.gradient_agreements[0]
    assert both.overlaps == (*one.overlaps, *other.overlaps)
    assert both.loss == pytest.approx(one.loss + other.loss)
    assert both.roi_dice() == one.roi_dice()
    # A mean over views, so that it is of one image's residuals.
    models = [found.image_model() for found in (one, other, both)]
    gradients = [model.gradient for model in models if model is not None]
    torch.testing.assert_close(gradients[2], 0.5 * (gradients[0] + gradients[1]))


def test_each_number_is_what_its_name_says(
    pair_level: Level, pair: Problem, true_state: Tensor
) -> None:
    level = dataclasses.replace(pair_level, views=pair_level.views[:1])
    view = level.views[0]
    found = evaluate(level, pair.start, derivatives=True)
    (seen,) = level.project(pair.start[None], derivatives=True)
    assert found.similarity == pytest.approx(float(view.measure.similarity(seen.image)))
    assert found.overlaps[0] == pytest.approx(float((seen.image > 0).float().mean()))
    with torch.no_grad():
        assert found.loss == pytest.approx(float(level.loss(pair.start[None])), rel=1e-5)
    assert set(found.roi_dice()) == {"pelvis", "femurs"}
    assert evaluate(level, true_state, derivatives=False).roi_dice() == pytest.approx(
        {"pelvis": 1.0, "femurs": 1.0}, abs=0.02
    )
    # The image's model is of the image alone, the whole model is with the regions.
    whole, image = found.model(), found.image_model()
    assert whole is not None
    assert image is not None
    torch.testing.assert_close(whole.gradient, level.linearize(pair.start[None]).gradient[0])
    assert float(image.value) < float(whole.value)


def test_only_valid_pixels_are_covered(pair_level: Level, true_state: Tensor) -> None:
    (seen, _) = pair_level.project(true_state[None])
    bright = seen.image[0] > 0
    for mask, expected in ((bright, 1.0), (~bright, 0.0), (torch.zeros_like(bright), 0.0)):
        view = dataclasses.replace(pair_level.views[0], mask=mask)
        level = dataclasses.replace(pair_level, views=(view,))
        assert evaluate(level, true_state, derivatives=False).overlaps == (expected,)
