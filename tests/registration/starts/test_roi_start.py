"""Regions alone find a first pose; landmarks, too."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.landmarks import Landmarks
from wsreg.geometry.rigid import perturb, transform_points
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.volume import Volume

NAMES = ("hip_left", "hip_right", "sacrum", "femur_left", "femur_right")
FAR = (0.35, -0.25, 2.9, -60.0, 50.0, 90.0)
"""From the frontal view: tilted, and nearly upside down."""


@pytest.fixture(name="far_pose", scope="module")
def _far_pose(phantom: Volume, truth: Tensor) -> Tensor:
    return perturb(truth, torch.tensor(FAR, dtype=torch.float64), phantom.centre_mm)


@pytest.fixture(name="far_xray", scope="module")
def _far_xray(phantom: Volume, camera: Camera, far_pose: Tensor) -> Radiograph:
    return Radiograph(image=render(phantom, camera, far_pose[None])[0, 0].float(), camera=camera)


@pytest.fixture(name="far_rois", scope="module")
def _far_rois(phantom: Volume, camera: Camera, far_pose: Tensor) -> RoiTarget:
    values = {name: value for value, name in phantom.label_names.items()}
    labels = tuple((values[name],) for name in NAMES)
    masks = (rendered_rois(phantom, camera, far_pose[None], labels)[0] > 0.5).float()
    return RoiTarget(names=NAMES, masks=masks, labels=labels)


def off_mm(volume: Volume, pose: Tensor, truth: Tensor) -> float:
    first, second = (transform_points(one, volume.corners_mm) for one in (pose, truth))
    return float((first - second).norm(dim=-1).mean())


def test_regions_alone_are_a_start_from_far_away(
    phantom: Volume,
    far_xray: Radiograph,
    far_rois: RoiTarget,
    far_pose: Tensor,
    quick: RegistrationConfig,
) -> None:
    found = register(far_xray, phantom, init="roi", rois=far_rois, bodies=None, config=quick)
    assert found.init == "roi"
    assert off_mm(phantom, found.camera_from_ct, far_pose) < 3.0


def test_regions_are_needed_for_it(
    phantom: Volume, far_xray: Radiograph, far_rois: RoiTarget, quick: RegistrationConfig
) -> None:
    with pytest.raises(InputError, match="init 'roi' needs regions of the X-ray"):
        register(far_xray, phantom, init="roi", config=quick)
    nothing = dataclasses.replace(far_rois, masks=torch.zeros_like(far_rois.masks))
    with pytest.raises(InputError, match="and the X-ray shows, got none"):
        register(far_xray, phantom, init="roi", rois=nothing, config=quick)
    by_network = dataclasses.replace(far_rois, moving_segmenter=lambda images: images)
    adam = dataclasses.replace(quick, method="adam")
    with pytest.raises(InputError, match="init 'roi' needs regions of the X-ray"):
        register(far_xray, phantom, init="roi", rois=by_network, config=adam)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_landmarks_are_a_start(
    count: int,
    phantom: Volume,
    far_xray: Radiograph,
    camera: Camera,
    far_pose: Tensor,
    quick: RegistrationConfig,
) -> None:
    """Clicked a few pixels beside where they are."""
    generator = torch.Generator().manual_seed(count)
    middle, reach = phantom.centre_mm, phantom.corners_mm - phantom.centre_mm
    points = middle + 0.5 * reach[[0, 3, 5, 6, 1, 2]][:count]
    pixels = camera.project(transform_points(far_pose, points))
    pixels = pixels + 0.5 * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    marks = Landmarks(names=tuple("abcdef"[:count]), points_mm=points, pixels=pixels)
    found = register(far_xray, phantom, init=marks, bodies=None, config=quick)
    assert found.init == "landmarks"
    assert off_mm(phantom, found.camera_from_ct, far_pose) < 3.0


def test_landmarks_of_a_mirrored_xray_are_mirrored_with_it(
    phantom: Volume,
    far_xray: Radiograph,
    camera: Camera,
    far_pose: Tensor,
    quick: RegistrationConfig,
) -> None:
    reach = phantom.corners_mm - phantom.centre_mm
    points = phantom.centre_mm + 0.5 * reach[[0, 3, 5, 6]]
    pixels = camera.project(transform_points(far_pose, points))
    marks = Landmarks(names=tuple("abcd"), points_mm=points, pixels=pixels)
    flipped = dataclasses.replace(far_xray, image=far_xray.image.flip(-1))
    found = register(
        flipped, phantom, init=marks.mirrored(camera.columns), bodies=None, config=quick
    )
    assert found.views[0].orientation.startswith("mirrored")
    assert off_mm(phantom, found.camera_from_ct, far_pose) < 3.0


def test_a_start_without_its_file_is_an_error(phantom: Volume, far_xray: Radiograph) -> None:
    with pytest.raises(InputError, match="must name the landmarks' file after landmarks:"):
        register(far_xray, phantom, init="landmarks:")


def test_landmarks_that_contradict_the_answer_are_named(
    phantom: Volume,
    far_xray: Radiograph,
    camera: Camera,
    far_pose: Tensor,
    quick: RegistrationConfig,
) -> None:
    reach = phantom.corners_mm - phantom.centre_mm
    points = phantom.centre_mm + 0.5 * reach[[0, 3, 5, 6, 1]]
    pixels = camera.project(transform_points(far_pose, points))
    right = Landmarks(names=tuple("abcde"), points_mm=points, pixels=pixels)
    found = register(far_xray, phantom, init=right, bodies=None, config=quick)
    assert "Landmarks" not in str(found.verdict)
    pixels = pixels.clone()
    pixels[3, 0] += 40.0 / camera.pixel_spacing_mm[1]
    wrong = dataclasses.replace(right, pixels=pixels)
    found = register(far_xray, phantom, init=wrong, bodies=None, config=quick)
    assert found.verdict.status == "check"
    assert "Landmarks lie elsewhere in the X-ray than the answer puts them: d (4" in str(
        found.verdict
    )
