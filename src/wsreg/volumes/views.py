"""The named view of a volume."""

from __future__ import annotations

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.views import view_pose
from wsreg.volumes.volume import Volume


def frontal_pose(volume: Volume, camera: Camera, view: str | CArmAngles = "PA") -> Tensor:
    """[4,4] float64 ``camera_from_ct`` with the volume's centre in the middle of the image.

    Args:
        volume: the CT.
        camera: geometry.
        view: ``PA``, ``AP``, ``LAT`` or ``RLAT`` in any case, or C-arm angles.

    Raises:
        InputError: for an unknown view.
    """
    return view_pose(volume.centre_mm, camera, view)
