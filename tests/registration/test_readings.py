"""The two ways to read an X-ray, poses that show nearly the same, and how an answer lies."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb, rigid, transform_points
from wsreg.geometry.views import pose_towards
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading, near_matches, readings_of, seen_from

FAR = Camera(
    source_to_detector_mm=1e7, rows=200, columns=300, pixel_spacing_mm=(1.0, 1.0),
    principal_point_px=(100.0, 90.0),
)  # fmt: skip
PIVOT = torch.tensor([7.0, -20.0, 33.0], dtype=torch.float64)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(name="half", scope="module")
def _half() -> Tensor:
    """Points [40,3] of one side of a body whose left is like its right, about the pivot."""
    points = torch.rand(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return PIVOT + 80.0 * (points - 0.5)


@pytest.fixture(name="body", scope="module")
def _body(half: Tensor) -> Tensor:
    """Points [80,3], in pairs that are mirrored at the plane x = 7 through the pivot."""
    return torch.cat((half, half * step(-1.0, 1.0, 1.0) + step(14.0, 0.0, 0.0)))


@pytest.fixture(name="pose", scope="module")
def _pose() -> Tensor:
    pose = pose_towards(PIVOT, FAR, "PA")
    return perturb(pose, step(0.3, -0.2, 0.4, 25.0, -11.0, 0.0), PIVOT)


def seen(points: Tensor, pose: Tensor) -> Tensor:
    """Pixels [N,2] in an order that does not depend on the points'."""
    pixels = FAR.project(transform_points(pose, points))
    return pixels[(1e3 * pixels[:, 0].round(decimals=2) + pixels[:, 1]).argsort()]


def flipped(pixels: Tensor) -> Tensor:
    """The same with columns in reverse order, of a camera with its centre as far from there."""
    there = torch.stack((200.0 - pixels[:, 0], pixels[:, 1]), dim=-1)
    return there[(1e3 * there[:, 0].round(decimals=2) + there[:, 1]).argsort()]


def test_a_far_source_shows_the_same_at_near_matches(body: Tensor, pose: Tensor) -> None:
    """Within a hundredth of a pixel; the principal point is at column 100, and mirrored as well."""
    same, other = near_matches(pose[None], PIVOT)
    assert (same.shape, other.shape) == ((1, 1, 4, 4), (2, 1, 4, 4))
    plain = seen(body, pose)
    torch.testing.assert_close(seen(body, same[0, 0]), plain, atol=1e-2, rtol=0)
    for one in other[:, 0]:
        torch.testing.assert_close(seen(body, one), flipped(plain), atol=1e-2, rtol=0)
    depths = [
        float((at @ torch.cat((PIVOT, step(1.0))))[2]) for at in (pose, same[0, 0], *other[:, 0])
    ]
    assert depths == pytest.approx([depths[0]] * 4)


def test_any_body_is_seen_mirrored_from_the_opposite_side(half: Tensor, pose: Tensor) -> None:
    """The first of the other reading needs no likeness of left and right; the second does."""
    same, other = near_matches(pose[None], PIVOT)
    plain = seen(half, pose)
    torch.testing.assert_close(seen(half, other[0, 0]), flipped(plain), atol=1e-2, rtol=0)
    assert float((seen(half, other[1, 0]) - flipped(plain)).abs().max()) > 5.0
    assert float((seen(half, same[0, 0]) - plain).abs().max()) > 5.0


def test_near_matches_are_rigid_and_no_two_are_the_same(pose: Tensor) -> None:
    same, other = near_matches(pose[None], PIVOT)
    poses = torch.cat((pose[None], same[:, 0], other[:, 0]))
    for one in poses:
        rotation = one[:3, :3]
        torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))
        assert float(torch.linalg.det(rotation)) == pytest.approx(1.0)
        assert one[3].tolist() == [0.0, 0.0, 0.0, 1.0]
    # From the opposite side: the patient's axes, told along the ray, are the other way round.
    along = poses[:, 2, :3] @ poses[0, 2, :3]
    assert [float(one) > 0 for one in along] == [True, False, False, True]


TURNS = ("none", "quarter turn", "half turn", "quarter turn")


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("opposite", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("view", ["PA", "LAT"])
def test_how_an_answer_lies_against_the_view(
    quarters: int, opposite: bool, mirrored: bool, view: str
) -> None:
    """Up to 40 degrees beside a quarter turn; the opposite view is head up as well."""
    start = pose_towards(PIVOT, FAR, view)
    shown = {"PA": "AP", "LAT": "RLAT"}[view] if opposite else view
    upright = pose_towards(PIVOT, FAR, shown)
    for beside_deg in (-40.0, 0.0, 40.0):
        roll = exp_so3(step(0.0, 0.0, math.radians(90.0 * quarters + beside_deg)))
        answer = rigid(roll @ upright[:3, :3], step(50.0, 60.0, 700.0))
        found = seen_from(start, answer, mirrored=mirrored)
        turn = TURNS[quarters]
        if mirrored:
            assert found.orientation == ("mirrored" if turn == "none" else f"mirrored, {turn}")
        else:
            assert found.orientation == turn
        assert found.opposite == opposite


def test_an_answer_that_is_a_little_off_the_view_is_not_turned() -> None:
    start = pose_towards(PIVOT, FAR, "AP")
    found = seen_from(start, perturb(start, step(0.5, -0.5, 0.5, 9, 9, 9), PIVOT), mirrored=False)
    assert (found.orientation, found.opposite) == ("none", False)


def one_view(problem: Problem) -> Problem:
    return dataclasses.replace(problem, views=problem.views[:1])


def test_a_single_xray_is_read_in_two_ways(pair: Problem) -> None:
    covered = torch.zeros(28, 32, dtype=torch.bool)
    covered[:, :8] = True
    camera = dataclasses.replace(pair.views[0].camera, principal_point_px=(10.0, 14.0))
    view = dataclasses.replace(pair.views[0], camera=camera, covered=covered)
    problem = dataclasses.replace(pair, views=(view,))
    levels = make_levels(problem)
    first, second = readings_of(problem, levels)
    assert (first.problem, first.levels, first.mirrored) == (problem, levels, False)
    assert second.mirrored
    there = second.problem.views[0]
    assert torch.equal(there.radiograph.image, view.radiograph.image.flip(-1))
    assert there.camera.principal_point_px == (21.0, 14.0)
    assert view.rois is not None
    assert there.rois is not None
    assert torch.equal(there.rois.masks, view.rois.masks.flip(-1))
    assert (there.rois.names, there.rois.labels) == (view.rois.names, view.rois.labels)
    assert there.covered is not None
    assert there.covered[0].tolist() == [False] * 24 + [True] * 8
    assert len(second.levels) == len(levels)
    torch.testing.assert_close(second.levels[0].views[0].fixed, levels[0].views[0].fixed.flip(-1))
    assert torch.equal(second.levels[0].views[0].mask, levels[0].views[0].mask.flip(-1))


def test_the_mirrored_reading_starts_from_the_same_view(pair: Problem) -> None:
    """Turned as the start is, with the pivot as far to the other side."""
    _, mirrored = readings_of(one_view(pair), make_levels(one_view(pair)))
    pivot = pair.bodies[0].pivot_mm[None]
    assert mirrored.problem.start.shape == pair.start.shape
    for before, after in zip(pair.start, mirrored.problem.start, strict=True):
        torch.testing.assert_close(after[:3, :3], before[:3, :3])
        x, y, z = transform_points(before, pivot)[0].tolist()
        assert transform_points(after, pivot)[0].tolist() == pytest.approx([-x, y, z])


def test_several_xrays_are_read_as_they_came(pair: Problem) -> None:
    (only,) = readings_of(pair, make_levels(pair))
    assert only.problem is pair
    assert not only.mirrored


def test_mirrored_images_may_be_left_out(pair: Problem) -> None:
    search = dataclasses.replace(pair.settings.search, mirrored=False)
    settings = dataclasses.replace(pair.settings, search=search)
    problem = dataclasses.replace(one_view(pair), settings=settings)
    assert len(readings_of(problem, make_levels(problem))) == 1


def test_a_reading_has_levels_that_regions_lead_and_those_of_the_image(pair: Problem) -> None:
    reading = Reading(problem=pair, levels=make_levels(pair))
    assert reading.ways(led=True) is reading.levels
    (plain,) = reading.ways(led=False)
    assert all(view.roi_term is None for view in plain.views)
    assert reading.levels[0].views[0].roi_term is not None
    assert reading.ways(led=False) is reading.plain
