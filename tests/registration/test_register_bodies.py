"""Bones that have moved against each other between CT and X-ray, found one by one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb, rigid, transform_points, twist_between
from wsreg.optimisation.adam import AdamConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.rendering.prepared import PreparedCt
from wsreg.similarity.ncc import MultiscaleNcc
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.bodies import parts_of_bodies
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

HEADS_MM = {"left-femur": (84.0, 5.0, -98.0), "right-femur": (-79.8, 5.0, -103.0)}
"""Middles of the phantom's femoral heads, as it is made."""
TURNS_RAD = {"left-femur": (0.12, 0.05, -0.1), "right-femur": (-0.1, -0.03, 0.08)}
STAYS_RAD = dict.fromkeys(HEADS_MM, (0.0, 0.0, 0.0))
SIGHT = (0.05, -0.06, 0.04, 5.0, -40.0, 30.0)
"""Where the pelvis lies: low in the CT, so the patient is moved up for the femurs to be seen."""


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(name="ct", scope="module")
def _ct(phantom: Volume) -> PreparedCt:
    return PreparedCt(volume=phantom)


@pytest.fixture(name="config", scope="module")
def _config(quick: RegistrationConfig) -> RegistrationConfig:
    """As the levels by default, bodies come apart after the first."""
    together = dataclasses.replace(quick.levels[0], apart=False)
    return dataclasses.replace(quick, levels=(together, *quick.levels[1:]), probes=0)


def poses_of(pelvis: Tensor, turns_rad: Mapping[str, tuple[float, ...]]) -> dict[str, Tensor]:
    """The true pose of each body: femurs turned about their heads, tissue as the pelvis."""
    turned = {
        name: perturb(pelvis, step(*turn, 0.0, 0.0, 0.0), step(*HEADS_MM[name]))
        for name, turn in turns_rad.items()
    }
    return {"pelvis": pelvis, **turned, "rest": pelvis}


def xray(ct: PreparedCt, camera: Camera, poses: Mapping[str, Tensor], seed: int = 0) -> Radiograph:
    """Of each part of the CT at its own pose, on the CT's own grid, with noise."""
    parts = parts_of_bodies(ct.volume, "pelvis")
    images = [
        project_attenuation(ct.levels((None,), part)[0].volume, camera, poses[name])
        for name, part in parts.items()
    ]
    image = torch.stack(images).sum(dim=0)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(image, dtype=torch.bool)
    return Radiograph(image=image + 0.01 * noise, mask=mask, camera=camera, name=f"xray-{seed}")


def off(result: RegistrationResult, name: str, true_pose: Tensor) -> Tensor:
    """[6] a body's pose against the true one."""
    body = result.bodies[name]
    return twist_between(true_pose, body.camera_from_ct, body.pivot_mm).abs()


def moved(result: RegistrationResult, name: str) -> Tensor:
    """[6] a body against the pelvis."""
    body = result.bodies[name]
    return twist_between(result.camera_from_ct, body.camera_from_ct, body.pivot_mm).abs()


@pytest.fixture(name="pelvis", scope="module")
def _pelvis(phantom: Volume, camera: Camera) -> Tensor:
    return perturb(view_pose(phantom, camera), step(*SIGHT), phantom.centre_mm)


@pytest.fixture(name="start", scope="module")
def _start(phantom: Volume, pelvis: Tensor) -> Tensor:
    return perturb(pelvis, step(0.05, 0.04, -0.05, 6.0, -5.0, 12.0), phantom.centre_mm)


@pytest.fixture(name="image", scope="module")
def _image(ct: PreparedCt, camera: Camera, pelvis: Tensor) -> Radiograph:
    return xray(ct, camera, poses_of(pelvis, TURNS_RAD))


@pytest.fixture(name="found", scope="module")
def _found(
    image: Radiograph, ct: PreparedCt, start: Tensor, config: RegistrationConfig
) -> RegistrationResult:
    return register(image, ct, init=start, config=config)


def test_every_bone_is_found(found: RegistrationResult, pelvis: Tensor) -> None:
    """The labels have TotalSegmentator's names, which is why bones are bodies."""
    assert list(found.bodies) == ["pelvis", "left-femur", "right-femur", "rest"]
    assert torch.equal(found.camera_from_ct, found.bodies["pelvis"].camera_from_ct)
    assert found.verdict is found.bodies["pelvis"].verdict
    assert found.verdict.status == "pass", found.verdict
    true_poses = poses_of(pelvis, TURNS_RAD)
    error = off(found, "pelvis", true_poses["pelvis"])
    assert float(error[:3].max()) < 3e-3
    assert float(error[3:5].max()) < 0.25
    assert float(error[5]) < 2.0
    for name, turn in TURNS_RAD.items():
        assert float(off(found, name, true_poses[name])[:3].max()) < 0.02
        assert float(off(found, name, true_poses[name])[3:5].max()) < 0.4
        body = found.bodies[name]
        torch.testing.assert_close(body.pivot_mm, step(*HEADS_MM[name]), atol=0.3, rtol=0)
        assert body.verdict.status == "pass", body.verdict
        (reason,) = body.verdict.reasons
        degrees = math.degrees(float(step(*turn).norm()))
        assert abs(float(reason.split()[3]) - degrees) < 1.0
        assert reason.endswith("mm against the pelvis since the CT.")
        assert body.shown > 0.9  # its end is that of the CT, where pixels do not count
        assert float(body.standard_deviation[:3].max()) < math.radians(4.0)
    assert float(off(found, "rest", pelvis)[:3].max()) < 5e-3
    assert float(off(found, "rest", pelvis)[3:].max()) < 2.0
    assert found.bodies["left-femur"].labels == (9,)
    assert found.bodies["rest"].labels == ()
    assert found.comparison.roi_names == ("pelvis", "left-femur", "right-femur")


def test_as_one_body_they_would_not_fit(
    found: RegistrationResult, image: Radiograph, ct: PreparedCt, start: Tensor,
    config: RegistrationConfig,
) -> None:  # fmt: skip
    one = register(image, ct, init=start, bodies=None, config=config)
    assert list(one.bodies) == ["ct"]
    assert one.similarity_end < found.similarity_end - 0.004


def test_bodies_by_name_are_those_of_the_preset(
    found: RegistrationResult, image: Radiograph, ct: PreparedCt, start: Tensor,
    config: RegistrationConfig,
) -> None:  # fmt: skip
    vertebrae = [name for name in ct.volume.label_names.values() if name.startswith("vertebrae")]
    bodies: dict[str, Any] = {
        "pelvis": ("hip_left", "hip_right", "sacrum", *vertebrae),
        "left-femur": "femur_left",
        "right-femur": (15,),
    }
    named = register(image, ct, init=start, bodies=bodies, config=config)
    for name, body in found.bodies.items():
        assert torch.equal(named.bodies[name].camera_from_ct, body.camera_from_ct)
        assert named.bodies[name].verdict == body.verdict


def test_two_views_know_the_depth_of_every_bone(
    image: Radiograph, ct: PreparedCt, camera: Camera, pelvis: Tensor, start: Tensor,
    config: RegistrationConfig,
) -> None:  # fmt: skip
    true_poses = poses_of(pelvis, TURNS_RAD)
    centre = transform_points(pelvis, ct.volume.centre_mm[None])[0]
    turn = exp_so3(step(0.0, math.radians(50.0), 0.0))
    side = rigid(turn, centre - turn @ centre)
    second = xray(ct, camera, {name: side @ pose for name, pose in true_poses.items()}, seed=1)
    both = register(
        [image, second], ct, init=start, rig=[torch.eye(4, dtype=torch.float64), side],
        config=config,
    )  # fmt: skip
    assert both.verdict.status == "pass", both.verdict
    for name in ("pelvis", *TURNS_RAD):
        error = off(both, name, true_poses[name])
        assert float(error[:3].max()) < (3e-3 if name == "pelvis" else 0.015)
        assert float(error[3:].max()) < 0.4  # along the rays, too
    torch.testing.assert_close(
        both.pose_in_view(1, "left-femur"), side @ both.bodies["left-femur"].camera_from_ct
    )


def test_a_body_out_of_view_stays_with_its_parent(
    ct: PreparedCt, camera: Camera, pelvis: Tensor, start: Tensor, config: RegistrationConfig
) -> None:
    """The X-ray ends above the femurs."""
    image = xray(ct, camera, poses_of(pelvis, STAYS_RAD))
    mask = torch.ones_like(image.mask)
    heads = camera.project(transform_points(pelvis, step(*HEADS_MM["left-femur"])[None]))[0, 1]
    mask[int(heads) - 16 :] = False
    found = register(dataclasses.replace(image, mask=mask), ct, init=start, config=config)
    assert found.verdict.status == "pass", found.verdict
    assert float(off(found, "pelvis", pelvis)[:3].max()) < 5e-3
    for name in HEADS_MM:
        body = found.bodies[name]
        assert body.shown < 0.05
        assert float(moved(found, name)[:3].max()) < math.radians(0.2)
        assert float(moved(found, name)[3:].max()) < 0.05
        assert body.verdict.status == "check"
        (reason,) = body.verdict.reasons
        assert reason == f"The X-ray shows {body.shown:.0%} of it: it stays with the pelvis."


def test_femurs_exchanged_left_for_right_are_named(
    image: Radiograph, ct: PreparedCt, start: Tensor, config: RegistrationConfig
) -> None:
    names = dict(ct.volume.label_names)
    names[9], names[15] = names[15], names[9]
    wrong = dataclasses.replace(ct.volume, label_names=names)
    found = register(image, wrong, init=start, config=config)
    assert found.verdict.status == "check"
    assert found.verdict.reasons[0] == (
        "The labels of left-femur and right-femur look exchanged: the left one lies on the "
        "patient's right."
    )
    assert found.bodies["left-femur"].labels == (15,)
    for name in HEADS_MM:
        assert found.bodies[name].verdict.status == "check"
        assert found.bodies[name].verdict.reasons[0] == (
            "It is no better known than the pelvis, which is check."
        )


def test_a_joint_that_is_given_is_the_pivot(
    image: Radiograph, ct: PreparedCt, start: Tensor, config: RegistrationConfig
) -> None:
    config = dataclasses.replace(config, levels=config.levels[:2])
    given = step(86.0, 4.0, -97.0)
    found = register(image, ct, init=start, joints_mm={"left-femur": given}, config=config)
    assert torch.equal(found.bodies["left-femur"].pivot_mm, given)
    assert float(moved(found, "left-femur")[3:].max()) < 1.5


def test_adam_moves_bodies_where_they_are_asked_for(
    image: Radiograph, ct: PreparedCt, pelvis: Tensor, camera: Camera
) -> None:
    """By itself it moves the CT as one, as the paper does."""
    level = LevelConfig(image_px=64, voxel_mm=6.0, measure=MultiscaleNcc(windows_px=(7,)))
    config = RegistrationConfig(method="adam", levels=(level,), adam=AdamConfig(steps=60))
    near = perturb(pelvis, step(0.01, 0.0, -0.01, 2.0, -1.0, 3.0), ct.volume.centre_mm)
    assert list(register(image, ct, init=near, config=config).bodies) == ["ct"]
    bodies = {"pelvis": (7, 8, 14), "left-femur": (9,)}
    found = register(image, ct, init=near, bodies=bodies, config=config)
    assert list(found.bodies) == ["pelvis", "left-femur", "rest"]
    true_pose = poses_of(pelvis, TURNS_RAD)["left-femur"]
    before = twist_between(true_pose, near, step(*HEADS_MM["left-femur"])).abs()
    assert float(off(found, "left-femur", true_pose)[2]) < 0.6 * float(before[2])
    assert found.similarity_end > found.similarity_start
