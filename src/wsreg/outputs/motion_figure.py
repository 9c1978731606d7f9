"""motion.png: how each body of a sequence moves, as six curves over the frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsreg.files.whole import staged_file
from wsreg.geometry.rigid import twist_between
from wsreg.registration.sequence.result import SequenceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73")
LINES = ("-", "--", "-.")
"""Told apart with any colour vision (Okabe and Ito, Color Universal Design, 2008) and without."""
LOST_SHADE = "#d64545"
ROW_INCHES, WIDTH_INCHES = 1.9, 9.0
DPI = 130


def motion_figure(result: SequenceResult) -> Figure:
    """Draw each body's movement since the first frame in which it was found.

    Rotations are about, and translations along, the camera's axes, of the body's pivot.  Frames
    that fail have no points and are shaded.
    """
    from matplotlib.figure import Figure

    count = len(result.bodies)
    size = (WIDTH_INCHES, 0.6 + ROW_INCHES * count)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(count, 2, sharex=True, squeeze=False)
    lost = [frame.number for frame in result.frames if frame.verdict.status == "fail"]
    for (left, right), (name, body) in zip(panels, result.bodies.items(), strict=True):
        moved = movement(result.poses(name), body.pivot_mm)
        degrees = [[math.degrees(value) for value in row] for row in moved[:, :3].tolist()]
        _draw(left, degrees, f"{name}: turn (deg)", lost)
        _draw(right, moved[:, 3:].tolist(), f"{name}: shift (mm)", lost)
    for panel, words in zip(panels[0], ("about", "along"), strict=True):
        axes = ("columns (x)", "rows (y)", "rays (z)")
        named = [f"{words} {axis}" for axis in axes]
        panel.legend(
            panel.lines, named, fontsize=7, ncols=3, frameon=False, loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
        )  # fmt: skip
    for panel in panels[-1]:
        panel.set_xlabel("Frame (shaded: not found)" if lost else "Frame", fontsize=8)
    return figure


def write_motion_figure(result: SequenceResult, path: str | Path) -> None:
    """Write the figure as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with staged_file(path) as temporary:
        FigureCanvasAgg(motion_figure(result)).print_png(str(temporary))


def movement(poses: Sequence[Tensor | None], pivot_mm: Tensor) -> Tensor:
    """Return [N,6] pose parameters (rad, mm) of poses against the first there is; NaN without."""
    moved = torch.full((len(poses), 6), torch.nan, dtype=torch.float64)
    first = next((pose for pose in poses if pose is not None), None)
    for number, pose in enumerate(poses):
        if pose is not None and first is not None:
            moved[number] = twist_between(first, pose, pivot_mm)
    return moved


def _draw(panel: Axes, rows: list[list[float]], title: str, lost: Sequence[int]) -> None:
    """Draw three curves [N,3] over the frames."""
    for curve, colour, line in zip(zip(*rows, strict=True), COLOURS, LINES, strict=True):
        marker = "." if len(rows) < 100 else ""
        panel.plot(range(len(rows)), curve, color=colour, linestyle=line, marker=marker,
                   markersize=3, linewidth=1.2)  # fmt: skip
    for number in lost:
        panel.axvspan(number - 0.5, number + 0.5, color=LOST_SHADE, alpha=0.18, linewidth=0)
    panel.set_ylabel(title, fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3)
