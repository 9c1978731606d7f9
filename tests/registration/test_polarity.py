"""Polarity that nothing but the CT tells, and polarity that was taken for sure and is wrong."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.geometry.rigid import perturb
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.polarity import with_polarity_settled
from wsreg.registration.problem import Problem
from wsreg.registration.register import register
from wsreg.volumes.volume import Volume


def with_readings(problem: Problem, *inverted: bool) -> Problem:
    """Each view's X-ray with an opposite reading; ``inverted`` ones are read the wrong way."""
    views = []
    for view, wrong in zip(problem.views, inverted, strict=True):
        image = view.radiograph.image
        right = Radiograph(image=image, mask=view.radiograph.mask, opposite_polarity=-image)
        turned = dataclasses.replace(right, image=-image, opposite_polarity=image)
        views.append(dataclasses.replace(view, radiograph=turned if wrong else right, rois=None))
    return dataclasses.replace(problem, views=tuple(views))


@pytest.mark.parametrize("inverted", [(False, True), (True, False)])
def test_the_polarity_of_each_view_is_settled_by_the_ct(
    pair: Problem, inverted: tuple[bool, bool]
) -> None:
    settled, text = with_polarity_settled(with_readings(pair, *inverted))
    for view, original in zip(settled.views, pair.views, strict=True):
        assert torch.equal(view.radiograph.image, original.radiograph.image)
        assert view.radiograph.opposite_polarity is None
    names = [view.radiograph.name for view in pair.views]
    parts = [
        f"{name}: {'opposite' if one else 'as read'}, which fits the CT better"
        for name, one in zip(names, inverted, strict=True)
    ]
    assert text == "; ".join(parts)


def test_what_is_known_is_left_as_read(pair: Problem) -> None:
    settled, text = with_polarity_settled(pair)
    assert settled is pair
    assert text == "as read"


def test_what_the_image_told_clearly_is_left_as_read(pair: Problem) -> None:
    problem = with_readings(pair, False, True)
    views = tuple(
        dataclasses.replace(
            view, radiograph=dataclasses.replace(view.radiograph, polarity_sure=True)
        )
        for view in problem.views
    )
    settled, text = with_polarity_settled(dataclasses.replace(problem, views=views))
    assert settled.views == views
    assert text == "as read"


def test_a_polarity_that_was_wrongly_sure_is_turned_round_where_nothing_fits(
    phantom: Volume, radiograph: Radiograph, truth: Tensor, quick: RegistrationConfig
) -> None:
    image = radiograph.image
    wrong = dataclasses.replace(
        radiograph, image=image.max() - image, opposite_polarity=image, polarity_sure=True
    )
    beside = torch.tensor([0.03, -0.02, 0.03, 4.0, -4.0, 10.0], dtype=torch.float64)
    start = perturb(truth, beside, phantom.centre_mm)
    found = register(wrong, phantom, init=start, bodies=None, config=quick)
    assert float(mtre_3d_mm(phantom.corners_mm, found.camera_from_ct, truth)) < 1.0
    assert found.config["polarity"] == "opposite, where nothing fitted as read"
    told = "The CT settled the polarity (opposite, where nothing fitted as read); --intensity says"
    assert any(reason.startswith(told) for reason in found.verdict.reasons)
    right = register(
        dataclasses.replace(wrong, image=image, opposite_polarity=image.max() - image),
        phantom, init=start, bodies=None, config=quick,
    )  # fmt: skip
    assert right.config["polarity"] == "as read"
