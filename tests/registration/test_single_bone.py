"""A bone by itself: found near its start, or the start is returned and marked."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from wsreg.evaluation.distances import mpd_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb, transform_points
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.parts import bones_of, rest_of
from wsreg.volumes.volume import Volume

FEMUR, HIP, SACRUM = 9, 8, 7


def points_of(volume: Volume, label: int) -> Tensor:
    assert volume.labels is not None
    voxels = (volume.labels == label).nonzero()[::200].flip(-1).double()
    return transform_points(volume.ct_from_voxel, voxels)


@pytest.fixture(name="bent", scope="module")
def _bent(phantom: Volume, truth: Tensor) -> Tensor:
    """Where the femur is: turned by 9 degrees about its head against all the rest."""
    turn = torch.tensor([math.radians(9.0), 0, 0, 0, 0, 0], dtype=torch.float64)
    return perturb(truth, turn, points_of(phantom, FEMUR)[-1])


@pytest.fixture(name="xray", scope="module")
def _xray(phantom: Volume, camera: Camera, truth: Tensor, bent: Tensor) -> Radiograph:
    """Of the femur where it is and the rest where that is, with noise."""
    femur = bones_of(phantom, (FEMUR,))
    image = project_attenuation(rest_of(phantom, [femur]), camera, truth)
    image = image + project_attenuation(femur, camera, bent)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(3))
    mask = torch.ones_like(image, dtype=torch.bool)
    return Radiograph(image=image + 0.01 * noise, mask=mask, camera=camera)


@pytest.mark.parametrize("label", [FEMUR, HIP, SACRUM])
def test_a_bone_is_found_from_beside_it(
    phantom: Volume, camera: Camera, truth: Tensor, bent: Tensor, xray: Radiograph,
    quick: RegistrationConfig, label: int,
) -> None:  # fmt: skip
    points = points_of(phantom, label)
    pose = bent if label == FEMUR else truth
    step = torch.tensor([0.05, -0.03, 0.06, 6.0, -5.0, 5.0], dtype=torch.float64)
    start = perturb(pose, step, points.mean(dim=0))
    found = register(xray, phantom, init=start, config=quick, render_labels=[label])
    assert float(mpd_mm(points, start, pose, camera)) > 5.0
    assert float(mpd_mm(points, found.camera_from_ct, pose, camera)) < 1.0
    assert found.verdict.status != "fail", found.verdict


def test_a_bone_that_is_not_there_stays_at_its_start_and_fails(
    phantom: Volume, camera: Camera, truth: Tensor, quick: RegistrationConfig
) -> None:
    """An X-ray of nothing but noise."""
    image = torch.rand(112, 128, generator=torch.Generator().manual_seed(5))
    noise = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool), camera=camera)
    found = register(noise, phantom, init=truth, config=quick, render_labels=[FEMUR])
    torch.testing.assert_close(found.camera_from_ct, truth)
    assert found.verdict.status == "fail"
    assert "the start is the answer" in found.verdict.reasons[0]


def test_far_from_the_bone_the_start_is_returned(
    phantom: Volume, camera: Camera, truth: Tensor, xray: Radiograph, quick: RegistrationConfig
) -> None:
    """120 mm away: whatever is found is not near."""
    step = torch.tensor([0.0, 0.0, 0.0, 120.0, 0.0, 0.0], dtype=torch.float64)
    start = perturb(truth, step, phantom.centre_mm)
    config = dataclasses.replace(quick, probes=0)
    found = register(xray, phantom, init=start, config=config, render_labels=[HIP])
    torch.testing.assert_close(found.camera_from_ct, start)
    assert found.verdict.status == "fail"
    assert "not found" in found.verdict.reasons[0]


def test_without_a_start_the_ct_is_searched_for_and_then_the_bone(
    phantom: Volume, camera: Camera, truth: Tensor, bent: Tensor, xray: Radiograph,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    found = register(xray, phantom, init="search", config=quick, render_labels=[FEMUR])
    points = points_of(phantom, FEMUR)
    assert float(mpd_mm(points, truth, bent, camera)) > 3.0
    assert float(mpd_mm(points, found.camera_from_ct, bent, camera)) < 1.0
