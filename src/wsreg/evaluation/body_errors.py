"""How far bodies other than the first are from where they truly are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.datasets.sample import PELVIS, Sample
from wsreg.errors import InputError
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.geometry.rigid import transform_points
from wsreg.registration.result import RegistrationResult

POINTS = 500
"""Voxels of a body at which errors are measured, drawn with a fixed seed."""


@dataclass(frozen=True, kw_only=True)
class BodyErrors:
    """Mean distances over points of a body.

    Args:
        mpd_mm: on the detector, over all of the body that the CT holds.
        mpd_shown_mm: the same, over what the image shows of it; NaN if that is nothing.
        mtre_3d_mm: in space, over all of it.
    """

    mpd_mm: float
    mpd_shown_mm: float
    mtre_3d_mm: float


def body_errors(sample: Sample, found: RegistrationResult) -> dict[str, BodyErrors]:
    """Return the errors of every tied body that has a true pose, by its name.

    Raises:
        InputError: the CT has no labels.
    """
    names = [name for name in found.bodies if name in sample.poses and name != PELVIS]
    return {name: _errors(sample, name, found) for name in names}


def _errors(sample: Sample, name: str, found: RegistrationResult) -> BodyErrors:
    body, true = found.bodies[name], sample.poses[name]
    points = points_of_labels(sample, body.labels)
    pixels = sample.camera.project(transform_points(true, points))
    last = torch.tensor((sample.camera.columns, sample.camera.rows), dtype=torch.float64) - 0.5
    shown = ((pixels >= -0.5) & (pixels <= last)).all(dim=-1)
    pose, camera = body.camera_from_ct, sample.camera
    return BodyErrors(
        mpd_mm=float(mpd_mm(points, pose, true, camera)),
        mpd_shown_mm=float(mpd_mm(points[shown], pose, true, camera)),
        mtre_3d_mm=float(mtre_3d_mm(points, pose, true)),
    )


def points_of_labels(sample: Sample, labels: tuple[int, ...]) -> Tensor:
    """Return [N,3] voxels of labels in CT coordinates (LPS mm), the same at every call."""
    volume = sample.volume
    if volume.labels is None:
        raise InputError(f"sample {sample.name} must have labels of its CT, it has none")
    wanted = torch.tensor(labels, dtype=volume.labels.dtype)
    index = torch.isin(volume.labels, wanted).nonzero().flip(-1).double()
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
    return transform_points(volume.ct_from_voxel, index[order[:POINTS]])
