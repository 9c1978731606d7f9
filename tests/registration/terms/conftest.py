"""The phantom on coarse voxels, a camera of few pixels, and regions at a known pose."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

NAMES = ("hip_left", "hip_right", "sacrum")


@pytest.fixture(name="tiny_camera", scope="session")
def _tiny_camera() -> Camera:
    return Camera(source_to_detector_mm=1000.0, rows=16, columns=20, pixel_spacing_mm=(18.0, 18.0))


@pytest.fixture(name="blocky", scope="session")
def _blocky(phantom: Volume) -> Volume:
    return resample_isotropic(phantom, 10.0)


@pytest.fixture(name="pose", scope="session")
def _pose(blocky: Volume, tiny_camera: Camera) -> Tensor:
    return view_pose(blocky, tiny_camera)


@pytest.fixture(name="target", scope="session")
def _target(blocky: Volume, tiny_camera: Camera, pose: Tensor) -> RoiTarget:
    """Soft masks of the hips and the sacrum."""
    values = {name: value for value, name in blocky.label_names.items()}
    labels = tuple((values[name],) for name in NAMES)
    masks = rendered_rois(blocky, tiny_camera, pose[None], labels)[0]
    return RoiTarget(names=NAMES, masks=masks, labels=labels)


@pytest.fixture(name="valid", scope="session")
def _valid(tiny_camera: Camera) -> Tensor:
    return torch.ones(tiny_camera.rows, tiny_camera.columns, dtype=torch.bool)
