"""The folder of a sequence: poses.csv, sequence.json, sequence.png and motion.png."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from wsreg import __version__
from wsreg.files.json_files import write_json
from wsreg.files.whole import staged_folder
from wsreg.geometry.camera_file import camera_record
from wsreg.outputs.motion_figure import write_motion_figure
from wsreg.outputs.pictures import write_png
from wsreg.outputs.sequence_picture import sequence_picture
from wsreg.outputs.sequence_tables import write_poses, write_smoothed_poses
from wsreg.registration.result_record import as_plain
from wsreg.registration.sequence.frames import FrameViews
from wsreg.registration.sequence.result import SequenceResult
from wsreg.rendering.prepared import PreparedCt

SCHEMA_VERSION = "1"
POSES_FILE, SMOOTHED_FILE, RECORD_FILE = "poses.csv", "poses-smoothed.csv", "sequence.json"
PICTURE_FILE, MOTION_FILE = "sequence.png", "motion.png"
SEQUENCE_FILES = (POSES_FILE, SMOOTHED_FILE, RECORD_FILE, PICTURE_FILE, MOTION_FILE)


def write_sequence(
    result: SequenceResult,
    folder: str | Path,
    *,
    frames: Sequence[FrameViews],
    ct: PreparedCt,
    inputs: Mapping[str, Mapping[str, str]],
    notes: Sequence[str] = (),
    smooth_frames: float | None = None,
) -> list[str]:
    """Write all files of a sequence, or none.

    Args:
        result: what was found.
        folder: made if absent.
        frames: its X-rays, for the picture; none of a rig but the first view.
        ct: the CT, for the picture.
        inputs: name and hash of the file or folder behind each role.
        notes: sentences on what was found, assumed or left out.
        smooth_frames: standard deviation of the Gaussian by which poses are smoothed, in frames,
            for a file of their own; none is written without.

    Returns:
        The names of the files.

    Raises:
        InputError: the folder cannot be written, or the smoothing is not positive.
    """
    folder = Path(folder)
    smoothed = [] if smooth_frames is None else [SMOOTHED_FILE]
    files = [POSES_FILE, *smoothed, RECORD_FILE, PICTURE_FILE, MOTION_FILE]
    outdated = (SMOOTHED_FILE,) if smooth_frames is None else ()
    with staged_folder(folder, outdated) as staging:
        write_poses(result, staging / POSES_FILE)
        if smooth_frames is not None:
            write_smoothed_poses(result, smooth_frames, staging / SMOOTHED_FILE)
        write_png(sequence_picture(result, frames, ct), staging / PICTURE_FILE)
        write_motion_figure(result, staging / MOTION_FILE)
        content = _record(result, smooth_frames)
        content |= {"inputs": dict(inputs), "notes": list(notes), "files": files}
        write_json(staging / RECORD_FILE, content)
    return files


def _record(result: SequenceResult, smooth_frames: float | None) -> dict[str, Any]:
    ways = [frame.found_by for frame in result.frames]
    return {
        "schema": SCHEMA_VERSION,
        "frames": len(result.frames),
        "verdicts": {status: result.count(status) for status in ("pass", "check", "fail")},
        "found_by": {way: ways.count(way) for way in sorted(set(ways))},
        "lost": [frame.number for frame in result.frames if frame.verdict.status == "fail"],
        "bodies": {name: {"labels": list(body.labels), "pivot_mm": body.pivot_mm.tolist()}
                   for name, body in result.bodies.items()},
        "camera": camera_record(result.camera),
        "seconds": result.seconds,
        "frames_per_second": len(result.frames) / result.seconds if result.seconds else None,
        "smooth_frames": smooth_frames,
        "config": as_plain(result.config),
        "versions": {
            "wsreg": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }  # fmt: skip
