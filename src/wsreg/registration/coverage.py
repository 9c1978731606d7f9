"""Which pixels of a level count: those whose rays do not leave the CT through a cut face."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.readings import Reading
from wsreg.registration.views import View
from wsreg.rendering.coverage import attenuation_beyond, cut_faces

GRID_PX = 32
"""Longer side of the grid on which coverage is told."""

MISSING = 0.2
"""A line integral beyond the CT, of a centimetre of water, from which on a ray does not count."""

LEAST_COVERED = 0.05
"""Where less of the image is covered, no pixel is left out; the verdict says how little it is."""

CHANGED = 0.01
"""Coverage that differs in a smaller fraction of the image is taken for the same."""


def covered(reading: Reading, state: Tensor, *, spared_mm: float = 0.0) -> Reading:
    """Return the reading without the pixels of which the CT at a state [K,4,4] shows but a part.

    It is the same where nothing is cut off, and where a single bone is registered.

    Args:
        reading: of the X-ray.
        state: where the CT is.
        spared_mm: of the CT at the faces where it is cut off, which is taken for missing, too.
    """
    problem = reading.problem
    if problem.bodies[0].part.kind == "alone":
        return reading
    masks = [covered_pixels(problem, view, state[0], spared_mm) for view in problem.views]
    changed = [
        _fraction_apart(view.covered, mask) > CHANGED
        for view, mask in zip(problem.views, masks, strict=True)
    ]
    if not any(changed):
        return reading
    views = tuple(
        dataclasses.replace(view, covered=mask)
        for view, mask in zip(problem.views, masks, strict=True)
    )
    problem = dataclasses.replace(problem, views=views)
    levels = make_levels(problem, len(reading.levels))
    return dataclasses.replace(reading, problem=problem, levels=levels)


def covered_pixels(
    problem: Problem, view: View, rig_from_ct: Tensor, spared_mm: float = 0.0
) -> Tensor | None:
    """Return [H,W] bool, the pixels whose rays the CT covers at a pose [4,4]; None if all are."""
    coarse = problem.ct.levels(problem.voxel_sizes_mm)[0].volume
    # the grid of the coarsest level depends on the finer ones that it is made of
    faces = problem.ct.keep(("cut faces", problem.voxel_sizes_mm), lambda: cut_faces(coarse))
    if not faces:
        return None
    faces = tuple(face.inwards(spared_mm / coarse.spacing_mm[face.axis]) for face in faces)
    scale = min(1.0, GRID_PX / max(view.camera.rows, view.camera.columns))
    camera = view.camera.resized(
        max(1, round(scale * view.camera.rows)), max(1, round(scale * view.camera.columns))
    )
    beyond = attenuation_beyond(faces, coarse, camera, view.camera_from_rig @ rig_from_ct)
    small = beyond < MISSING
    rows = torch.arange(view.camera.rows) * camera.rows // view.camera.rows
    columns = torch.arange(view.camera.columns) * camera.columns // view.camera.columns
    whole = small[rows[:, None], columns]
    usable = view.radiograph.mask
    left = float((whole & usable).sum()) / max(1.0, float(usable.sum()))
    return whole if LEAST_COVERED <= left < 1.0 else None


def _fraction_apart(one: Tensor | None, other: Tensor | None) -> float:
    """Return in which fraction of the image two coverages [H,W] differ; None covers all."""
    if one is None and other is None:
        return 0.0
    if one is None or other is None:
        mask = one if other is None else other
        assert mask is not None
        return 1.0 - float(mask.float().mean())
    return float((one != other).float().mean())
