"""The phantom, one X-ray of it, and a problem of two views and two bodies."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, perturb, rigid
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration import solver
from wsreg.registration.bodies import Body
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading
from wsreg.registration.starts.config import SearchConfig
from wsreg.registration.views import View
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.ncc import MultiscaleNcc
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.parts import CtPart
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

PELVIS, FEMURS = (7, 8, 14), (9, 15)
"""Labels of the phantom: sacrum and hips, and both femurs."""


def alone(labels: tuple[int, ...]) -> CtPart:
    return CtPart(kind="alone", groups=(labels,))


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(name="phantom", scope="session")
def _phantom() -> Volume:
    return analytic_phantom()


@pytest.fixture(name="coarse", scope="session")
def _coarse(phantom: Volume) -> Volume:
    """The phantom on voxels of 8 mm."""
    return resample_isotropic(phantom, 8.0)


@pytest.fixture(name="camera", scope="session")
def _camera() -> Camera:
    """Of X-rays of 112 x 128 pixels."""
    return Camera(source_to_detector_mm=1000.0, rows=112, columns=128, pixel_spacing_mm=(3.0, 3.0))


@pytest.fixture(name="uneven", scope="session")
def _uneven() -> Volume:
    """A body that ends within its CT, on voxels of 4 mm, unlike itself from any other side.

    Labels 1 and 2 are the two densest of its parts.
    """
    parts = (  # middle and half axes (mm), HU, label
        ((0, 0, 0), (84, 62, 98), 0, 0),
        ((4, 40, 5), (10, 9, 72), 500, 0),
        ((-46, 8, -36), (12, 14, 26), 900, 1),
        ((40, -12, -30), (20, 8, 10), 700, 2),
        ((-20, -26, 40), (24, 8, 9), 600, 0),
        ((36, 14, 34), (8, 10, 24), 800, 0),
        ((14, -34, 4), (7, 12, 18), 700, 0),
        ((-30, 4, 62), (14, 18, 10), -800, 0),
        ((26, -6, -64), (10, 20, 8), -700, 0),
        ((52, 6, -4), (6, 14, 8), 900, 0),
    )
    z, y, x = torch.meshgrid(
        *(4.0 * (torch.arange(n) - (n - 1) / 2) for n in (56, 40, 48)), indexing="ij"
    )
    hu, labels = torch.full(z.shape, -1000.0), torch.zeros(z.shape, dtype=torch.uint8)
    for (cx, cy, cz), (ax, ay, az), value, label in parts:
        inside = ((x - cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2 <= 1
        hu[inside] = value
        labels[inside] = label
    ct_from_voxel = torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0], dtype=torch.float64))
    ct_from_voxel[:3, 3] = step(-94.0, -78.0, -110.0)
    names = {1: "left part", 2: "right part"}
    return Volume(
        hu=hu.to(torch.int16), ct_from_voxel=ct_from_voxel, labels=labels, label_names=names
    )


@pytest.fixture(name="torso", scope="session")
def _torso(phantom: Volume) -> Volume:
    """The phantom on voxels of 4 mm; it is cut off at both ends."""
    return resample_isotropic(phantom, 4.0)


@pytest.fixture(name="brisk", scope="session")
def _brisk(quick: RegistrationConfig) -> RegistrationConfig:
    """Settings for X-rays of CTs with voxels of 4 mm."""
    search = SearchConfig(poses=64, refined=8, kept=3, rotation_deg=12.0, shift_mm=40.0)
    first, second, third = (dataclasses.replace(level, apart=True) for level in quick.levels)
    third = dataclasses.replace(third, voxel_mm=None)
    return dataclasses.replace(quick, levels=(first, second, third), search=search)


@pytest.fixture(name="small_camera", scope="session")
def _small_camera() -> Camera:
    """Of X-rays of 28 x 32 pixels."""
    return Camera(source_to_detector_mm=1000.0, rows=28, columns=32, pixel_spacing_mm=(12.0, 12.0))


@pytest.fixture(name="quick", scope="session")
def _quick() -> RegistrationConfig:
    """Settings for X-rays of 128 pixels."""
    return RegistrationConfig(
        levels=(
            LevelConfig(image_px=32, voxel_mm=8.0, measure=MultiscaleNcc(windows_px=(5,))),
            LevelConfig(image_px=64, voxel_mm=4.0, measure=MultiscaleNcc(windows_px=(7,))),
            LevelConfig(image_px=128, voxel_mm=3.0, measure=MultiscaleNcc(windows_px=(5,))),
        ),
        probes=2,
        search=SearchConfig(poses=128, refined=12, kept=3, rotation_deg=12.0, shift_mm=40.0),
    )


@pytest.fixture(name="truth", scope="session")
def _truth(phantom: Volume, camera: Camera) -> Tensor:
    turn = step(0.1, -0.12, 0.08, 10.0, -15.0, 40.0)
    return perturb(view_pose(phantom, camera), turn, phantom.centre_mm)


@pytest.fixture(name="radiograph", scope="session")
def _radiograph(phantom: Volume, camera: Camera, truth: Tensor) -> Radiograph:
    """By the simulator's projector on the finest grid, with noise."""
    image = project_attenuation(phantom, camera, truth)
    generator = torch.Generator().manual_seed(0)
    image = image + 0.01 * torch.randn(image.shape, generator=generator)
    return Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool), camera=camera)


@pytest.fixture(name="second_from_rig", scope="session")
def _second_from_rig(coarse: Volume, small_camera: Camera) -> Tensor:
    """A camera 70 degrees around the patient from one that stands at the rig's origin."""
    centre = view_pose(coarse, small_camera)[:3, :3] @ coarse.centre_mm + step(0.0, 0.0, 700.0)
    turn = exp_so3(step(0.0, math.radians(70.0), 0.0))
    return rigid(turn, centre - turn @ centre)


@pytest.fixture(name="bodies", scope="session")
def _bodies(coarse: Volume) -> tuple[Body, ...]:
    """The pelvis, and the femurs with a pivot between their heads."""
    return (
        Body(name="pelvis", part=alone(PELVIS), labels=PELVIS, pivot_mm=coarse.centre_mm),
        Body(name="femurs", part=alone(FEMURS), labels=FEMURS, pivot_mm=step(0.0, 5.0, -98.0)),
    )


@pytest.fixture(name="true_state", scope="session")
def _true_state(coarse: Volume, small_camera: Camera, bodies: tuple[Body, ...]) -> Tensor:
    """[2,4,4]: the femurs are a little turned against the pelvis."""
    pelvis = perturb(
        view_pose(coarse, small_camera), step(0.1, -0.05, 0.04, 8.0, -30.0, 20.0),
        bodies[0].pivot_mm,
    )  # fmt: skip
    femurs = perturb(pelvis, step(0.06, 0.0, -0.03, 2.0, 0.0, -1.0), bodies[1].pivot_mm)
    return torch.stack((pelvis, femurs))


@pytest.fixture(name="pair", scope="session")
def _pair(
    coarse: Volume,
    small_camera: Camera,
    bodies: tuple[Body, ...],
    true_state: Tensor,
    second_from_rig: Tensor,
) -> Problem:
    """Two views of two bodies, the first one with regions, started a little beside the truth."""
    parts = [coarse.restricted_to(body.labels) for body in bodies]
    views = []
    for camera_from_rig in (torch.eye(4, dtype=torch.float64), second_from_rig):
        poses = camera_from_rig @ true_state
        image = torch.stack(
            [
                render(part, small_camera, pose)[0, 0]
                for part, pose in zip(parts, poses, strict=True)
            ]
        ).sum(dim=0)
        radiograph = Radiograph(
            image=image, mask=torch.ones_like(image, dtype=torch.bool), camera=small_camera
        )
        views.append(
            View(radiograph=radiograph, camera=small_camera, camera_from_rig=camera_from_rig)
        )
    masks = torch.cat(
        [
            rendered_rois(coarse, small_camera, pose, [labels])[0]
            for pose, labels in zip(true_state, (PELVIS, FEMURS), strict=True)
        ]
    )
    rois = RoiTarget(names=("pelvis", "femurs"), masks=masks, labels=(PELVIS, FEMURS))
    measure = MultiscaleNcc(windows_px=(5,))
    beside = torch.stack([step(0.05, 0.04, -0.03, 5.0, -4.0, 8.0)] * 2)
    start = torch.stack(
        [perturb(p, s, b.pivot_mm) for p, s, b in zip(true_state, beside, bodies, strict=True)]
    )
    return Problem(
        views=(View(**{**vars(views[0]), "rois": rois}), views[1]),
        bodies=bodies,
        ct=PreparedCt(volume=coarse),
        start=start,
        init="pose",
        view="PA",
        settings=RegistrationConfig(
            levels=(LevelConfig(image_px=32, voxel_mm=8.0, measure=measure),),
            probes=2,
            search=SearchConfig(poses=16, refined=4),
        ),
        backend="numba",
    )


@pytest.fixture(name="pair_level", scope="session")
def _pair_level(pair: Problem) -> Level:
    return make_levels(pair)[0]


@pytest.fixture
def half_a_loss_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a state be lost from a loss of a half on, by the image at the finest level."""

    def is_lost(reading: Reading, state: Tensor) -> bool:
        return float(reading.plain[-1].loss(state[None])) >= 0.5

    monkeypatch.setattr(solver, "is_lost", is_lost)
