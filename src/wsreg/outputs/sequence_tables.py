"""poses.csv: a row for each frame and body of a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from wsreg.outputs.csv_file import Row, write_csv
from wsreg.registration.result import Verdict
from wsreg.registration.sequence.result import SequenceResult
from wsreg.registration.sequence.smoothing import smoothed_poses

POSE_COLUMNS = tuple(f"camera_from_ct_{row}{column}" for row in range(4) for column in range(4))
COLUMNS = ("frame", "body", *POSE_COLUMNS, "verdict", "reason", "found_by", "name")
"""``frame`` counts from 0.  The pose is that in the first view, row by row, with all digits; its
cells are empty where a frame shows nothing.  ``found_by``: see
:data:`wsreg.registration.sequence.step.Way`.  ``name``: of the X-ray."""


def write_poses(result: SequenceResult, path: str | Path) -> None:
    """Write what was found, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_csv(_rows(result), COLUMNS, path)


def write_smoothed_poses(result: SequenceResult, deviation_frames: float, path: str | Path) -> None:
    """Write the poses smoothed over time; those of frames that fail stay empty.

    Raises:
        InputError: the deviation is not positive, or the file cannot be written.
    """
    smooth = {body: smoothed_poses(result.poses(body), deviation_frames) for body in result.bodies}
    write_csv(_rows(result, smooth), COLUMNS, path)


def _rows(
    result: SequenceResult, smooth: Mapping[str, list[Tensor | None]] | None = None
) -> Iterator[Row]:
    for frame in result.frames:
        for name, body in frame.bodies.items():
            pose = body.camera_from_ct if smooth is None else smooth[name][frame.number]
            yield {
                "frame": frame.number,
                "body": name,
                **_cells(pose),
                "verdict": body.verdict.status,
                "reason": _reason(body.verdict),
                "found_by": frame.found_by,
                "name": frame.name,
            }


def _cells(pose: Tensor | None) -> Row:
    numbers = [] if pose is None else [repr(value) for value in pose.flatten().tolist()]
    return dict(zip(POSE_COLUMNS, numbers, strict=False))


def _reason(verdict: Verdict) -> str:
    return " ".join(verdict.reasons)
