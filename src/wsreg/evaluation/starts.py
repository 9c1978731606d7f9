"""Starts that are a wanted distance off the truth."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.geometry.rigid import perturb

TURNING = (0.1, 0.9)
"""Fraction of a perturbation that is rotation, drawn evenly; the rest is translation."""


def seeded_start(sample: Sample, distance_mm: float, seed: int) -> Tensor:
    """Return [4,4] a start for one sample, the same whatever other samples are registered.

    It is turned about the centre of the sample's CT; see :func:`perturbed_start`.
    """
    generator = np.random.default_rng([seed, zlib.crc32(sample.name.encode())])
    return perturbed_start(
        sample.camera_from_ct,
        landmarks_of(sample),
        sample.volume.centre_mm,
        distance_mm,
        generator,
    )


def perturbed_start(
    camera_from_ct: Tensor,
    landmarks_mm: Tensor,
    pivot_mm: Tensor,
    distance_mm: float,
    generator: np.random.Generator,
) -> Tensor:
    """Return [4,4] a pose whose ``mtre_3d_mm`` is ``distance_mm``, turned and moved at random.

    The axis and the direction are uniform.  A fraction s (``TURNING``) of the perturbation is
    rotation: s/r rad go with 1 - s millimetres, where r is the landmarks' mean distance from the
    pivot, so that a turn counts by how far it moves them.

    Args:
        camera_from_ct: [4,4] the true pose.
        landmarks_mm: [N,3] CT coordinates (LPS mm).
        pivot_mm: [3] centre of the rotation, CT coordinates.
        distance_mm: how far off.
        generator: of the direction.

    Raises:
        InputError: the distance is negative or not finite, or all landmarks lie at the pivot.
    """
    if not 0.0 <= distance_mm < np.inf:
        raise InputError(f"distance_mm must be finite and at least 0, got {distance_mm}")
    radius_mm = float(torch.linalg.norm(landmarks_mm - pivot_mm, dim=-1).mean())
    if not radius_mm > 0.0:
        raise InputError("landmarks_mm must not all lie at pivot_mm")
    turning = generator.uniform(*TURNING)
    rotation = _direction(generator) * turning / radius_mm
    translation = _direction(generator) * (1.0 - turning)
    motion = torch.from_numpy(np.concatenate((rotation, translation)))

    def start(scale: float) -> Tensor:
        return perturb(camera_from_ct, scale * motion, pivot_mm)

    def excess(scale: float) -> float:
        return float(mtre_3d_mm(landmarks_mm, start(scale), camera_from_ct)) - distance_mm

    return start(_root(excess, distance_mm) if distance_mm > 0.0 else 0.0)


def _root(excess: Callable[[float], float], guess: float) -> float:
    """Find where a function that is not positive at 0, and is in the end, crosses zero."""
    from scipy.optimize import brentq

    high = guess
    while excess(high) < 0.0:
        high *= 1.5
    return float(brentq(excess, 0.0, high, xtol=1e-9))


def _direction(generator: np.random.Generator) -> NDArray[np.float64]:
    vector = generator.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))
