"""Rotations, rigid motions and the pose update that the whole package uses.

Rotation vectors are axis times angle (rad).  Twists are (rotation, translation), in that order.
Every function takes leading batch dimensions, keeps the float type, and is differentiable, also at
the identity (backward and forward mode).
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL = 1e-2
"""Below this squared angle, series: their next term is under 1e-12 of the first."""


def skew(vector: Tensor) -> Tensor:
    """Return the [...,3,3] matrix with skew(a) @ b = a x b."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _exp_coefficients(squared_angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sin(t)/t, (1-cos t)/t^2 and (t-sin t)/t^3 of t^2, smooth at zero."""
    s = squared_angle
    small = s < _SMALL
    safe = torch.where(small, torch.ones_like(s), s)
    t = safe.sqrt()
    half = (0.5 * t).sin()
    a = torch.where(small, 1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72))), t.sin() / t)
    b = torch.where(
        small, 0.5 - s / 24 * (1 - s / 30 * (1 - s / 56 * (1 - s / 90))), 2 * half.square() / safe
    )
    c = torch.where(
        small,
        1 / 6 - s / 120 * (1 - s / 42 * (1 - s / 72 * (1 - s / 110))),
        (t - t.sin()) / (safe * t),
    )
    return a, b, c


def exp_so3(rotation_vector: Tensor) -> Tensor:
    """Return the [...,3,3] rotation matrix of a rotation vector [...,3] (Rodrigues).

    RoMa's has the same values, but in float32 its derivative is off by 4e-5 at 1e-4 rad, for want
    of a series.
    """
    a, b, _ = _exp_coefficients(rotation_vector.square().sum(dim=-1)[..., None, None])
    k = skew(rotation_vector)
    identity = torch.eye(3, dtype=k.dtype, device=k.device)
    return identity + a * k + b * (k @ k)


def log_so3(rotation: Tensor) -> Tensor:
    """Return the [...,3] rotation vector of a rotation matrix [...,3,3], of length at most pi.

    It goes by way of a unit quaternion, which is accurate at every angle; at pi the sign of the
    vector is arbitrary.
    """
    quaternion = _unit_quaternion(rotation)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    s = xyz.square().sum(dim=-1, keepdim=True)  # squared sine of half the angle
    small = s < _SMALL
    sine = torch.where(small, torch.ones_like(s), s).sqrt()
    # 2 asin(sine)/sine; asin itself would lose half of the digits near pi
    series = 2 * (1 + s * (1 / 6 + s * (3 / 40 + s * (5 / 112 + s * (35 / 1152 + s * 63 / 2816)))))
    rotation_vector: Tensor = torch.where(small, series, 2 * torch.atan2(sine, w) / sine) * xyz
    return rotation_vector


def _unit_quaternion(rotation: Tensor) -> Tensor:
    """Return [...,4] (w, x, y, z) with w >= 0 of a rotation matrix [...,3,3].

    The symmetric 4 q q^T is linear in the matrix.  Its row with the largest diagonal, brought to
    length 1, is q or -q (Markley, J. Guid. Control Dyn. 31(2), 2008, 440-442).
    """
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in rotation.unbind(-2))
    rows = (
        (1 + a + e + i, h - f, c - g, d - b),
        (h - f, 1 + a - e - i, b + d, c + g),
        (c - g, b + d, 1 - a + e - i, f + h),
        (d - b, c + g, f + h, 1 - a - e + i),
    )
    product = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    largest = product.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)[..., None, None]
    row = torch.gather(product, -2, largest.expand(*largest.shape[:-1], 4))[..., 0, :]
    row = torch.where(row[..., :1] < 0, -row, row)
    norm: Tensor = torch.linalg.norm(row, dim=-1, keepdim=True)
    return row / norm


def rotation_angle_rad(rotation: Tensor) -> Tensor:
    """Return the [...] angle of a rotation matrix [...,3,3], in [0, pi]."""
    norm: Tensor = torch.linalg.norm(log_so3(rotation), dim=-1)
    return norm


def rigid(rotation: Tensor, translation: Tensor) -> Tensor:
    """Return the [...,4,4] motion p -> rotation @ p + translation."""
    top = torch.cat((rotation, translation[..., None]), dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1.0
    return torch.cat((top, bottom), dim=-2)


def _left_jacobian(rotation_vector: Tensor) -> Tensor:
    _, b, c = _exp_coefficients(rotation_vector.square().sum(dim=-1)[..., None, None])
    k = skew(rotation_vector)
    identity = torch.eye(3, dtype=k.dtype, device=k.device)
    return identity + b * k + c * (k @ k)


def inverse_left_jacobian(rotation_vector: Tensor) -> Tensor:
    """Return [...,3,3], how the log of a rotation [...,3] changes as it is turned further.

    log(Exp(d) R) is log(R) + inverse_left_jacobian(log(R)) @ d for small d; for Exp(d) on the right
    it is that of -log(R), its transpose.
    """
    s = rotation_vector.square().sum(dim=-1)[..., None, None]
    a, b, _ = _exp_coefficients(s)
    small = s < _SMALL
    safe = torch.where(small, torch.ones_like(s), s)
    series = 1 / 12 + s / 720 * (1 + s / 42 * (1 + s / 40))
    c = torch.where(small, series, (1 - 0.5 * a / b) / safe)
    k = skew(rotation_vector)
    identity = torch.eye(3, dtype=k.dtype, device=k.device)
    return identity - 0.5 * k + c * (k @ k)


def exp_se3(twist: Tensor) -> Tensor:
    """Return [...,4,4] rigid motion of a twist (w, v) [...,6]: expm of [[skew(w), v], [0, 0]]."""
    rotation, translation = twist[..., :3], twist[..., 3:]
    moved = (_left_jacobian(rotation) @ translation[..., None])[..., 0]
    return rigid(exp_so3(rotation), moved)


def log_se3(motion: Tensor) -> Tensor:
    """Return the [...,6] twist of a rigid motion [...,4,4]; the inverse of :func:`exp_se3`."""
    rotation = log_so3(motion[..., :3, :3])
    translation = torch.linalg.solve(_left_jacobian(rotation), motion[..., :3, 3:])[..., 0]
    return torch.cat((rotation, translation), dim=-1)


def inverse_rigid(motion: Tensor) -> Tensor:
    """Return the inverse of a rigid motion [...,4,4]."""
    back = motion[..., :3, :3].transpose(-1, -2)
    return rigid(back, -(back @ motion[..., :3, 3:])[..., 0])


def inverse_affine(motion: Tensor) -> Tensor:
    """Return the [...,4,4] inverse of an affine motion [...,4,4], in closed form.

    LAPACK would wait for a pool of threads at each of these small matrices.
    """
    a, b, c = motion[..., :3, :3].unbind(-2)
    bc = torch.linalg.cross(b, c)
    columns = torch.stack((bc, torch.linalg.cross(c, a), torch.linalg.cross(a, b)), dim=-1)
    back = columns / (a * bc).sum(dim=-1)[..., None, None]
    return rigid(back, -(back @ motion[..., :3, 3:])[..., 0])


def transform_points(motion: Tensor, points: Tensor) -> Tensor:
    """Return points [...,N,3] moved by a motion [...,4,4]."""
    return points @ motion[..., :3, :3].transpose(-1, -2) + motion[..., None, :3, 3]


def perturb(camera_from_ct: Tensor, twist: Tensor, pivot_ct_mm: Tensor) -> Tensor:
    """Return the pose moved by the six pose parameters.

    p -> Exp(w) (p - c) + c + v in the camera frame, after ``camera_from_ct``: a rotation w (rad)
    about the camera's axes through c, the pivot as the camera sees it, then a translation v (mm)
    along them.  So tz is depth, whatever the rotation.

    Args:
        camera_from_ct: [...,4,4].
        twist: [...,6], (w, v).
        pivot_ct_mm: [3], or [...,3] one for each pose, in CT coordinates (LPS mm).
    """
    turn = exp_so3(twist[..., :3])
    pivot_ct = pivot_ct_mm.to(camera_from_ct)[..., None, :]
    pivot = transform_points(camera_from_ct, pivot_ct)[..., 0, :]
    lever = camera_from_ct[..., :3, 3] - pivot
    translation = (turn @ lever[..., None])[..., 0] + pivot + twist[..., 3:]
    return rigid(turn @ camera_from_ct[..., :3, :3], translation)


def twist_between(a: Tensor, b: Tensor, pivot_ct_mm: Tensor) -> Tensor:
    """Return t [...,6] with ``perturb(a, t, pivot) == b`` for poses [...,4,4]."""
    pivot = pivot_ct_mm.to(a)[None]
    turn = log_so3(b[..., :3, :3] @ a[..., :3, :3].transpose(-1, -2))
    shift = transform_points(b, pivot)[..., 0, :] - transform_points(a, pivot)[..., 0, :]
    return torch.cat((turn, shift), dim=-1)
