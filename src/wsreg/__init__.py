"""wsreg: find where a patient's CT lies in an X-ray (2D/3D registration).

The public names load what they need on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.4.0"

_HOMES = {
    "BackendError": "wsreg.errors",
    "CArmAngles": "wsreg.geometry.carm",
    "Camera": "wsreg.geometry.camera",
    "GlobalNcc": "wsreg.similarity.ncc",
    "InputError": "wsreg.errors",
    "Landmarks": "wsreg.geometry.landmarks",
    "LevelConfig": "wsreg.registration.config",
    "LocalNcc": "wsreg.similarity.ncc",
    "MultiscaleNcc": "wsreg.similarity.ncc",
    "PreparedCt": "wsreg.rendering.prepared",
    "Radiograph": "wsreg.radiographs.radiograph",
    "RegistrationConfig": "wsreg.registration.config",
    "RegistrationResult": "wsreg.registration.result",
    "Rig": "wsreg.geometry.rig",
    "RigView": "wsreg.geometry.rig",
    "RoiTarget": "wsreg.segmentation.rois",
    "SequenceResult": "wsreg.registration.sequence.result",
    "Tie": "wsreg.registration.ties",
    "TieConfig": "wsreg.registration.ties",
    "Volume": "wsreg.volumes.volume",
    "WsregError": "wsreg.errors",
    "prepare": "wsreg.rendering.prepared",
    "read_camera": "wsreg.geometry.calibration_file",
    "read_frames": "wsreg.radiographs.frame_files",
    "read_landmarks": "wsreg.geometry.landmarks",
    "read_pose": "wsreg.geometry.pose_file",
    "read_radiograph": "wsreg.radiographs.reading",
    "read_result": "wsreg.outputs.result_files",
    "read_rig": "wsreg.geometry.calibration_file",
    "read_volume": "wsreg.volumes.reading",
    "register": "wsreg.registration.register",
    "register_sequence": "wsreg.registration.sequence.register_sequence",
    "render": "wsreg.rendering.render",
    "render_with_jacobian": "wsreg.rendering.render",
    "smoothed_poses": "wsreg.registration.sequence.smoothing",
    "view_pose": "wsreg.volumes.views",
    "write_result": "wsreg.outputs.result_files",
}

if TYPE_CHECKING:
    from wsreg.errors import BackendError, InputError, WsregError
    from wsreg.geometry.calibration_file import read_camera, read_rig
    from wsreg.geometry.camera import Camera
    from wsreg.geometry.carm import CArmAngles
    from wsreg.geometry.landmarks import Landmarks, read_landmarks
    from wsreg.geometry.pose_file import read_pose
    from wsreg.geometry.rig import Rig, RigView
    from wsreg.outputs.result_files import read_result, write_result
    from wsreg.radiographs.frame_files import read_frames
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.radiographs.reading import read_radiograph
    from wsreg.registration.config import LevelConfig, RegistrationConfig
    from wsreg.registration.register import register
    from wsreg.registration.result import RegistrationResult
    from wsreg.registration.sequence.register_sequence import register_sequence
    from wsreg.registration.sequence.result import SequenceResult
    from wsreg.registration.sequence.smoothing import smoothed_poses
    from wsreg.registration.ties import Tie, TieConfig
    from wsreg.rendering.prepared import PreparedCt, prepare
    from wsreg.rendering.render import render, render_with_jacobian
    from wsreg.segmentation.rois import RoiTarget
    from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc
    from wsreg.volumes.reading import read_volume
    from wsreg.volumes.views import view_pose
    from wsreg.volumes.volume import Volume

__all__ = [
    "BackendError",
    "CArmAngles",
    "Camera",
    "GlobalNcc",
    "InputError",
    "Landmarks",
    "LevelConfig",
    "LocalNcc",
    "MultiscaleNcc",
    "PreparedCt",
    "Radiograph",
    "RegistrationConfig",
    "RegistrationResult",
    "Rig",
    "RigView",
    "RoiTarget",
    "SequenceResult",
    "Tie",
    "TieConfig",
    "Volume",
    "WsregError",
    "__version__",
    "prepare",
    "read_camera",
    "read_frames",
    "read_landmarks",
    "read_pose",
    "read_radiograph",
    "read_result",
    "read_rig",
    "read_volume",
    "register",
    "register_sequence",
    "render",
    "render_with_jacobian",
    "smoothed_poses",
    "view_pose",
    "write_result",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wsreg' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
