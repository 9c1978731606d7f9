"""Distances between an estimated and the true pose, each under its own name.

"mTRE" alone means four different things in the literature; these are the names used here.  Every
function takes landmarks [N,3] in CT coordinates (LPS mm) and two poses [4,4] ``camera_from_ct``,
and returns a scalar tensor in millimetres: the mean over the landmarks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera


def mtre_3d_mm(landmarks_mm: Tensor, estimated: Tensor, true: Tensor) -> Tensor:
    """Distance between a landmark under both poses, in the camera frame."""
    difference = _transform(estimated, landmarks_mm) - _transform(true, landmarks_mm)
    return _lengths(difference).mean()


def mpd_mm(landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera) -> Tensor:
    """Distance between a landmark's two projections, measured on the detector."""
    return _projected_distances(landmarks_mm, estimated, true, camera).mean()


def mpd_isocentre_mm(
    landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera
) -> Tensor:
    """Distance between a landmark's two projections, scaled back to its true depth."""
    magnification = camera.source_to_detector_mm / _transform(true, landmarks_mm)[..., 2]
    return (_projected_distances(landmarks_mm, estimated, true, camera) / magnification).mean()


def mrpe_mm(landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera) -> Tensor:
    """Distance between a landmark's two projections, each carried to the CT by its own pose.

    Blind to a rotation about the optical axis.
    """
    backprojected = [
        _transform(torch.linalg.inv(pose), _on_detector(_transform(pose, landmarks_mm), camera))
        for pose in (estimated.to(torch.float64), true.to(torch.float64))
    ]
    return _lengths(backprojected[0] - backprojected[1]).mean()


def _projected_distances(
    landmarks_mm: Tensor, estimated: Tensor, true: Tensor, camera: Camera
) -> Tensor:
    first = _on_detector(_transform(estimated, landmarks_mm), camera)
    second = _on_detector(_transform(true, landmarks_mm), camera)
    return _lengths(first - second)


def _on_detector(points_camera: Tensor, camera: Camera) -> Tensor:
    """Where the rays through points [N,3] (camera frame) meet the detector plane; NaN behind."""
    return camera.detector_points(camera.project(points_camera))


def _lengths(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.norm(vectors, dim=-1)
    return lengths


def _transform(matrix: Tensor, points: Tensor) -> Tensor:
    matrix, points = matrix.to(torch.float64), points.to(torch.float64)
    return points @ matrix[:3, :3].T + matrix[:3, 3]
