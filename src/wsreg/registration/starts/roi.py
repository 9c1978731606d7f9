"""A start from regions of interest alone: size, place and axes of each against the rendered ones.

No network in the loop, no landmarks, no pose to begin with.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import transform_points
from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig, minimise
from wsreg.registration.config import PoseScale
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.starts.rois import brought_near
from wsreg.registration.states import moved_together, spread_around, with_bodies
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm

TRIED, REFINED, KEPT = 32, 16, 6
"""Rotations tried in each quarter turn of the image; how many are refined by moments, and then by
overlap."""
REACH = PoseScale(rotation_rad=math.radians(40.0), shift_mm=0.0, depth_mm=0.0)
"""Half range of the rotations; place and distance follow from the regions."""
PLACED = 2
"""How often a pose is placed by centroids and areas before it is compared."""
DESCENT = LevenbergMarquardtConfig(max_iterations=12, tolerance=1e-2)
"""By moments; overlap finishes what they leave."""
MOMENTS_ALONE = RoiConfig(dice_weight=0.0, distance_weight=0.0, moments_weight=1.0)


def roi(problem: Problem, level: Level) -> Tensor:
    """Return states whose rendered regions lie where the X-ray's do, best first.

    Poses are compared by the moments of their regions, then by overlap.

    Raises:
        InputError: no region of the CT shows in the X-rays.
    """
    regions = level.with_rois_alone(MOMENTS_ALONE)
    if regions is None:
        raise InputError(
            "init 'roi' needs regions that the CT's labels have and the X-ray shows, got none"
        )
    states = _placed(problem, regions, _rotations(problem, level))
    with torch.no_grad():
        losses = torch.cat([regions.loss(some) for some in torch.split(states, 64)])
    states = states[losses.nan_to_num(nan=math.inf).argsort()[:REFINED]]
    longest = problem.settings.longest_step.vector(len(level.bodies))
    descents = minimise(
        regions.linearize, regions.move, states, longest, DESCENT,
        observe=problem.observer(regions),
    )  # fmt: skip
    best = descents.states[descents.values.argsort()[:KEPT]]
    near = brought_near(problem, level, best)
    assert near is not None
    return near


def _rotations(problem: Problem, level: Level) -> Tensor:
    """Return states [N,K,4,4] turned about the view, in each quarter turn of the image."""
    start = with_bodies(problem.start, len(level.bodies))
    pivot_mm, seed = problem.bodies[0].pivot_mm, problem.settings.seed
    tried = spread_around(start, pivot_mm, REACH.vector(1), TRIED, seed)
    quarters = torch.tensor([[0.0, 0.0, 0.5 * math.pi * n, 0, 0, 0] for n in range(4)])
    turned = [moved_together(state, quarters.double(), pivot_mm) for state in tried]
    return torch.cat(turned)


def _placed(problem: Problem, regions: Level, states: Tensor) -> Tensor:
    """Return states moved so that their regions have the X-ray's overall place and size."""
    view, pivot_mm = regions.views[0], problem.bodies[0].pivot_mm
    term, grid = view.roi_term, view.roi_grid
    assert isinstance(term, RenderedRoiTerm)
    assert grid is not None
    for _ in range(PLACED):
        with torch.no_grad():
            projections = [regions.project(some)[0] for some in torch.split(states, 64)]
            shift_px, size = (
                torch.cat(parts).double()
                for parts in zip(*(term.misplaced(seen) for seen in projections), strict=True)
            )
        in_camera = view.camera_from_rig @ states[:, 0]
        depth = transform_points(in_camera, pivot_mm[None])[:, 0, 2:]
        row_mm, column_mm = grid.camera.pixel_spacing_mm
        pixel_mm = torch.tensor((column_mm, row_mm), dtype=torch.float64)
        across = -shift_px * pixel_mm * depth / grid.camera.source_to_detector_mm
        deeper = depth * (size[:, None] - 1.0)
        moves = torch.cat((across, deeper), dim=-1) @ view.camera_from_rig[:3, :3]
        states = states.clone()
        states[..., :3, 3] += moves[:, None]
    return states
