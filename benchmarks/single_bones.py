"""One bone by itself (`render_labels`): found from near its start, or said not to be?

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/single_bones.py --cohort cohort.h5 [--write]

Bones of the virtual cohort, femurs at their own true poses, and of a real CT.  Starts lie so far
beside a bone's true pose, turned about its middle by half a degree for each millimetre.  Every
trial is appended to a journal under ``benchmarks/output/single-bones`` as it ends, so a run that is
interrupted goes on where it was.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from cases import load_cases
from hardware import describe_hardware
from results_file import write_section
from wsreg import Radiograph, __version__, read_radiograph, read_volume, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.files.hashes import sha256_of
from wsreg.files.journal import open_row_journal
from wsreg.geometry.rigid import perturb, transform_points
from wsreg.rendering.prepared import PreparedCt, prepare
from wsreg.threads import thread_count
from wsreg.volumes.examples import fetch_example
from wsreg.volumes.volume import Volume

OUTPUT = Path(__file__).parent / "output" / "single-bones"
STARTS_MM = (5.0, 10.0, 20.0)
DEG_FOR_MM = 0.5
RIGHT_MM = 2.0
"""Projected."""
LEAST_SHOWN = 0.5
"""Bones of which the X-ray shows less are left out."""
COHORT_BONES = ("left-hemipelvis", "upper-sacrum", "left-femur", "right-femur")
PELVIS_BONES = ("hip_left", "femur_right", "sacrum", "vertebrae_L4")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: a virtual cohort's file.
        every: take one of so many of its X-rays.
        cases: X-rays of the real CT.
        name: of the journal.
        write: put the report into docs/results.md.
    """

    cohort: Path
    every: int = 12
    cases: int = 2
    name: str = "reported"
    write: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A bone in an X-ray, and where it is."""

    xray: str
    bone: str
    label: int
    radiograph: Radiograph
    ct: PreparedCt
    truth: Tensor

    def points_mm(self) -> Tensor:
        """Return [N,3] points of the bone (CT, LPS mm)."""
        labels = self.ct.volume.labels
        assert labels is not None
        zyx = (labels == self.label).nonzero()
        chosen = zyx[:: max(1, len(zyx) // 500)].flip(-1).double()
        return transform_points(self.ct.volume.ct_from_voxel, chosen)

    def start(self, distance_mm: float) -> Tensor:
        """Return a pose so far beside the true one."""
        seed = [zlib.crc32(f"{self.xray}/{self.bone}".encode()), int(distance_mm)]
        way = np.random.default_rng(seed).normal(size=(2, 3))
        turn, shift = way / np.linalg.norm(way, axis=1, keepdims=True)
        angle = math.radians(DEG_FOR_MM * distance_mm)
        step = torch.from_numpy(np.concatenate((angle * turn, distance_mm * shift)))
        return perturb(self.truth, step, self.points_mm().mean(dim=0))

    def shown(self) -> float:
        """Return the fraction of the bone's points that the X-ray shows."""
        camera, mask = self.radiograph.camera, self.radiograph.mask
        assert camera is not None
        column, row = camera.project(transform_points(self.truth, self.points_mm())).unbind(-1)
        inside = (column > 0) & (row > 0) & (column < mask.shape[1] - 1) & (row < mask.shape[0] - 1)
        seen = mask[row[inside].round().long(), column[inside].round().long()]
        return float(seen.sum()) / len(column)


def subjects(options: Options) -> Iterator[Subject]:
    """Bones that X-rays show."""
    for subject in (*_of_real_ct(options), *_of_cohort(options)):
        if subject.shown() >= LEAST_SHOWN:
            yield subject


def _of_real_ct(options: Options) -> Iterator[Subject]:
    example = fetch_example("pelvis")
    ct = prepare(read_volume(example.ct, example.labels, example.label_names))
    for case in load_cases("pelvis", options.cases):
        radiograph = read_radiograph(case.image_path, camera=case.camera, intensity="transmission")
        for bone in PELVIS_BONES:
            yield Subject(
                xray=case.name, bone=bone, label=_label(ct.volume, bone), radiograph=radiograph,
                ct=ct, truth=case.camera_from_ct,
            )  # fmt: skip


def _of_cohort(options: Options) -> Iterator[Subject]:
    with DeepFluoroFile(options.cohort) as cohort:
        for specimen in cohort.specimens:
            ct = None
            for projection in cohort.projections(specimen)[:: options.every]:
                sample = cohort.sample(specimen, projection)
                ct = ct or prepare(sample.volume)
                for bone in COHORT_BONES:
                    truth = sample.poses.get(bone if "femur" in bone else "pelvis")
                    if truth is not None:
                        yield Subject(
                            xray=sample.name, bone=bone, label=_label(ct.volume, bone),
                            radiograph=sample.radiograph, ct=ct, truth=truth,
                        )  # fmt: skip


def _label(volume: Volume, name: str) -> int:
    return next(value for value, text in volume.label_names.items() if text == name)


def run(options: Options) -> list[Row]:
    """Run what the journal does not hold, and return all rows."""
    setup = {"wsreg": __version__, "cohort": sha256_of(options.cohort), "every": options.every,
             "cases": options.cases}  # fmt: skip
    journal = open_row_journal(OUTPUT / f"{options.name}.jsonl", setup)
    rows = [dict(row) for row in journal.rows]
    done = {(row["xray"], row["bone"], row["start_mm"]) for row in rows}
    for subject in tqdm(subjects(options)):
        for distance_mm in STARTS_MM:
            if (subject.xray, subject.bone, distance_mm) not in done:
                rows.append(_row(subject, distance_mm))
                journal.append(rows[-1])
    return rows


def _row(subject: Subject, distance_mm: float) -> Row:
    start, points = subject.start(distance_mm), subject.points_mm()
    found = register(subject.radiograph, subject.ct, init=start, render_labels=[subject.label])
    camera = found.camera
    projected = mpd_mm(points, found.camera_from_ct, subject.truth, camera).nan_to_num(nan=1e3)
    return {
        "xray": subject.xray, "bone": subject.bone, "start_mm": distance_mm,
        "mpd_mm": float(projected),
        "mtre_mm": float(mtre_3d_mm(points, found.camera_from_ct, subject.truth)),
        "moved_mm": float(mtre_3d_mm(points, found.camera_from_ct, start)),
        "verdict": found.verdict.status, "reasons": list(found.verdict.reasons),
        "seconds": found.seconds["total"] - found.seconds["prepare_ct"],
    }  # fmt: skip


def report(rows: Sequence[Row]) -> str:
    """The table as markdown."""
    lines = [
        "### Single bones", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        f"`render_labels`: a bone by itself from beside its true pose, turned by {DEG_FOR_MM:g} "
        f"degrees for each millimetre; X-rays that show at least {LEAST_SHOWN:.0%} of it.  Right: "
        f"under {RIGHT_MM:g} mm projected.  Moved: the farthest answer from its start.  "
        "Seconds are wall time on a shared machine.",
        "",
        "| bone | start, mm | n | right | projected, mm: median | worst | 3D, mm: median "
        "| pass / check / fail | wrong and pass | moved, mm | seconds, median |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for bone in dict.fromkeys(("all", *(row["bone"] for row in rows))):
        for start_mm in STARTS_MM:
            some = [
                row for row in rows if row["start_mm"] == start_mm and bone in ("all", row["bone"])
            ]
            lines.append(_line(bone, start_mm, some))
    return "\n".join(lines) + "\n"


def _line(bone: str, start_mm: float, rows: Sequence[Row]) -> str:
    projected = np.array([row["mpd_mm"] for row in rows])
    counts = [sum(row["verdict"] == s for row in rows) for s in ("pass", "check", "fail")]
    unsaid = sum(row["mpd_mm"] >= RIGHT_MM and row["verdict"] == "pass" for row in rows)
    return (
        f"| {bone} | {start_mm:g} | {len(rows)} | {np.mean(projected < RIGHT_MM):.0%} | "
        f"{np.median(projected):.2f} | {projected.max():.2f} | "
        f"{np.median([row['mtre_mm'] for row in rows]):.2f} | {' / '.join(map(str, counts))} | "
        f"{unsaid} | {max(row['moved_mm'] for row in rows):.0f} | "
        f"{np.median([row['seconds'] for row in rows]):.2f} |"
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(run(options))
    print(text)
    if options.write:
        write_section("single_bones", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
