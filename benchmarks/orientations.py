"""X-rays stored upside down, mirrored, or both: does a search find them, and what does it cost?

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/orientations.py --cohort cohort.h5 [--write]

Every X-ray of two real CTs and of a virtual cohort is searched as it is, turned by half a turn,
mirrored, and both, and once more as it is by a search that knows it to be so.  Every trial is
appended to a journal under ``benchmarks/output`` as it ends, so a run that is interrupted goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from cases import VOLUME_KEYS, load_cases
from hardware import describe_hardware
from results_file import write_section
from wsreg import (
    Camera,
    Radiograph,
    RegistrationConfig,
    __version__,
    prepare,
    read_radiograph,
    read_volume,
    register,
)
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.files.hashes import sha256_of
from wsreg.files.journal import open_row_journal
from wsreg.radiographs.mirror import mirrored_radiograph
from wsreg.registration.starts.config import SearchConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.threads import thread_count
from wsreg.volumes.examples import fetch_example

OUTPUT = Path(__file__).parent / "output"
HALF_TURN = torch.diag(torch.tensor((-1.0, -1.0, 1.0, 1.0), dtype=torch.float64))
KINDS = ("none", "half turn", "mirrored", "mirrored, half turn")
"""As a result names them."""
UPRIGHT = "none, known"
SUCCESS_MM, FAILURE_MM = 1.0, 10.0
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: a virtual cohort's file.
        every: take one of so many X-rays.
        write: put the report into docs/results.md.
    """

    cohort: Path
    every: int = 1
    write: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """An X-ray as the camera saw it, with the truth."""

    name: str
    source: str
    radiograph: Radiograph
    ct: PreparedCt
    truth: Tensor
    landmarks_mm: Tensor


def subjects(options: Options) -> Iterator[Subject]:
    """X-rays of the real CTs, then those of the cohort."""
    for key in VOLUME_KEYS:
        ct = prepare(read_volume(fetch_example(key).ct))
        for case in load_cases(key)[:: options.every]:
            yield Subject(
                name=case.name,
                source="real CTs",
                radiograph=read_radiograph(
                    case.image_path, camera=case.camera, intensity="transmission"
                ),
                ct=ct,
                truth=case.camera_from_ct,
                landmarks_mm=case.landmarks_mm,
            )
    with DeepFluoroFile(options.cohort) as cohort:
        for specimen in cohort.specimens:
            held = prepare(cohort.volume(specimen))
            for sample in list(cohort.samples(specimen))[:: options.every]:
                yield Subject(
                    name=sample.name,
                    source="cohort",
                    radiograph=sample.radiograph,
                    ct=held,
                    truth=sample.camera_from_ct,
                    landmarks_mm=landmarks_of(sample),
                )


def stored(subject: Subject, kind: str) -> tuple[Radiograph, Tensor, Camera]:
    """Return the X-ray as it is stored, with the true pose and camera that an answer refers to.

    Those of a mirrored X-ray are of the image mirrored back.
    """
    radiograph, truth = subject.radiograph, subject.truth
    camera = radiograph.camera
    assert camera is not None
    if "half turn" in kind:
        column, row = camera.centre_px
        centre = (camera.columns - 1 - column, camera.rows - 1 - row)
        camera, truth = dataclasses.replace(camera, principal_point_px=centre), HALF_TURN @ truth
        radiograph = dataclasses.replace(
            radiograph,
            image=radiograph.image.flip(0, 1),
            mask=radiograph.mask.flip(0, 1),
            camera=camera,
            opposite_polarity=None,
        )
    return mirrored_radiograph(radiograph) if "mirrored" in kind else radiograph, truth, camera


def trial(subject: Subject, kind: str) -> Row:
    """Search, and measure."""
    radiograph, truth, camera = stored(subject, kind)
    plain = SearchConfig(half_turned=False, mirrored=False)
    config = RegistrationConfig(search=plain) if kind == UPRIGHT else RegistrationConfig()
    found = register(radiograph, subject.ct, init="search", config=config)
    projected = float(mpd_mm(subject.landmarks_mm, found.camera_from_ct, truth, camera))
    return {
        "trial": f"{subject.name}/{kind}",
        "source": subject.source,
        "kind": kind,
        "mpd_mm": projected if np.isfinite(projected) else 1e3,
        "mtre_3d_mm": float(mtre_3d_mm(subject.landmarks_mm, found.camera_from_ct, truth)),
        "orientation": found.views[0].orientation,
        "verdict": found.verdict.status,
        "seconds": found.seconds["total"],
    }


def run(options: Options) -> list[Row]:
    """Run what has not been run, and give back every row."""
    plan = {"cohort": sha256_of(options.cohort), "every": options.every, "wsreg": __version__}
    journal = open_row_journal(OUTPUT / "orientations.jsonl", plan)
    rows = [dict(row) for row in journal.rows]
    done = {row["trial"] for row in rows}
    for subject in tqdm(subjects(options), desc="X-rays"):
        for kind in (*KINDS, UPRIGHT):
            if f"{subject.name}/{kind}" not in done:
                rows.append(trial(subject, kind))
                journal.append(rows[-1])
    return rows


def report(rows: Sequence[Row]) -> str:
    """The table as markdown."""
    lines = [
        "### X-rays upside down and mirrored", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        "Search around PA, four bodies in the cohort.  Found: under 1 mm projected and 10 mm in",
        "3D, against the image as stored, or mirrored back.  Seconds are medians, over those of a",
        "search that knows the X-ray to be as the camera saw it.", "",
        "| X-rays | stored | found | named rightly | pass / check / fail | wrong that pass |"
        " mpd median | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for source in ("real CTs", "cohort"):
        known = _seconds([row for row in rows if (row["source"], row["kind"]) == (source, UPRIGHT)])
        for kind in (*KINDS, UPRIGHT):
            some = [row for row in rows if (row["source"], row["kind"]) == (source, kind)]
            lines.append(f"| {source} | {kind} | {_cells(some, kind, known)} |")
    turned = [row for row in rows if row["kind"] not in ("none", UPRIGHT)]
    found = np.mean([_found(row) for row in turned])
    return "\n".join([*lines, "", f"Of {len(turned)} turned or mirrored, {found:.1%} are found."])


def _cells(rows: Sequence[Row], kind: str, known: float) -> str:
    statuses = [row["verdict"] for row in rows]
    named = kind.split(", known")[0]
    wrong = sum(row["verdict"] == "pass" and row["mtre_3d_mm"] > FAILURE_MM for row in rows)
    return " | ".join(
        (
            f"{sum(map(_found, rows))} of {len(rows)}",
            f"{sum(row['orientation'] == named for row in rows)}",
            " / ".join(str(statuses.count(status)) for status in ("pass", "check", "fail")),
            str(wrong),
            f"{np.median([row['mpd_mm'] for row in rows]):.2f} mm",
            f"{_seconds(rows):.2f} ({_seconds(rows) / known:.2f} x)",
        )
    )


def _found(row: Row) -> bool:
    return bool(row["mpd_mm"] < SUCCESS_MM and row["mtre_3d_mm"] < FAILURE_MM)


def _seconds(rows: Sequence[Row]) -> float:
    return float(np.median([row["seconds"] for row in rows]))


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(run(options))
    print(text)
    if options.write:
        write_section("orientations", text)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
