"""summary.csv: one row for each X-ray of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch

from wsreg.geometry.rigid import log_so3
from wsreg.outputs.csv_file import Row, write_csv
from wsreg.registration.result import POSE_AXES, RegistrationResult

_AXIS_COLUMNS = tuple(f"{axis}_{'deg' if axis.startswith('r') else 'mm'}" for axis in POSE_AXES)

COLUMNS = (
    "name",
    "verdict",
    "reasons",
    "similarity_start",
    "similarity_end",
    *_AXIS_COLUMNS,
    *(f"sd_{column}" for column in _AXIS_COLUMNS),
    "seconds",
    "error",
)
"""Columns of summary.csv.  rx..rz: rotation vector of ``camera_from_ct``; tx..tz: the pivot in the
camera frame; sd_: their standard deviations."""


def result_row(name: str, result: RegistrationResult) -> Row:
    """Return the row of an X-ray that was registered, whatever its verdict."""
    rotation, translation = result.camera_from_ct[:3, :3], result.camera_from_ct[:3, 3]
    pose = torch.cat((log_so3(rotation), rotation @ result.pivot_mm + translation))
    return {
        "name": name,
        "verdict": result.verdict.status,
        "reasons": " ".join(result.verdict.reasons),
        "similarity_start": result.similarity_start,
        "similarity_end": result.similarity_end,
        **_axis_values("", pose.tolist()),
        **_axis_values("sd_", result.standard_deviation.tolist()),
        "seconds": result.seconds["total"],
    }


def failed_row(name: str, error: str) -> Row:
    """Return the row of an X-ray that could not be registered at all."""
    return {"name": name, "error": error}


def write_summary(rows: Iterable[Row], path: str | Path) -> None:
    """Write the rows as CSV under ``COLUMNS``, whole or not at all; absent cells stay empty.

    Raises:
        InputError: the file cannot be written.
    """
    write_csv(rows, COLUMNS, path)


def _axis_values(prefix: str, values: Iterable[float]) -> dict[str, float]:
    """Return six numbers (rad, mm) under their columns, angles in degrees."""
    return {
        prefix + column: math.degrees(value) if column.endswith("deg") else value
        for column, value in zip(_AXIS_COLUMNS, values, strict=True)
    }
