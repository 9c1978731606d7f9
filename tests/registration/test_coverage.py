"""Pixels whose rays leave a CT through a cut face do not count."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration import solver
from wsreg.registration.asked import asked_views
from wsreg.registration.bodies import Body
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.coverage import covered, covered_pixels
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading
from wsreg.registration.register import register
from wsreg.registration.views import View
from wsreg.rendering.prepared import PreparedCt
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.parts import CtPart
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(
    source_to_detector_mm=1000.0, rows=112, columns=96, pixel_spacing_mm=(3.0, 3.0)
)  # fmt: skip
STEP = torch.tensor([0.06, -0.05, 0.04, 8.0, -6.0, 10.0], dtype=torch.float64)
KEPT_FROM = 18
"""The slice from which on the CT is kept: 38 of 56 slices, cut 38 mm below its middle."""


@pytest.fixture(name="cut", scope="module")
def _cut(uneven: Volume) -> Volume:
    """The lower third cut off; what is left lies where it was."""
    assert uneven.labels is not None
    ct_from_voxel = uneven.ct_from_voxel.clone()
    ct_from_voxel[2, 3] += KEPT_FROM * 4.0
    return dataclasses.replace(
        uneven, hu=uneven.hu[KEPT_FROM:], labels=uneven.labels[KEPT_FROM:],
        ct_from_voxel=ct_from_voxel,
    )  # fmt: skip


def truth_of(uneven: Volume, view: str = "PA") -> Tensor:
    return perturb(view_pose(uneven, CAMERA, view), STEP, uneven.centre_mm)


def exposed(uneven: Volume, view: str = "PA") -> Radiograph:
    image = project_attenuation(uneven, CAMERA, truth_of(uneven, view))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return Radiograph(
        image=image + 0.003 * noise, mask=torch.ones_like(image, dtype=torch.bool), camera=CAMERA
    )


def affine_shift(slices: float) -> Tensor:
    affine = torch.eye(4, dtype=torch.float64)
    affine[2, 3] = slices
    return affine


def problem_of(
    volume: Volume, uneven: Volume, config: RegistrationConfig, body: Body | None = None
) -> Problem:
    return Problem(
        views=asked_views([exposed(uneven)], None, None, None),
        bodies=(body or Body(name="ct", pivot_mm=volume.centre_mm),),
        ct=PreparedCt(volume=volume),
        start=truth_of(uneven)[None],
        init="pose",
        view="PA",
        settings=config,
        backend="numba",
    )


def reading_of(problem: Problem) -> Reading:
    return Reading(problem=problem, levels=make_levels(problem))


def test_rays_through_the_cut_face_are_left_out(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    """Head up, so the lower rows, as far as the body is wide; from where the face projects on.

    The face lies at z = -40 mm, 686 mm or more from the source: 57 mm or more below the middle on
    the detector.
    """
    pose = view_pose(uneven, CAMERA, "PA")
    view = problem_of(cut, uneven, brisk).views[0]
    found = covered_pixels(problem_of(cut, uneven, brisk), view, pose)
    assert found is not None
    assert found.shape == (112, 96)
    assert bool(found[:72].all())  # 55.5 + 40 * 1000 / 762 / 3 = 73 for what lies furthest away
    assert not bool(found[82:98, 40:56].any())
    assert bool(found[:, :6].all())  # air beside the body
    assert bool(found[:, -6:].all())
    first = [int((~found[:, column]).nonzero()[0]) for column in (40, 48, 56)]
    assert all(72 <= row <= 80 for row in first)
    upside_down = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)) @ pose
    turned = covered_pixels(problem_of(cut, uneven, brisk), view, upside_down)
    assert turned is not None
    assert float((turned == found.flip(0, 1)).float().mean()) > 0.98


def test_what_is_spared_at_a_cut_end_is_left_out_too(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    """As if the CT ended there: 40 mm more, which are 52 on the detector in the body's middle."""
    pose = view_pose(uneven, CAMERA, "PA")
    problem = problem_of(cut, uneven, brisk)
    (view,) = problem.views
    found = covered_pixels(problem, view, pose, 40.0)
    assert found is not None
    shorter = dataclasses.replace(
        cut, hu=cut.hu[10:], labels=None,
        ct_from_voxel=cut.ct_from_voxel @ affine_shift(10.0),
    )  # fmt: skip
    ended = covered_pixels(problem_of(shorter, uneven, brisk), view, pose)
    plain = covered_pixels(problem, view, pose)
    assert ended is not None
    assert plain is not None
    assert float((found == ended).float().mean()) > 0.95
    assert float((found == plain).float().mean()) < 0.9
    reading = reading_of(problem)
    left = covered(reading, pose[None], spared_mm=40.0).problem.views[0].covered
    assert left is not None
    assert torch.equal(left, found)


def test_a_ct_that_shows_all_of_the_body_covers_all(
    uneven: Volume, brisk: RegistrationConfig
) -> None:
    reading = reading_of(problem_of(uneven, uneven, brisk))
    assert covered_pixels(reading.problem, reading.problem.views[0], truth_of(uneven)) is None
    assert covered(reading, truth_of(uneven)[None]) is reading


def test_where_next_to_nothing_is_covered_nothing_is_left_out(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    """A twentieth of what is valid: here a strip of the image, of which the rest is masked."""
    problem = problem_of(cut, uneven, brisk)
    (view,) = problem.views
    pose = truth_of(uneven)
    plain = covered_pixels(problem, view, pose)
    assert plain is not None
    beyond = (~plain).nonzero()
    for kept, left_out in ((2, False), (20, True)):
        mask = ~plain
        some = plain.nonzero()[: round(kept / 100 * len(beyond))]
        mask[some[:, 0], some[:, 1]] = True
        one = dataclasses.replace(view, radiograph=dataclasses.replace(view.radiograph, mask=mask))
        found = covered_pixels(problem, one, pose)
        assert (found is not None) == left_out
    one = dataclasses.replace(view, radiograph=dataclasses.replace(view.radiograph, mask=plain))
    assert covered_pixels(problem, one, pose) is None  # all of what is valid is covered


def test_the_same_ct_may_be_registered_with_other_levels(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    """Voxels of 9 mm that are made of finer ones are as many more as are needed to hold those."""
    ct, masks, shapes = PreparedCt(volume=cut), [], set()
    for finer_mm in ((), (7.0, 5.0), (6.5,)):
        levels = [dataclasses.replace(brisk.levels[-1], voxel_mm=mm) for mm in (9.0, *finer_mm)]
        config = dataclasses.replace(brisk, levels=tuple(levels))
        problem = dataclasses.replace(problem_of(cut, uneven, config), ct=ct)
        shapes.add(ct.levels(problem.voxel_sizes_mm)[0].volume.hu.shape)
        found = covered_pixels(problem, problem.views[0], truth_of(uneven))
        assert found is not None
        masks.append(found)
    assert len(shapes) > 1
    assert all(float((one == masks[0]).float().mean()) > 0.97 for one in masks)


def test_levels_are_made_anew_where_coverage_changes(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    reading = dataclasses.replace(reading_of(problem_of(cut, uneven, brisk)), mirrored=True)
    state = truth_of(uneven)[None]
    found = covered(reading, state)
    assert found is not reading
    assert found.mirrored
    (view,), (before,) = found.problem.views, reading.problem.views
    expected = covered_pixels(reading.problem, before, state[0])
    assert expected is not None
    assert view.covered is not None
    assert torch.equal(view.covered, expected)
    assert view.coverage == pytest.approx(float(expected.float().mean()))
    assert 0.5 < view.coverage < 0.9
    for small, whole in zip(found.levels, reading.levels, strict=True):
        assert bool(whole.views[0].mask.all())
        assert float(small.views[0].mask.float().mean()) == pytest.approx(view.coverage, abs=0.06)
    assert covered(found, state) is found  # nothing has changed since
    near = state.clone()
    near[0, 0, 3] += 0.2
    assert covered(found, near) is found
    far = state.clone()
    far[0, 1, 3] -= 60.0
    assert covered(found, far) is not found
    away = state.clone()
    away[0, 1, 3] += 500.0
    again = covered(found, away)
    assert again.problem.views[0].covered is None  # nothing would be left: the whole image counts


def test_one_view_of_several_may_be_the_one_that_is_cut(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    """The second camera stands 100 mm higher, where the CT does not end."""
    problem = problem_of(cut, uneven, brisk)
    up = torch.eye(4, dtype=torch.float64)
    up[1, 3] = 200.0
    second = dataclasses.replace(problem.views[0], camera_from_rig=up)
    both = dataclasses.replace(problem, views=(problem.views[0], second))
    found = covered(reading_of(both), truth_of(uneven)[None])
    assert found.problem.views[0].covered is not None
    assert found.problem.views[1].covered is None
    assert found.problem.views[1].coverage == 1.0


def test_a_bone_alone_is_not_cut_off(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    part = CtPart(kind="alone", groups=((2,),))
    body = Body(name="ct", part=part, labels=(2,), pivot_mm=cut.centre_mm)
    reading = reading_of(problem_of(cut, uneven, brisk, body))
    assert covered(reading, truth_of(uneven)[None]) is reading


@pytest.mark.parametrize("view", ["PA", "LAT"])
def test_from_the_truth_a_cut_ct_stays_there_and_its_share_is_named(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig, view: str
) -> None:
    truth = truth_of(uneven, view)
    config = dataclasses.replace(brisk, probes=0)
    found = register(exposed(uneven, view), cut, init=truth, config=config)
    # A single view of a smooth body hardly tells how deep it lies.
    assert float(mpd_mm(cut.corners_mm, found.camera_from_ct, truth, CAMERA)) < 1.0
    assert float(mtre_3d_mm(cut.corners_mm, found.camera_from_ct, truth)) < 1.5
    (evidence,) = found.config["evidence"]["views"]
    assert 0.5 < evidence["coverage"] < 0.9
    share = f"{evidence['coverage']:.0%} of the image, which alone counts."
    assert f"The CT is cut off and covers {share}" in found.verdict.reasons
    assert float(found.comparison.mask.float().mean()) == pytest.approx(
        evidence["coverage"], abs=0.02
    )
    whole = register(exposed(uneven, view), uneven, init=truth, config=config)
    assert "cut off" not in " ".join(whole.verdict.reasons)
    assert whole.config["evidence"]["views"][0]["coverage"] == 1.0


def test_without_the_rule_the_cut_ct_would_move(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("solver", "strategy"):
        monkeypatch.setattr(
            f"wsreg.registration.{module}.covered", lambda reading, state, **named: reading
        )
    truth = truth_of(uneven)
    found = register(
        exposed(uneven), cut, init=truth, config=dataclasses.replace(brisk, probes=0)
    )  # fmt: skip
    assert float(mtre_3d_mm(cut.corners_mm, found.camera_from_ct, truth)) > 3.0


def test_where_the_ct_fills_the_image_what_lies_far_from_its_end_leads_on(
    cut: Volume, uneven: Volume, brisk: RegistrationConfig
) -> None:
    """Started 40 mm off, the cut CT moves until it fills the image, and covers all of it there."""
    reading = reading_of(problem_of(cut, uneven, brisk))
    aside = torch.tensor([0.0, 0.0, 0.0, 0.0, 40.0, 0.0], dtype=torch.float64)
    start = perturb(truth_of(uneven), aside, uneven.centre_mm)
    begun = solver._descended_coarse(reading, start[None, None], led=False)
    found = {
        beyond: solver._by_what_is_covered(begun, led=False, beyond=beyond)
        for beyond in (False, True)
    }
    nearest_mm = {
        beyond: min(
            float(mtre_3d_mm(cut.corners_mm, state[0], truth_of(uneven))) for state in one.states
        )
        for beyond, one in found.items()
    }
    assert nearest_mm[False] > 50.0
    assert nearest_mm[True] < 4.0
    assert found[True].lowest < 0.5 * found[False].lowest
    assert found[True].renders > found[False].renders > begun.renders


def test_a_cut_ct_is_found_by_a_search(cut: Volume, uneven: Volume) -> None:
    """The view that shows more of what tells its sides apart."""
    found = register(exposed(uneven, "LAT"), cut, view="LAT")
    truth = truth_of(uneven, "LAT")
    assert float(mtre_3d_mm(cut.corners_mm, found.camera_from_ct, truth)) < 2.0
    assert found.views[0].orientation == "none"


def test_what_is_usable_of_a_view_is_valid_and_covered() -> None:
    image = torch.zeros(4, 5)
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[0] = False
    camera = Camera(
        source_to_detector_mm=1000.0, rows=4, columns=5, pixel_spacing_mm=(1.0, 1.0)
    )  # fmt: skip
    view = View(
        radiograph=Radiograph(image=image, mask=mask),
        camera=camera,
        camera_from_rig=torch.eye(4, dtype=torch.float64),
    )
    assert view.usable is view.radiograph
    assert view.coverage == 1.0
    part = torch.ones(4, 5, dtype=torch.bool)
    part[:, 3:] = False
    view = dataclasses.replace(view, covered=part)
    assert view.usable.mask.sum(dim=1).tolist() == [0, 3, 3, 3]
    assert view.coverage == pytest.approx(9 / 15)
    nothing = dataclasses.replace(
        view, radiograph=dataclasses.replace(view.radiograph, mask=torch.zeros_like(mask))
    )
    assert nothing.coverage == 0.0
