"""Where one bone turns in another, from the labels of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.volumes.volume import Volume

CONTACT_MM, FACING_MM = 8.0, 4.0
"""Bones meet where their surfaces come this near; what is at most so much farther apart than where
they are nearest faces the other bone."""

HEAD_RADIUS_MM = (14.0, 34.0)
"""Of the head of a femur, with room for children and for labels that are a little too large."""
HEAD_ROUGHNESS_MM = 1.5
"""Root mean square distance of a head's surface from the sphere through it, at most."""
LEAST_POINTS = 30
LOOK = 4
"""Where a bone lies is looked up at every so many voxels."""
TRIM_ROUNDS, TRIM = 4, 2.5
"""Points more than so many median misfits off the sphere are left out, and it is fitted again."""

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """Where a bone meets its parent.

    Args:
        centre_mm: [3] float64 centre of the ball, or of where they meet (CT, LPS mm).
        radius_mm: of the ball; None where it is no ball-and-socket joint, as far as labels tell.
        given: whether the centre is known otherwise than from the labels.
    """

    centre_mm: Tensor
    radius_mm: float | None
    given: bool = False


def find_joint(volume: Volume, bone: Sequence[int], parent: Sequence[int]) -> Joint | None:
    """Return the joint of a bone's labels with its parent's; None where they do not meet.

    The surface of the bone that faces its parent lies on a sphere, if the joint is one of ball and
    socket; the sphere is fitted by least squares, points far off it left out.
    """
    points = facing_points(volume, bone, parent)
    if len(points) < LEAST_POINTS:
        return None
    centre, radius, roughness = fit_sphere(points)
    if HEAD_RADIUS_MM[0] <= radius <= HEAD_RADIUS_MM[1] and roughness <= HEAD_ROUGHNESS_MM:
        return Joint(centre_mm=torch.from_numpy(centre), radius_mm=radius)
    return Joint(centre_mm=torch.from_numpy(points.mean(axis=0)), radius_mm=None)


def facing_points(volume: Volume, bone: Sequence[int], parent: Sequence[int]) -> Points:
    """Return [N,3] the bone's surface voxels that face the parent (CT, LPS mm)."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    assert volume.labels is not None
    labels = volume.labels.numpy()
    spacing = volume.spacing_mm[::-1]
    box = _box_around(labels, bone, [int(np.ceil(CONTACT_MM / mm)) + 1 for mm in spacing])
    inside, socket = np.isin(labels[box], bone), np.isin(labels[box], parent)
    if not (inside.any() and socket.any()):
        return np.zeros((0, 3))
    surface = inside & ~binary_erosion(inside)
    distance = distance_transform_edt(~socket, spacing)
    nearest = distance[surface].min()
    if nearest > CONTACT_MM:
        return np.zeros((0, 3))
    zyx = np.argwhere(surface & (distance <= nearest + FACING_MM)) + [side.start for side in box]
    affine = volume.ct_from_voxel.numpy()
    points: Points = zyx[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
    return points


def _box_around(
    labels: NDArray[np.generic], wanted: Sequence[int], margin: Sequence[int]
) -> tuple[slice, ...]:
    """Return a box around labels [D,H,W] with a margin, by a look at every fourth voxel."""
    inside = np.isin(labels[::LOOK, ::LOOK, ::LOOK], wanted)
    box = []
    for axis, extra in enumerate(margin):
        others = tuple(n for n in range(3) if n != axis)
        (hit,) = np.nonzero(inside.any(axis=others))
        if not len(hit):
            return (slice(None),) * 3  # too small to be met
        first, last = LOOK * (int(hit[0]) - 1), LOOK * (int(hit[-1]) + 1)
        box.append(slice(max(first - extra, 0), last + extra + 1))
    return tuple(box)


def fit_sphere(points: Points) -> tuple[Points, float, float]:
    """Return centre [3], radius and root mean square misfit of the sphere through points [N,3].

    Points that lie far off it are left out.  Source of the linear form: |p|^2 = 2 c.p + d.
    """
    origin = points.mean(axis=0)
    chosen = points - origin
    for _ in range(TRIM_ROUNDS):
        matrix = np.column_stack((2.0 * chosen, np.ones(len(chosen))))
        *centre, offset = np.linalg.lstsq(matrix, (chosen**2).sum(axis=1), rcond=None)[0]
        radius = float(np.sqrt(max(offset + np.dot(centre, centre), 0.0)))
        misfit = np.linalg.norm(chosen - centre, axis=1) - radius
        roughness = float(np.sqrt((misfit**2).mean()))
        near = np.abs(misfit) <= TRIM * max(float(np.median(np.abs(misfit))), 1e-3)
        if near.all() or near.sum() < LEAST_POINTS:
            break
        chosen = chosen[near]
    return np.array(centre) + origin, radius, roughness
