"""Every distance between one answer and the truth."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation import distances


@dataclass(frozen=True, kw_only=True)
class PoseErrors:
    """The distances of ``wsreg.evaluation.distances``, by their names there; NaN if undefined."""

    mtre_3d_mm: float
    mpd_mm: float
    mpd_isocentre_mm: float
    mrpe_mm: float
    mtre_diffpose_mm: float
    re_deg: float
    te_mm: float
    rotation_vector_difference_deg: float
    translation_vector_difference_mm: float


DISTANCES = tuple(field.name for field in dataclasses.fields(PoseErrors))
"""Names of all distances."""

NO_ANSWER = PoseErrors(**dict.fromkeys(DISTANCES, math.nan))
"""The errors where there is no pose."""


def pose_errors(sample: Sample, camera_from_ct: Tensor, pivot_mm: Tensor) -> PoseErrors:
    """Measure how far a pose is from the true one.

    Args:
        sample: with its true pose, camera and landmarks.
        camera_from_ct: [4,4] the estimated pose.
        pivot_mm: [3] the point whose translation ``te_mm`` measures, CT coordinates (LPS mm).

    Raises:
        InputError: the sample has no landmarks.
    """
    points, true, camera = landmarks_of(sample), sample.camera_from_ct, sample.camera
    found = camera_from_ct
    return PoseErrors(
        mtre_3d_mm=float(distances.mtre_3d_mm(points, found, true)),
        mpd_mm=float(distances.mpd_mm(points, found, true, camera)),
        mpd_isocentre_mm=float(distances.mpd_isocentre_mm(points, found, true, camera)),
        mrpe_mm=float(distances.mrpe_mm(points, found, true, camera)),
        mtre_diffpose_mm=float(distances.mtre_diffpose_mm(points, found, true, camera)),
        re_deg=float(distances.re_deg(found, true)),
        te_mm=float(distances.te_mm(pivot_mm, found, true)),
        rotation_vector_difference_deg=float(distances.rotation_vector_difference_deg(found, true)),
        translation_vector_difference_mm=float(
            distances.translation_vector_difference_mm(found, true, camera)
        ),
    )


def landmarks_of(sample: Sample) -> Tensor:
    """Return [N,3] float64 the sample's landmarks in CT coordinates (LPS mm).

    Raises:
        InputError: it has none.
    """
    if not sample.landmarks_mm:
        raise InputError(f"sample {sample.name} must have landmarks to measure errors at, got none")
    return torch.stack([point.double() for point in sample.landmarks_mm.values()])
