"""What a wrong calibration does to a pose, against cameras that are changed and X-rays registered.

Scenes are rendered by the registration's own renderer, so that nothing but the camera is wrong.
"""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import log_so3
from wsreg.optimisation.levenberg_marquardt import minimise
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.projection import project
from wsreg.registration.terms.image_term import image_term
from wsreg.registration.ties import Tie, Ties
from wsreg.registration.verdict.calibration import (
    CalibrationTolerance,
    calibration_covariances,
    calibration_jacobian,
    calibration_shifts,
)
from wsreg.similarity.ncc import GlobalNcc


def changed(camera: Camera, focal: float = 0.0, column: float = 0.0, row: float = 0.0) -> Camera:
    """The camera with distance over spacing grown by a fraction, its principal point shifted."""
    return dataclasses.replace(
        camera,
        source_to_detector_mm=camera.source_to_detector_mm * (1.0 + focal),
        principal_point_px=(camera.centre_px[0] + column, camera.centre_px[1] + row),
    )


@pytest.mark.parametrize("number", [0, 1])
def test_derivatives_are_those_of_renderings(
    number: int, pair_level: Level, true_state: Tensor
) -> None:
    """Two bodies, and a view that stands elsewhere."""
    view, seen = pair_level.views[number], pair_level.project(true_state[None], derivatives=True)
    found = calibration_jacobian(pair_level, true_state, view, seen[number])[0]
    for axis, (name, step) in enumerate((("focal", 1e-3), ("column", 5e-3), ("row", 5e-3))):
        ahead, behind = (
            project(
                pair_level.bodies, changed(view.camera, **{name: sign * step}),
                view.camera_from_rig, true_state[None],
            ).image[0].double()
            for sign in (1.0, -1.0)
        )  # fmt: skip
        expected = (ahead - behind) / (2.0 * step)
        difference = (found[..., axis] - expected).abs().mean() / expected.abs().mean()
        assert float(expected.abs().max()) > 0.1
        assert float(difference) < 0.02, name


def seen_by(level: Level, camera: Camera, state: Tensor) -> Level:
    """The level's first view alone, of an image rendered by a camera that it does not know."""
    view = level.views[0]
    image = project(level.bodies, camera, view.camera_from_rig, state[None]).image[0]
    prepared = GlobalNcc().prepare(image, view.mask)
    view = dataclasses.replace(view, fixed=image, measure=prepared, roi_grid=None)
    return dataclasses.replace(level, views=(view.with_terms(image_term(prepared)),))


@pytest.mark.parametrize("change", [{"focal": 0.008}, {"column": 0.15}, {"row": -0.15}])
def test_the_pose_follows_as_predicted(
    change: dict[str, float], pair_level: Level, pair: Problem, true_state: Tensor
) -> None:
    """8 mm of distance, or 2 mm of the principal point, then registered with the old camera."""
    level = dataclasses.replace(pair_level, bodies=pair_level.bodies[:1])
    state = true_state[:1]
    camera = level.views[0].camera
    exact = seen_by(level, camera, state)
    shifts = calibration_shifts(exact, state, exact.project(state[None], derivatives=True))
    assert shifts is not None
    assert shifts.shape == (1, 6, 3)
    # The camera that took the image is the changed one: the answer's is off the other way.
    (name, amount), axes = next(iter(change.items())), ("focal", "column", "row")
    predicted = -amount * shifts[0, :, axes.index(name)]
    wrong = seen_by(level, changed(camera, **change), state)
    found = minimise(
        wrong.linearize, wrong.move, state[None],
        pair.settings.longest_step.vector(1), pair.settings.descent,
    ).states[0, 0]  # fmt: skip
    pivot = level.bodies[0].pivot_mm
    turn = log_so3(found[:3, :3] @ state[0, :3, :3].T)
    shift = (found - state[0])[:3, :3] @ pivot + (found - state[0])[:3, 3]
    actual = torch.cat((turn, shift))
    weights = torch.tensor([100.0] * 3 + [1.0] * 3, dtype=torch.float64)  # 100 mm for a radian
    assert float((weights * actual).norm()) > 0.5
    assert float((weights * (actual - predicted)).norm()) < 0.1 * float((weights * actual).norm())


def test_distance_and_spacing_add_up_and_none_is_none(
    pair_level: Level, true_state: Tensor
) -> None:
    seen = pair_level.project(true_state[None], derivatives=True)
    tolerance = CalibrationTolerance(source_to_detector_mm=10.0, pixel_spacing_fraction=0.005)
    shifts = calibration_shifts(pair_level, true_state, seen)
    assert shifts is not None
    found = calibration_covariances(pair_level, shifts, tolerance)
    assert found.shape == (3, 12, 12)
    # 10 of 1000 mm are twice 0.5 %, so four times the variance.
    torch.testing.assert_close(found[0], 4.0 * found[1])
    none = CalibrationTolerance(
        source_to_detector_mm=0.0, pixel_spacing_fraction=0.0, principal_point_mm=0.0
    )
    exact = calibration_covariances(pair_level, shifts, none)
    assert exact is not None
    assert not exact.any()


def test_depth_follows_the_distance(pair_level: Level, true_state: Tensor) -> None:
    """At depth z a distance of 1 % more moves the answer by about 1 % of z."""
    level = dataclasses.replace(pair_level, bodies=pair_level.bodies[:1])
    state = true_state[:1]
    level = seen_by(level, level.views[0].camera, state)
    shifts = calibration_shifts(level, state, level.project(state[None], derivatives=True))
    assert shifts is not None
    depth_mm = float((state[0, :3, :3] @ level.bodies[0].pivot_mm + state[0, :3, 3])[2])
    assert float(shifts[0, 5, 0]) == pytest.approx(depth_mm, rel=0.15)


def test_bodies_that_are_tied_follow_the_calibration_together(
    pair_level: Level, true_state: Tensor
) -> None:
    stiff = Ties(
        ties=(None, Tie(rotation_rad=1e-5, shift_mm=1e-3)),
        pivots_mm=torch.stack([body.pivot_mm for body in pair_level.bodies]),
        residuals=100.0,
    )
    seen = pair_level.project(true_state[None], derivatives=True)
    tied, loose = (
        calibration_shifts(dataclasses.replace(pair_level, ties=ties), true_state, seen)
        for ties in (stiff, None)
    )
    assert tied is not None
    assert loose is not None
    turns = [shifts[0, 6:9, 0] - shifts[0, :3, 0] for shifts in (tied, loose)]
    assert float(turns[0].norm()) < 0.02 * float(turns[1].norm())


def test_without_a_model_there_is_no_answer(pair_level: Level, true_state: Tensor) -> None:
    class Plain:
        def loss(self, moving: Tensor) -> Tensor:
            return moving.mean(dim=(1, 2))

        similarity = loss

    views = (dataclasses.replace(pair_level.views[0], measure=Plain()), pair_level.views[1])
    level = dataclasses.replace(pair_level, views=views)
    seen = pair_level.project(true_state[None], derivatives=True)
    assert calibration_shifts(level, true_state, seen) is None


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_tolerance_is_a_length(value: float) -> None:
    with pytest.raises(InputError, match="calibration tolerances must be at least 0"):
        CalibrationTolerance(principal_point_mm=value)
