"""The trace of a registration as files: numbers, a plot, an animation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsreg.outputs.animation import write_animation
from wsreg.outputs.csv_file import Row, write_csv
from wsreg.outputs.figures import convergence_figure, write_figure
from wsreg.registration.result import RegistrationResult
from wsreg.registration.trace_step import TraceStep

TRACE_FILES = ("trace.csv", "convergence.png", "overlay.gif")

POSE_COLUMNS = tuple(f"camera_from_ct_{row}{column}" for row in range(4) for column in range(4))
"""Row by row."""


def write_trace(result: RegistrationResult, folder: Path) -> None:
    """Write ``TRACE_FILES`` of a result that has a trace.

    Raises:
        InputError: the folder cannot be written.
    """
    table, plot, film = (folder / name for name in TRACE_FILES)
    write_csv(trace_rows(result), trace_columns(result), table)
    write_figure(convergence_figure(result.trace), plot)
    write_animation(result, film)


def trace_columns(result: RegistrationResult) -> list[str]:
    """Return the columns of trace.csv."""
    before = ["step", "stage", "level", "iteration", "accepted", "loss", "similarity", "roi_dice"]
    return [*before, *_dice_columns(result.trace[-1]), "damping", "body", *POSE_COLUMNS]


def trace_rows(result: RegistrationResult) -> Iterator[Row]:
    """Yield a row for each step and body; ``roi_dice`` is the mean, empty without regions."""
    for number, step in enumerate(result.trace):
        dice = list(step.roi_dice.values())
        shared: Row = {
            "step": number,
            "stage": step.stage,
            "level": step.level,
            "iteration": step.iteration,
            "accepted": str(step.accepted).lower(),
            "loss": step.loss,
            "similarity": step.similarity,
            "roi_dice": sum(dice) / len(dice) if dice else "",
            **dict(zip(_dice_columns(step), dice, strict=True)),
            "damping": "" if step.damping != step.damping else step.damping,
        }
        for body, pose in zip(result.bodies, step.camera_from_ct, strict=True):
            numbers = [repr(value) for value in pose.flatten().tolist()]  # all their digits
            yield shared | {"body": body} | dict(zip(POSE_COLUMNS, numbers, strict=True))


def _dice_columns(step: TraceStep) -> list[str]:
    return [f"roi_dice_{name}" for name in step.roi_dice]
