"""The named view of a volume."""

from __future__ import annotations

import warnings

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.views import pose_towards
from wsreg.volumes.volume import Volume


def view_pose(volume: Volume, camera: Camera, view: str | CArmAngles = "PA") -> Tensor:
    """Return [4,4] float64 ``camera_from_ct`` with the volume's centre in the image's middle.

    Args:
        volume: the CT.
        camera: geometry.
        view: ``PA``, ``AP``, ``LAT`` or ``RLAT`` in any case, or C-arm angles.

    Raises:
        InputError: for an unknown view.
    """
    return pose_towards(volume.centre_mm, camera, view)


def frontal_pose(volume: Volume, camera: Camera, view: str | CArmAngles = "PA") -> Tensor:
    """Call :func:`view_pose`, which takes lateral views as well, by its old name."""
    warnings.warn("frontal_pose is now view_pose", DeprecationWarning, stacklevel=2)
    return view_pose(volume, camera, view)
