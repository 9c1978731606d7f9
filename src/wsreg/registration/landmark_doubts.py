"""Landmarks that lie elsewhere in the X-ray than an answer puts them."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.geometry.rigid import transform_points
from wsreg.registration.problem import Problem

FAR_MM = 15.0
"""On the detector; a hand that clicks a bone is a few millimetres off."""


def landmark_doubts(problem: Problem, state: Tensor) -> tuple[str, ...]:
    """Return a sentence on the landmarks that contradict a state [K,4,4]; none if they agree.

    They may have been clicked or named wrongly, or the answer is wrong: the image decides, and the
    person is told.
    """
    found, view = problem.landmarks, problem.views[0]
    if found is None:
        return ()
    in_camera = transform_points(view.camera_from_rig @ state[0], found.points_mm)
    seen = view.camera.project(in_camera)
    row_mm, column_mm = view.camera.pixel_spacing_mm
    off = (seen - found.pixels) * torch.tensor((column_mm, row_mm), dtype=torch.float64)
    distances = off.norm(dim=-1).nan_to_num(nan=float("inf")).tolist()
    far = [
        f"{name} ({distance:.0f} mm)"
        for name, distance in zip(found.names, distances, strict=True)
        if distance > FAR_MM
    ]
    if not far:
        return ()
    return (
        f"Landmarks lie elsewhere in the X-ray than the answer puts them: {', '.join(far)}, on "
        "the detector.",
    )
