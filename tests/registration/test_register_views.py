"""Several X-rays: right ones agree, wrong rigs and other poses are named, frames do not matter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rig import Rig, RigView
from wsreg.geometry.rigid import exp_so3, perturb, rigid, transform_points, twist_between
from wsreg.optimisation.adam import AdamConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.rendering.prepared import PreparedCt
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.volume import Volume

HERE = torch.eye(4, dtype=torch.float64)
OTHER_CAMERA = Camera(
    source_to_detector_mm=1100.0, rows=90, columns=72, pixel_spacing_mm=(4.0, 4.4)
)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """The phantom at its true pose, and how X-rays of it are made and registered."""

    ct: PreparedCt
    camera: Camera
    truth: Tensor
    start: Tensor
    config: RegistrationConfig

    def turned(self, degrees: float) -> Tensor:
        """[4,4] a camera so far around the patient from the first."""
        centre = transform_points(self.truth, self.ct.volume.centre_mm[None])[0]
        turn = exp_so3(step(0.0, math.radians(degrees), 0.0))
        return rigid(turn, centre - turn @ centre)

    def xray(self, pose: Tensor, name: str, camera: Camera | None = None) -> Radiograph:
        """With noise; a seed for each name."""
        camera = camera or self.camera
        image = project_attenuation(self.ct.volume, camera, pose)
        generator = torch.Generator().manual_seed(ord(name[0]))
        image = image + 0.02 * torch.randn(image.shape, generator=generator)
        mask = torch.ones_like(image, dtype=torch.bool)
        return Radiograph(image=image, mask=mask, camera=camera, name=name)

    def found(
        self, xrays: Sequence[Radiograph], rig: Rig | Sequence[Tensor] | None
    ) -> RegistrationResult:
        return register(xrays, self.ct, init=self.start, bodies=None, rig=rig, config=self.config)

    def error(self, result: RegistrationResult) -> Tensor:
        """[6] between the pose found and the true one."""
        return twist_between(self.truth, result.camera_from_ct, self.ct.volume.centre_mm)


@pytest.fixture(name="case", scope="module")
def _case(phantom: Volume, camera: Camera, truth: Tensor, quick: RegistrationConfig) -> Case:
    start = perturb(truth, step(0.06, 0.05, -0.05, 6.0, -6.0, 20.0), phantom.centre_mm)
    return Case(
        ct=PreparedCt(volume=phantom), camera=camera, truth=truth, start=start, config=quick
    )


@pytest.fixture(name="side", scope="module")
def _side(case: Case) -> Tensor:
    return case.turned(70.0)


@pytest.fixture(name="xrays", scope="module")
def _xrays(case: Case, side: Tensor) -> list[Radiograph]:
    return [case.xray(case.truth, "ap"), case.xray(side @ case.truth, "lateral")]


@pytest.fixture(name="both", scope="module")
def _both(case: Case, xrays: list[Radiograph], side: Tensor) -> RegistrationResult:
    return case.found(xrays, [HERE, side])


def test_two_right_views_pass_and_know_the_depth(
    case: Case, both: RegistrationResult, side: Tensor
) -> None:
    assert both.verdict.status == "pass", both.verdict
    assert both.verdict.reasons[-1].startswith("No view contradicts the others by more than 0.")
    error = case.error(both).abs()
    assert float(error[:3].max()) < 2e-3
    assert float(error[3:].max()) < 0.2  # along the rays, too
    assert [view.name for view in both.views] == ["ap", "lateral"]
    torch.testing.assert_close(both.pose_in_view(1), side @ both.camera_from_ct)
    assert float(both.standard_deviation[5]) < 2.0


def test_the_frame_of_the_rig_may_lie_anywhere(
    case: Case, xrays: list[Radiograph], both: RegistrationResult, side: Tensor
) -> None:
    frame = rigid(exp_so3(step(0.5, -1.0, 0.7)), step(100.0, -200.0, 3000.0))
    rig = Rig(
        views=(
            RigView(name="one", camera_from_rig=frame),
            RigView(
                name="two", camera=OTHER_CAMERA.resized(112, 128), camera_from_rig=side @ frame
            ),
        )
    )
    moved = case.found(xrays, [frame, side @ frame])
    torch.testing.assert_close(moved.camera_from_ct, both.camera_from_ct, atol=1e-6, rtol=0)
    torch.testing.assert_close(moved.standard_deviation, both.standard_deviation, atol=0, rtol=1e-6)
    assert moved.verdict == both.verdict
    # A rig's own camera stands before that of the X-ray.
    assert case.found(xrays, rig).views[1].camera == OTHER_CAMERA.resized(112, 128)


def test_the_order_of_the_views_decides_only_about_the_axes(
    case: Case, xrays: list[Radiograph], both: RegistrationResult, side: Tensor
) -> None:
    start = dataclasses.replace(case, start=side @ case.start)
    turned = start.found(xrays[::-1], [side, HERE])
    apart = twist_between(
        side @ both.camera_from_ct, turned.camera_from_ct, case.ct.volume.centre_mm
    ).abs()
    assert float(apart[:3].max()) < 1e-3
    assert float(apart[3:].max()) < 0.1


def test_one_view_in_a_rig_is_the_plain_registration(case: Case, xrays: list[Radiograph]) -> None:
    frame = rigid(exp_so3(step(0.5, -1.0, 0.7)), step(100.0, -200.0, 300.0))
    plain = register(xrays[0], case.ct, init=case.start, bodies=None, config=case.config)
    for rig in (None, [frame]):
        found = case.found(xrays[:1], rig)
        assert torch.equal(found.camera_from_ct, plain.camera_from_ct)
        assert torch.equal(found.standard_deviation, plain.standard_deviation)
        assert found.verdict == plain.verdict
        assert found.renders == plain.renders


@pytest.mark.parametrize("nudge_mm", [(8.0, 0.0, 0.0), (0.0, 8.0, 0.0), (0.0, 0.0, 8.0)])
def test_a_camera_that_stands_elsewhere_is_named(
    case: Case, xrays: list[Radiograph], side: Tensor, nudge_mm: tuple[float, ...]
) -> None:
    """Up or down the body it cannot be made up for; elsewhere one view's depth takes it, nearly."""
    wrong = side.clone()
    wrong[:3, 3] += step(*nudge_mm)
    found = case.found(xrays, [HERE, wrong])
    assert found.verdict.status == ("fail" if nudge_mm[1] else "check"), found.verdict
    said = "contradicts the others: alone it lies "
    (reason,) = (reason for reason in found.verdict.reasons if said in reason)
    assert reason.startswith(("View ap", "View lateral"))
    evidence = found.config["evidence"]
    assert evidence["contradicting"] in ("ap", "lateral")
    if nudge_mm[1]:
        assert 7.0 < evidence["contradiction_mm"] < 9.0
        assert found.verdict.reasons[-1] == (
            "Alone each X-ray fits the CT, but 8 mm apart: the rig does not hold, or the patient "
            "has moved between them."
        )


def test_adams_answer_is_held_against_each_view_too(
    case: Case, xrays: list[Radiograph], side: Tensor
) -> None:
    config = dataclasses.replace(
        case.config, method="adam", levels=case.config.levels[1:2], adam=AdamConfig(steps=100)
    )
    near = perturb(case.truth, step(0.01, 0.0, -0.01, 1.0, -1.0, 3.0), case.ct.volume.centre_mm)
    adam = dataclasses.replace(case, config=config, start=near)
    right = adam.found(xrays, [HERE, side])
    assert right.verdict.status == "pass", right.verdict
    assert right.config["evidence"]["contradicting"] in ("ap", "lateral")
    wrong = side.clone()
    wrong[1, 3] += 8.0
    found = adam.found(xrays, [HERE, wrong])
    assert found.verdict.status == "fail"
    assert "contradicts the others" in found.verdict.reasons[0]


def test_an_xray_of_another_pose_fails_and_is_named(
    case: Case, xrays: list[Radiograph], side: Tensor
) -> None:
    moved = perturb(case.truth, step(0.1, 0.1, 0.0, 20.0, 0.0, 0.0), case.ct.volume.centre_mm)
    found = case.found([xrays[0], case.xray(side @ moved, "later")], [HERE, side])
    assert found.verdict.status == "fail"
    assert any(
        reason.startswith(("View ap contradicts", "View later contradicts"))
        for reason in found.verdict.reasons
    )
    alone = "Alone each X-ray fits the CT, but "
    assert any(reason.startswith(alone) for reason in found.verdict.reasons)


def test_an_xray_of_something_else_is_told_from_the_one_that_fits(
    case: Case, xrays: list[Radiograph], side: Tensor
) -> None:
    noise = torch.randn(1, 1, 116, 132, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]
    other = dataclasses.replace(xrays[1], image=image, name="noise")
    found = case.found([xrays[0], other], [HERE, side])
    assert found.verdict.status == "fail"
    assert any(reason.startswith("View noise: ") for reason in found.verdict.reasons)
    assert found.verdict.reasons[-1] == "Alone ap fits the CT, and noise does not."


@pytest.mark.parametrize("degrees", [0.0, 3.0, 180.0])
def test_two_xrays_from_one_direction_know_the_depth_no_better(
    case: Case, xrays: list[Radiograph], degrees: float
) -> None:
    """From opposite sides neither: a view from behind is the same image, mirrored."""
    beside = case.turned(degrees)
    one = case.found(xrays[:1], None)
    found = case.found([xrays[0], case.xray(beside @ case.truth, "beside")], [HERE, beside])
    assert found.config["evidence"]["parallel"]
    assert found.verdict.status == "pass", found.verdict
    assert any(reason.startswith("The depth is known to ") for reason in found.verdict.reasons)
    if degrees < 90.0:
        ratio = found.standard_deviation[5] / one.standard_deviation[5]
        assert 0.6 < float(ratio) < 0.8  # one over the root of two: two calibrations, no new view


@pytest.mark.parametrize("init", ["pose", "search"])
def test_xrays_may_differ_in_size_polarity_and_mask(
    case: Case, xrays: list[Radiograph], side: Tensor, init: str
) -> None:
    second = case.xray(side @ case.truth, "lateral", OTHER_CAMERA)
    image, mask = second.image.clone(), second.mask.clone()
    image[:, :20], mask[:, :20] = 9.0, False  # bright rubbish under the mask
    inverted = dataclasses.replace(second, image=-image, opposite_polarity=image, mask=mask)
    found = register(
        [xrays[0], inverted], case.ct, init=case.start if init == "pose" else "search",
        bodies=None, rig=[HERE, side], config=case.config,
    )  # fmt: skip
    assert found.verdict.status == "pass", found.verdict
    assert found.config["polarity"] == "lateral: opposite, which fits the CT better"
    error = case.error(found).abs()
    assert float(error[:3].max()) < 3e-3
    assert float(error[3:].max()) < 0.3
    assert [tuple(view.comparison.fixed.shape) for view in found.views] == [(112, 128), (90, 72)]
    assert float(found.views[1].comparison.fixed.max()) > 0.0
    assert found.views[1].camera == OTHER_CAMERA


def test_what_does_not_belong_together_is_refused(
    case: Case, xrays: list[Radiograph], side: Tensor
) -> None:
    def refused(said: str, radiographs: Sequence[Radiograph], **asked: object) -> None:
        with pytest.raises(InputError, match=said):
            register(radiographs, case.ct, init=case.start, **asked)  # type: ignore[arg-type]

    refused("^radiographs must be at least one X-ray, got none$", [])
    refused("^rig must tell how the cameras of 2 X-rays stand to each other; without one,", xrays)
    refused("^rig must have one view for each X-ray, got 1 for 2$", xrays, rig=[HERE])
    refused("got 2 for 1", xrays[:1], rig=[HERE, side])
    both = [HERE, side]
    refused("^camera must be one for each X-ray, got 1 for 2", xrays, rig=both, camera=[None])
    refused("^rois must be one for each X-ray, got 3 for 2", xrays, rig=both, rois=[None] * 3)
    stretched = side.clone()
    stretched[:3, :3] *= 1.1
    refused("camera_from_rig", xrays, rig=[HERE, stretched])
    bare = [dataclasses.replace(one, camera=None) for one in xrays]
    refused("^camera must be given for a radiograph without geometry", bare, rig=both)
    spoilt = dataclasses.replace(xrays[1], image=torch.full_like(xrays[1].image, torch.nan))
    refused("^radiograph lateral must be finite where its mask", [xrays[0], spoilt], rig=both)


def test_one_camera_stands_for_all_xrays(
    case: Case, xrays: list[Radiograph], both: RegistrationResult, side: Tensor
) -> None:
    bare = [dataclasses.replace(one, camera=None) for one in xrays]
    for camera in (case.camera, [case.camera, case.camera]):
        found = register(
            bare, case.ct, camera, case.start, bodies=None, rig=[HERE, side], config=case.config
        )
        assert torch.equal(found.camera_from_ct, both.camera_from_ct)
