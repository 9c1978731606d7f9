"""Two X-rays of one pose: what a second view adds, and whether a wrong rig is named.

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/two_views.py --cohort cohort.h5 [--write]

Every pair is a specimen of a virtual cohort, seen by a C-arm that turns 60 to 90 degrees about a
point on its axis; femurs and soft tissue have moved since the CT as in the cohort, and are the same
in both views.  Starts are 20 mm off (3D).  X-rays and trials are kept under ``benchmarks/output``,
so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, Radiograph, read_radiograph, register
from wsreg.cohort.exposure import (
    Acquisition,
    acquisition_from_record,
    acquisition_to_record,
    expose,
    sample_acquisition,
)
from wsreg.cohort.presets import PRESETS, person_of
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.evaluation.starts import perturbed_start
from wsreg.geometry.rig import orbit_rig, relative
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.rendering.prepared import PreparedCt
from wsreg.specimens.specimen import Specimen, build_specimen
from wsreg.threads import thread_count

OUTPUT = Path(__file__).parent / "output" / "two-views"
PRESET = PRESETS["small"]
CAMERA: Camera = PRESET.camera
ANGLE_DEG = (60.0, 90.0)
ISOCENTRE_MM = 740.0
START_MM = 20.0
NUDGE_DEG, NUDGE_MM = 1.5, 10.0
"""How wrong a rig is that is to be named, or how far a patient has moved between the views."""
KINDS = ("one view", "two views", "two views, one body", "two views, search", "moved")
TIMED = {
    "one view": "one view, four bodies",
    "two views, one body": "two views, one body",
    "two views": "two views, four bodies",
}
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: a virtual cohort's file; its seed makes the specimens again.
        pairs: how many of each specimen.
        only: specimens; all by default.
        fresh: run again what has been run before.
        timing: measure seconds alone, of a few pairs, on a machine that does nothing else.
        write: put the report into docs/results.md.
    """

    cohort: Path
    pairs: int = 12
    only: tuple[str, ...] = ()
    fresh: bool = False
    timing: bool = False
    write: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two X-rays of a specimen.

    Args:
        name: of the pair.
        specimen: of it.
        radiographs: both.
        camera_from_rig: of both; the first camera is the rig.
        poses: body -> [4,4] true ``camera_from_ct`` in the first view.
        start: [4,4] in the first view.
    """

    name: str
    specimen: str
    radiographs: tuple[Radiograph, ...]
    camera_from_rig: tuple[Tensor, ...]
    poses: dict[str, Tensor]
    start: Tensor


def in_second(
    acquisition: Acquisition, second_from_first: Tensor, other: Acquisition
) -> Acquisition:
    """Return how a second camera sees the same patient, with beam and tools of another X-ray."""
    return dataclasses.replace(
        other,
        poses={name: second_from_first @ pose for name, pose in acquisition.poses.items()},
        camera_from_tissue=second_from_first @ acquisition.camera_from_tissue,
    )


def make_pair(folder: Path, specimen: Specimen, generator: np.random.Generator) -> None:
    """Draw, expose and write a pair."""
    first = sample_acquisition(specimen, CAMERA, generator)
    angle = math.radians(generator.uniform(*ANGLE_DEG)) * generator.choice((-1.0, 1.0))
    rig = orbit_rig(CAMERA, angle_rad=angle, source_to_isocentre_mm=ISOCENTRE_MM)
    second_from_first = relative(rig)[1]
    second = in_second(
        first, second_from_first,
        sample_acquisition(specimen, CAMERA, generator, second_from_first @ first.camera_from_ct),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for number, acquisition in enumerate((first, second)):
        np.save(folder / f"view-{number}.npy", expose(specimen, CAMERA, acquisition).transmission)
    record = {
        "first": acquisition_to_record(first),
        "second_from_first": second_from_first.tolist(),
        "angle_deg": math.degrees(angle),
    }
    (folder / "pair.json").write_text(json.dumps(record), encoding="utf-8")


def pairs(options: Options, cohort: DeepFluoroFile) -> Iterator[Pair]:
    """Make what is missing, and read every pair."""
    seed = int(str(cohort.record["seed"]))
    for name in options.only or cohort.specimens:
        folders = [OUTPUT / f"seed-{seed}" / name / f"{n:02d}" for n in range(options.pairs)]
        missing = [folder for folder in folders if not (folder / "pair.json").exists()]
        if missing:
            specimen = build_specimen(person_of(name, seed), PRESET.detail)
            for folder in tqdm(missing, desc=f"X-rays of {name}"):
                place = [seed, list(cohort.specimens).index(name), int(folder.name)]
                make_pair(folder, specimen, np.random.default_rng(place))
        landmarks = torch.stack(list(cohort.landmarks_mm(name).values())).double()
        for folder in folders:
            yield read_pair(folder, name, landmarks, cohort.volume(name).centre_mm)


def read_pair(folder: Path, specimen: str, landmarks_mm: Tensor, pivot_mm: Tensor) -> Pair:
    record = json.loads((folder / "pair.json").read_text(encoding="utf-8"))
    acquisition = acquisition_from_record(record["first"])
    generator = np.random.default_rng([int(folder.name), 20])
    return Pair(
        name=f"{specimen}/{folder.name}",
        specimen=specimen,
        radiographs=tuple(
            read_radiograph(folder / f"view-{n}.npy", camera=CAMERA, intensity="transmission")
            for n in range(2)
        ),
        camera_from_rig=(
            torch.eye(4, dtype=torch.float64),
            torch.tensor(record["second_from_first"], dtype=torch.float64),
        ),
        poses=dict(acquisition.poses),
        start=perturbed_start(
            acquisition.camera_from_ct, landmarks_mm, pivot_mm, START_MM, generator
        ),
    )


def trial(kind: str, pair: Pair, ct: PreparedCt, landmarks_mm: Tensor) -> Row:
    """Register as a kind of trial asks, and measure."""
    rig, init = list(pair.camera_from_rig), pair.start
    count = 1 if kind == "one view" else 2
    if kind == "moved":
        rig[1] = nudged(rig[1], pair)
    found = register(
        pair.radiographs[:count],
        ct,
        init="search" if kind == "two views, search" else init,
        rig=rig[:count],
        bodies=None if kind == "two views, one body" else "auto",
    )
    true, pose = pair.poses["pelvis"], found.camera_from_ct
    projected = [
        float(mpd_mm(landmarks_mm, to @ pose, to @ true, CAMERA).nan_to_num(nan=1e3))
        for to in pair.camera_from_rig
    ]
    return {
        "trial": f"{kind}/{pair.name}",
        "kind": kind,
        "mtre_3d_mm": float(mtre_3d_mm(landmarks_mm, pose, true)),
        "mpd_mm": max(projected[:count]),
        "seconds": found.seconds["total"] - found.seconds["prepare_ct"],
        "verdict": found.verdict.status,
        "reasons": list(found.verdict.reasons),
        "similarity": [view.similarity_end for view in found.views],
        "deviation": found.standard_deviation.tolist(),
        "evidence": found.config["evidence"],
    }


def nudged(camera_from_rig: Tensor, pair: Pair) -> Tensor:
    """Return a second camera that does not stand where the rig says, turned and moved at random."""
    generator = np.random.default_rng([sum(map(ord, pair.name)), 3])
    axis, direction = (_unit(generator.normal(size=3)) for _ in range(2))
    turn = exp_so3(torch.from_numpy(axis) * math.radians(NUDGE_DEG))
    centre = camera_from_rig @ pair.poses["pelvis"]
    pivot = centre[:3, 3]
    move = rigid(turn, pivot - turn @ pivot + NUDGE_MM * torch.from_numpy(direction))
    return move @ camera_from_rig


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def run(options: Options) -> list[Row]:
    """Run what has not been run, and give back every row."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with DeepFluoroFile(options.cohort) as cohort:
        journal = OUTPUT / f"trials-{cohort.record['seed']}.jsonl"
        if options.fresh:
            journal.unlink(missing_ok=True)
        lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
        rows = [json.loads(line) for line in lines]
        done = {row["trial"] for row in rows}
        cts: dict[str, PreparedCt] = {}
        for pair in tqdm(pairs(options, cohort), desc="pairs"):
            landmarks = torch.stack(list(cohort.landmarks_mm(pair.specimen).values())).double()
            for kind in KINDS:
                if f"{kind}/{pair.name}" in done:
                    continue
                if pair.specimen not in cts:
                    cts = {pair.specimen: PreparedCt(volume=cohort.volume(pair.specimen))}
                    trial(kind, pair, cts[pair.specimen], landmarks)  # a first one lays grids out
                row = trial(kind, pair, cts[pair.specimen], landmarks)
                rows.append(row)
                with journal.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
    return rows


def timed(options: Options) -> str:
    """Return the seconds of registrations after loading, medians, as a table."""
    seconds: dict[str, list[float]] = {kind: [] for kind in TIMED}
    with DeepFluoroFile(options.cohort) as cohort:
        cts: dict[str, PreparedCt] = {}
        for pair in pairs(options, cohort):
            landmarks = torch.stack(list(cohort.landmarks_mm(pair.specimen).values())).double()
            warm = pair.specimen in cts
            ct = cts.setdefault(pair.specimen, PreparedCt(volume=cohort.volume(pair.specimen)))
            for kind in TIMED:
                if not warm:
                    trial(kind, pair, ct, landmarks)
                seconds[kind].append(trial(kind, pair, ct, landmarks)["seconds"])
    lines = [
        "### Seconds of bodies and views", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        "After loading and preparing the CT, from starts 20 mm off, on an idle machine.", "",
        "| registration | n | seconds, median | P95 |", "|---|---|---|---|",
    ]  # fmt: skip
    for kind, text in TIMED.items():
        some = np.array(seconds[kind])
        lines.append(
            f"| {text} | {len(some)} | {np.median(some):.2f} | {np.percentile(some, 95):.2f} |"
        )
    return "\n".join(lines) + "\n"


def report(rows: Sequence[Row]) -> str:
    """The tables as markdown."""
    lines = [
        "### Two views", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        f"Pairs of X-rays of virtual specimens, {ANGLE_DEG[0]:.0f} to {ANGLE_DEG[1]:.0f} degrees "
        f"apart; starts {START_MM:.0f} mm off but for the search.  `moved`: the second camera is "
        f"{NUDGE_DEG} degrees and {NUDGE_MM:.0f} mm away from where the rig says, as if the "
        "patient had moved.  Projected errors are those of the worse view.", "",
        "| trials | n | 3D mm, median | P95 | under 1 mm | projected mm, median | P95 "
        "| pass / check / fail | seconds, median |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in KINDS:
        some = [row for row in rows if row["kind"] == kind]
        if some:
            lines.append(_line(kind, some))
    return "\n".join(lines) + "\n"


def _line(kind: str, rows: Sequence[Row]) -> str:
    spatial, projected, seconds = (
        np.array([row[name] for row in rows]) for name in ("mtre_3d_mm", "mpd_mm", "seconds")
    )
    verdicts = [row["verdict"] for row in rows]
    counts = " / ".join(str(verdicts.count(name)) for name in ("pass", "check", "fail"))
    return (
        f"| {kind} | {len(rows)} | {np.median(spatial):.3f} | {np.percentile(spatial, 95):.2f} | "
        f"{np.mean(spatial < 1):.1%} | {np.median(projected):.3f} | "
        f"{np.percentile(projected, 95):.2f} | {counts} | {np.median(seconds):.2f} |"
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = timed(options) if options.timing else report(run(options))
    print(text)
    if options.write:
        write_section("seconds of bodies and views" if options.timing else "two views", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
