"""The named view of a volume, for one camera and for a rig."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wsreg.errors import check_is
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rig import nearest_point_to_axes
from wsreg.geometry.rigid import rigid, transform_points
from wsreg.geometry.views import middle_ray, pose_towards
from wsreg.volumes.volume import Volume


def view_pose(volume: Volume, camera: Camera, view: str | CArmAngles = "PA") -> Tensor:
    """Return [4,4] float64 ``camera_from_ct`` with the volume's centre in the image's middle.

    Args:
        volume: the CT.
        camera: geometry.
        view: ``PA``, ``AP``, ``LAT`` or ``RLAT`` in any case, or C-arm angles.

    Raises:
        InputError: for an unknown view, or another kind of volume or camera.
    """
    check_is(volume, Volume, "volume", "wsreg.read_volume reads one")
    check_is(camera, Camera, "camera", "wsreg.read_camera reads one")
    return pose_towards(volume.centre_mm, camera, view)


def rig_view_pose(
    volume: Volume,
    cameras: Sequence[Camera],
    camera_from_rig: Sequence[Tensor],
    view: str | CArmAngles = "PA",
) -> Tensor:
    """Return [4,4] float64 ``camera_from_ct`` of the first view, where all views see the CT.

    The volume's centre lies where the axes of all views are nearest to each other, each the ray
    through its image's middle.  Where they are parallel, or that point is not between source and
    detector in every view, it is :func:`view_pose` with the first camera.

    Args:
        volume: the CT.
        cameras: geometry of each view.
        camera_from_rig: [4,4] rigid of each view, rig mm -> camera mm.
        view: of the first camera, as for :func:`view_pose`.

    Raises:
        InputError: for an unknown view.
    """
    pose = view_pose(volume, cameras[0], view)
    point = nearest_point_to_axes(camera_from_rig, [middle_ray(camera) for camera in cameras])
    if point is None:
        return pose
    seen = [transform_points(matrix.to(point), point[None])[0] for matrix in camera_from_rig]
    for camera, centre in zip(cameras, seen, strict=True):
        if not 0 < float(centre[2]) < camera.source_to_detector_mm:
            return pose
    rotation = pose[:3, :3]
    return rigid(rotation, seen[0] - rotation @ volume.centre_mm)
