"""Distances between an estimated and the true pose, each under its own name.

"mTRE" alone means four different things in the literature; these are the names used here.  Poses
are [...,4,4] ``camera_from_ct``, landmarks [N,3] in CT coordinates (LPS mm); every function gives
float64 [...], and where it takes landmarks, the mean over them.

A landmark at or behind the source has no projection: a distance that projects it is NaN, for that
pose alone.  A mean over the landmarks that are left would praise a pose for losing the others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import inverse_rigid, log_so3, rotation_angle_rad, transform_points

DEEPFLUORO_PIXEL_MM = 0.194
"""Pixel pitch of DeepFluoro's detector, which DiffPose's evaluator multiplies by whatever the size
of the image that was registered."""


def mtre_3d_mm(landmarks_mm: Tensor, estimated: Tensor, true: Tensor) -> Tensor:
    """Return the distance between a landmark under both poses, in the camera frame."""
    return _lengths(_seen(estimated, landmarks_mm) - _seen(true, landmarks_mm)).mean(dim=-1)


def mpd_mm(landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera) -> Tensor:
    """Return the distance between a landmark's two projections, measured on the detector."""
    return _projected_distances(landmarks_mm, estimated, true, camera).mean(dim=-1)


def mpd_isocentre_mm(
    landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera
) -> Tensor:
    """Return the distance between a landmark's two projections, scaled back to its true depth."""
    magnification = camera.source_to_detector_mm / _seen(true, landmarks_mm)[..., 2]
    distances = _projected_distances(landmarks_mm, estimated, true, camera)
    return (distances / magnification).mean(dim=-1)


def mrpe_mm(landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera) -> Tensor:
    """Return the distance between a landmark's two projections, each carried to the CT by its pose.

    It is blind to a rotation about the optical axis.
    """
    back = [
        transform_points(
            inverse_rigid(pose.double()), _on_detector(_seen(pose, landmarks_mm), camera)
        )
        for pose in (estimated, true)
    ]
    return _lengths(back[0] - back[1]).mean(dim=-1)


def mtre_diffpose_mm(
    landmarks_mm: Tensor,
    estimated: Tensor,
    true: Tensor,
    camera: Camera,
    pixel_mm: float = DEEPFLUORO_PIXEL_MM,
) -> Tensor:
    """Return ``mrpe_mm`` times a pixel pitch: what DiffPose's evaluator calls mTRE.

    The factor is a mistake, which its author confirms (DiffPose issue 27): this number is about
    five times too small, and is here only to be compared with published tables.
    """
    return mrpe_mm(landmarks_mm, estimated, true, camera) * pixel_mm


def re_deg(estimated: Tensor, true: Tensor) -> Tensor:
    """Return the angle of the rotation that takes one pose's axes to the other's (geodesic)."""
    difference = estimated[..., :3, :3].double() @ true[..., :3, :3].double().transpose(-1, -2)
    return torch.rad2deg(rotation_angle_rad(difference))


def te_mm(pivot_mm: Tensor, estimated: Tensor, true: Tensor) -> Tensor:
    """Return the distance between the pivot [3] (CT coordinates, LPS mm) under both poses."""
    return mtre_3d_mm(pivot_mm[None], estimated, true)


def rotation_vector_difference_deg(estimated: Tensor, true: Tensor) -> Tensor:
    """Return how far apart the rotation vectors of ``camera_from_ct`` are: RE as WSReg words it.

    It depends on the choice of axes, as :func:`re_deg` does not.  Of the vectors that stand for the
    estimated rotation, the one nearest to the true one's is taken: PA views lie at half a turn,
    where the sign of the shortest one is arbitrary.
    """
    first, second = (log_so3(pose[..., :3, :3].double()) for pose in (estimated, true))
    angle = _lengths(first)[..., None]
    other_way_round = first * (1.0 - 2.0 * math.pi / angle.clamp(min=1e-12))
    lengths = torch.minimum(_lengths(first - second), _lengths(other_way_round - second))
    return torch.rad2deg(lengths)


def translation_vector_difference_mm(estimated: Tensor, true: Tensor, camera: Camera) -> Tensor:
    """Return how far apart the translation vectors are: TE as WSReg words it.

    Which pose's vector is not said; here it is that of DiffPose, on which WSReg builds: it maps a
    camera frame, whose origin lies half-way between source and detector, to the CT, so that its
    translation is where that point lies in the CT.
    """
    middle = torch.tensor([[0.0, 0.0, camera.source_to_detector_mm / 2]], dtype=torch.float64)
    first, second = (
        transform_points(inverse_rigid(pose.double()), middle.to(pose.device))
        for pose in (estimated, true)
    )
    return _lengths(first - second)[..., 0]


def _projected_distances(
    landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera
) -> Tensor:
    first = _on_detector(_seen(estimated, landmarks_mm), camera)
    second = _on_detector(_seen(true, landmarks_mm), camera)
    return _lengths(first - second)


def _on_detector(points_camera: Tensor, camera: Camera) -> Tensor:
    """Return where rays through points [...,N,3] (camera frame) meet the detector; NaN behind."""
    return camera.detector_points(camera.project(points_camera))


def _lengths(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.norm(vectors, dim=-1)
    return lengths


def _seen(camera_from_ct: Tensor, points_ct: Tensor) -> Tensor:
    return transform_points(camera_from_ct.double(), points_ct.double())
