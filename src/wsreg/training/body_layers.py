"""Layers of a CT whose bodies have moved since it was made: bones about their joints, tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.registration.bodies import Body, make_bodies
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt, PreparedVolume
from wsreg.rendering.render import render
from wsreg.training.layers import FEMUR_SD_DEG
from wsreg.volumes.bodies import Bodies, labels_of_bodies

TISSUE_SD_MM = 1.5
"""How far soft tissue has shifted since the CT, beside the bones."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyLayers:
    """A CT taken apart.

    Args:
        bodies: what moves by itself, everything but the bones first; that one alone for a CT
            without labels.
        volumes: each of them on voxels of one size.
    """

    bodies: tuple[Body, ...]
    volumes: tuple[PreparedVolume, ...]

    def render(self, camera: Camera, poses: Tensor, generator: np.random.Generator) -> Tensor:
        """Return [B,L,H,W] line integrals of each body at poses [B,4,4], moved a little."""
        images = []
        for body, volume in zip(self.bodies, self.volumes, strict=True):
            moved = perturb(poses, _sample_moves(body, len(poses), generator), body.pivot_mm)
            images.append(render(volume, camera, moved)[:, 0])
        return torch.stack(images, dim=1)


def body_layers(ct: PreparedCt, voxel_mm: float) -> BodyLayers:
    """Take a CT apart: its bodies by the labels' names, else all labels against the rest."""
    bodies = make_bodies(ct, _bodies(ct), pivot_mm=None, joints_mm={}, ties=TieConfig())
    if len(bodies) > 1:
        bodies = (bodies[-1], *bodies[:-1])  # the rest first, as layers have it
    volumes = [ct.levels((voxel_mm,), body.part)[0] for body in bodies]
    return BodyLayers(bodies=tuple(bodies), volumes=tuple(volumes))


def _bodies(ct: PreparedCt) -> Bodies:
    labels = ct.volume.label_values
    if not labels:
        return None
    return "auto" if labels_of_bodies(ct.volume, "auto") else {"bones": labels}


def _sample_moves(body: Body, count: int, generator: np.random.Generator) -> Tensor:
    """Return [count,6] float64 pose parameters of a body against the first bone."""
    moves = torch.from_numpy(generator.standard_normal((count, 6)))
    return moves * torch.tensor(_deviations(body), dtype=torch.float64)


def _deviations(body: Body) -> Sequence[float]:
    if body.joint is not None:
        return (*(math.radians(FEMUR_SD_DEG),) * 3, 0.0, 0.0, 0.0)
    shift_mm = TISSUE_SD_MM if body.part.kind == "rest" else 0.0
    return (0.0, 0.0, 0.0, *(shift_mm,) * 3)
