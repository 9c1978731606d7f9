from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, overload

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.evaluation.distances import mpd_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import exp_so3, perturb, rigid, transform_points
from wsreg.radiographs.mirror import mirrored_radiograph
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.sequence.register_sequence import register_sequence
from wsreg.registration.sequence.result import SequenceResult
from wsreg.registration.sequence.step import Step
from wsreg.rendering.prepared import PreparedCt, prepare
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.volume import Volume


class SomeUnreadable(Sequence[Radiograph]):
    """Frames of which some cannot be read."""

    def __init__(self, frames: Sequence[Radiograph], bad: Sequence[int]) -> None:
        self.frames, self.bad = frames, bad

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, number: int) -> Radiograph: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Radiograph]: ...
    def __getitem__(self, number: int | slice) -> Any:
        if number in self.bad:
            raise InputError("the file is torn")
        return self.frames[number]


@pytest.fixture(name="ct", scope="module")
def _ct(torso: Volume) -> PreparedCt:
    return prepare(torso)


@pytest.fixture(name="start", scope="module")
def _start(torso: Volume, truth: Tensor) -> Tensor:
    step = torch.tensor([0.05, 0.03, -0.04, 5.0, -4.0, 10.0], dtype=torch.float64)
    return perturb(truth, step, torso.centre_mm)


def errors_mm(
    result: SequenceResult, volume: Volume, truth: Sequence[Tensor], camera: Camera
) -> list[float]:
    """Projected errors of the first body in the frames that it has a pose in."""
    found = result.poses(next(iter(result.bodies)))
    return [
        float(mpd_mm(volume.corners_mm, pose, true, camera))
        for pose, true in zip(found, truth, strict=True)
        if pose is not None
    ]


def test_every_frame_is_answered_or_named(
    film: list[Radiograph],
    noise: Radiograph,
    ct: PreparedCt,
    start: Tensor,
    true_poses: list[Tensor],
    camera: Camera,
    brisk: RegistrationConfig,
) -> None:
    frames = SomeUnreadable([film[0], noise, *film[2:]], [3])
    told: list[tuple[int, int]] = []
    result = register_sequence(
        frames, ct, init=start, bodies=None, config=brisk,
        progress=lambda stage, done, total: told.append((done, total)),
    )  # fmt: skip
    ways = [frame.found_by for frame in result.frames]
    assert ways == ["start", "none", "tracked", "none", "tracked", "tracked"]
    assert [frame.verdict.status for frame in result.frames].count("fail") == 2
    assert result.frames[1].verdict.reasons == ("The frame is blank: it holds noise alone.",)
    assert result.frames[3].verdict.reasons == ("The frame cannot be read: the file is torn.",)
    assert result.frames[1].bodies["ct"].camera_from_ct is None
    found = errors_mm(result, ct.volume, true_poses, camera)
    assert len(found) == 4
    assert max(found) < 0.5
    assert told[-1] == (6, 6)
    assert [frame.name for frame in result.frames][::5] == ["frame-0", "frame-5"]


def test_bodies_move_by_themselves(
    torso: Volume, camera: Camera, brisk: RegistrationConfig, truth: Tensor
) -> None:
    ct = prepare(torso, bodies="pelvis")
    frames = [
        Radiograph(image=render(torso, camera, truth)[0, 0], camera=camera, name=f"f{number}")
        for number in range(2)
    ]
    result = register_sequence(frames, ct, init=truth, bodies="pelvis", config=brisk)
    assert list(result.bodies) == ["pelvis", "left-femur", "right-femur", "rest"]
    assert result.frames[1].found_by == "tracked"
    for body in result.frames[1].bodies.values():
        assert body.camera_from_ct is not None
        assert body.camera_from_ct.shape == (4, 4)


def test_a_run_that_goes_on_makes_no_attempt_twice_and_ends_the_same(
    film: list[Radiograph], ct: PreparedCt, start: Tensor, brisk: RegistrationConfig
) -> None:
    made: list[Step] = []
    whole = register_sequence(
        film[:4], ct, init=start, bodies=None, config=brisk, on_step=made.append
    )
    assert [step.frame for step in made] == [0, 1, 2, 3]
    again: list[Step] = []
    kept = [Step.from_record(step.to_record()) for step in made[:2]]
    rest = register_sequence(
        film[:4], ct, init=start, bodies=None, config=brisk, steps=kept, on_step=again.append
    )
    assert [step.frame for step in again] == [2, 3]
    for one, other in zip(whole.poses("ct"), rest.poses("ct"), strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


def test_what_jumps_is_found_by_a_search(
    film: list[Radiograph],
    ct: PreparedCt,
    truth: Tensor,
    camera: Camera,
    brisk: RegistrationConfig,
) -> None:
    away = torch.tensor([0.1, -0.1, 0.1, 30.0, -25.0, 20.0], dtype=torch.float64)
    there = perturb(truth, away, ct.volume.centre_mm)
    image = render(ct.volume, camera, there)[0, 0]
    jumped = [Radiograph(image=image, camera=camera, name=f"jumped-{n}") for n in range(2)]
    result = register_sequence([film[0], *jumped], ct, init=truth, bodies=None, config=brisk)
    found = errors_mm(result, ct.volume, [truth, there, there], camera)
    assert len(found) == 3
    assert max(found) < 0.5


def test_an_image_that_is_mirrored_stays_mirrored(
    film: list[Radiograph], ct: PreparedCt, brisk: RegistrationConfig
) -> None:
    frames = [mirrored_radiograph(one) for one in film[:2]]
    result = register_sequence(frames, ct, view="PA", bodies=None, config=brisk)
    assert [frame.mirrored for frame in result.frames] == [True, True]
    assert result.frames[1].found_by == "tracked"
    assert result.frames[1].verdict.status == "check"
    assert "left and right exchanged" in " ".join(result.frames[1].verdict.reasons)


def test_polarity_is_told_frame_by_frame(
    film: list[Radiograph],
    ct: PreparedCt,
    start: Tensor,
    true_poses: list[Tensor],
    camera: Camera,
    brisk: RegistrationConfig,
) -> None:
    second = dataclasses.replace(
        film[1], image=4.0 - film[1].image, opposite_polarity=film[1].image
    )
    result = register_sequence([film[0], second], ct, init=start, bodies=None, config=brisk)
    assert max(errors_mm(result, ct.volume, true_poses[:2], camera)) < 0.5


def test_two_views_of_every_frame(
    torso: Volume,
    ct: PreparedCt,
    camera: Camera,
    start: Tensor,
    true_poses: list[Tensor],
    film: list[Radiograph],
    brisk: RegistrationConfig,
) -> None:
    middle = true_poses[0][:3, :3] @ torso.centre_mm + true_poses[0][:3, 3]
    turn = exp_so3(torch.tensor([0.0, 1.2, 0.0], dtype=torch.float64))
    second = rigid(turn, middle - turn @ middle)
    frames = []
    for one, pose in zip(film[:2], true_poses, strict=False):
        image = render(torso, camera, second @ pose)[0, 0]
        frames.append((one, Radiograph(image=image, camera=camera, name="lateral")))
    rig = [torch.eye(4, dtype=torch.float64), second]
    result = register_sequence(frames, ct, init=start, rig=rig, bodies=None, config=brisk)
    assert result.frames[1].found_by == "tracked"
    found = result.frames[1].bodies["ct"].camera_from_ct
    assert found is not None
    apart_mm = transform_points(found, torso.corners_mm) - transform_points(
        true_poses[1], torso.corners_mm
    )
    assert float(apart_mm.norm(dim=-1).mean()) < 1.0


def test_regions_of_some_frames(
    film: list[Radiograph],
    ct: PreparedCt,
    start: Tensor,
    true_poses: list[Tensor],
    camera: Camera,
    brisk: RegistrationConfig,
) -> None:
    label = ct.volume.label_values[0]
    masks = rendered_rois(ct.volume, camera, true_poses[1], [(label,)])[0]
    other = masks.flip(-1).flip(-2)
    rois = RoiTarget(names=("one",), masks=other, labels=((label,),))
    result = register_sequence(
        film[:3], ct, init=start, bodies=None, config=brisk, rois=[None, rois, None]
    )
    assert "Region one contradicts the image." in result.frames[1].verdict.reasons
    assert not any("egion" in text for text in result.frames[2].verdict.reasons)
    assert max(errors_mm(result, ct.volume, true_poses[:3], camera)) < 0.5


def test_what_cannot_be_a_sequence_is_refused(
    film: list[Radiograph], ct: PreparedCt, start: Tensor, brisk: RegistrationConfig
) -> None:
    def refused(frames: Any, words: str, **more: Any) -> None:
        asked = {"init": start, "bodies": None, "config": brisk, **more}
        with pytest.raises(InputError, match=words):
            register_sequence(frames, ct, **asked)

    refused([], "frames must be at least one X-ray, got none")
    refused(film[0], "frames must be a list of X-rays, got Radiograph")
    refused(["a.png"], "wsreg.read_radiograph reads one")
    small = Radiograph(image=film[0].image[:64, :64], name="small")
    refused([film[0], small], r"one size, the first has 112 x 128 pixels and frame 1 \(small\) 64")
    camera = film[0].camera
    assert camera is not None
    other = dataclasses.replace(camera, source_to_detector_mm=900.0)
    refused([film[0], dataclasses.replace(film[1], camera=other)], "frames must be of one camera")
    turned = [
        dataclasses.replace(one, angles=CArmAngles(primary_rad=angle, secondary_rad=0.0))
        for one, angle in zip(film[:2], (0.0, 0.1), strict=True)
    ]
    refused(turned, "stands still")
    refused(SomeUnreadable(film, range(6)), "one that can be read: the file is torn")
    refused(film[:2], "rois must be one for each frame, got 1 for 2 frames", rois=[None])
    adam = dataclasses.replace(brisk, method="adam")
    refused(film[:2], "method must be gauss-newton", config=adam)


def test_a_frame_that_fails_is_not_said_to_be_at_its_start(
    film: list[Radiograph], ct: PreparedCt, start: Tensor, brisk: RegistrationConfig
) -> None:
    """It was followed there, by the frame before it: a part of the image shows, turned over."""
    blocked = dataclasses.replace(film[1], image=film[1].image.flip(0))
    result = register_sequence([film[0], blocked], ct, init=start, bodies=None, config=brisk)
    verdict = result.frames[1].verdict
    assert verdict.status == "fail"
    assert "this is the best start" not in str(verdict)
