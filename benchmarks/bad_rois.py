"""Regions of interest that are wrong: do they lead a good image away, and is it said?

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/bad_rois.py --cohort cohort.h5 [--write]

Every X-ray is registered without regions and with regions that are wrong in many ways, from a start
20 mm off and by a search.  Every trial is appended to a journal under
``benchmarks/output/bad-rois`` as it ends, so a run that is interrupted goes on where it was.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from torch import Tensor
from tqdm import tqdm

from cases import Case, VolumeKey, load_cases
from hardware import describe_hardware
from results_file import write_section
from wrong_masks import WRONG, Masks
from wsreg import (
    Radiograph,
    RegistrationResult,
    Volume,
    __version__,
    read_radiograph,
    read_volume,
    register,
)
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.evaluation.starts import seeded_start
from wsreg.files.hashes import sha256_of
from wsreg.files.journal import open_row_journal
from wsreg.rendering.prepared import PreparedCt, prepare
from wsreg.rendering.render import render
from wsreg.segmentation.rois import RoiTarget
from wsreg.threads import thread_count
from wsreg.training.layers import COVERED_MM, true_masks
from wsreg.volumes.examples import fetch_example

OUTPUT = Path(__file__).parent / "output" / "bad-rois"
START_MM, SEED = 20.0, 0
WORSE_MM = 0.2
"""No answer with regions may be so much worse than the one without."""
RIGHT_MM = 2.0
"""Projected: what is right without regions."""
BONES: Mapping[str, tuple[str, ...]] = {
    "chest": (
        "scapula_left", "clavicula_left", "scapula_right", "clavicula_right", "vertebrae_T6",
        "vertebrae_T10", "sternum",
    ),
    "pelvis": ("hip_left", "femur_left", "hip_right", "femur_right", "sacrum", "vertebrae_L4"),
    "cohort": (
        "left-hemipelvis", "left-femur", "right-hemipelvis", "right-femur", "vertebrae",
        "upper-sacrum",
    ),
}  # fmt: skip
Init = Literal["near", "search"]
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: a virtual cohort's file.
        every: take one of so many of its X-rays.
        cases: X-rays of each real CT.
        inits: from where.
        name: of the journal.
        write: put the report into docs/results.md.
    """

    cohort: Path
    every: int = 12
    cases: int = 3
    inits: tuple[Init, ...] = ("near", "search")
    name: str = "reported"
    write: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """An X-ray with what is known of it."""

    name: str
    radiograph: Radiograph
    ct: PreparedCt
    truth: Tensor
    start: Tensor
    landmarks_mm: Tensor
    names: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    masks: Tensor
    others: Tensor

    def wrong(self, kind: str) -> RoiTarget:
        """Return the regions of a kind."""
        camera = self.radiograph.camera
        assert camera is not None
        depth_mm = float((self.truth[:3, :3] @ self.ct.volume.centre_mm + self.truth[:3, 3])[2])
        per_mm = camera.source_to_detector_mm / depth_mm / camera.pixel_spacing_mm[0]
        seed = zlib.crc32(self.name.encode())
        masks = WRONG[kind](
            Masks(names=self.names, masks=self.masks, pixels_per_mm=per_mm, others=self.others,
                  seed=seed)
        )  # fmt: skip
        return RoiTarget(names=self.names, masks=masks.float(), labels=self.labels)

    def errors_mm(self, pose: Tensor) -> tuple[float, float]:
        """Return the projected and the 3D error of a pose."""
        camera = self.radiograph.camera
        assert camera is not None
        projected = float(mpd_mm(self.landmarks_mm, pose, self.truth, camera).nan_to_num(nan=1e3))
        return projected, float(mtre_3d_mm(self.landmarks_mm, pose, self.truth))


def subjects(options: Options) -> Iterator[Subject]:
    """X-rays of the real CTs and of the cohort."""
    keys: tuple[VolumeKey, ...] = ("chest", "pelvis")
    for key in keys:
        if options.cases:
            yield from _of_real_ct(key, options)
    with DeepFluoroFile(options.cohort) as cohort:
        for specimen in cohort.specimens:
            chosen = cohort.projections(specimen)
            samples = [cohort.sample(specimen, projection) for projection in chosen]
            ct = None
            for number, sample in enumerate(samples):
                if number % options.every:
                    continue
                ct = ct or prepare(sample.volume)
                yield _of_sample(sample, samples[number - 1], ct)


def _of_real_ct(key: VolumeKey, options: Options) -> Iterator[Subject]:
    example = fetch_example(key)
    ct = prepare(read_volume(example.ct, example.labels, example.label_names))
    cases = load_cases(key, options.cases + 1)
    groups = _labels(ct.volume, BONES[key])
    masks = [_silhouettes(case, ct.volume, groups) for case in cases]
    for number, case in enumerate(cases[: options.cases]):
        radiograph = read_radiograph(case.image_path, camera=case.camera, intensity="transmission")
        yield Subject(
            name=case.name, radiograph=radiograph, ct=ct, truth=case.camera_from_ct,
            start=case.starts[0], landmarks_mm=case.landmarks_mm, names=BONES[key], labels=groups,
            masks=masks[number], others=masks[number + 1],
        )  # fmt: skip


def _of_sample(sample: Sample, other: Sample, ct: PreparedCt) -> Subject:
    groups = _labels(ct.volume, BONES["cohort"])
    values = [label for (label,) in groups]
    return Subject(
        name=sample.name, radiograph=sample.radiograph, ct=ct, truth=sample.camera_from_ct,
        start=seeded_start(sample, START_MM, SEED), landmarks_mm=landmarks_of(sample),
        names=BONES["cohort"], labels=groups, masks=true_masks(sample, values)[0],
        others=true_masks(other, values)[0],
    )  # fmt: skip


def _labels(volume: Volume, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    values = {name: value for value, name in volume.label_names.items()}
    return tuple((values[name],) for name in names)


def _silhouettes(case: Case, volume: Volume, groups: tuple[tuple[int, ...], ...]) -> Tensor:
    paths_mm = render(
        volume, case.camera, case.camera_from_ct[None], rois=groups, attenuation=False
    )
    return paths_mm[0] > COVERED_MM


def run(options: Options) -> list[Row]:
    """Run what the journal does not hold, and return all rows."""
    setup = {"wsreg": __version__, "cohort": sha256_of(options.cohort), "every": options.every,
             "cases": options.cases}  # fmt: skip
    journal = open_row_journal(OUTPUT / f"{options.name}.jsonl", setup)
    rows = [dict(row) for row in journal.rows]
    done = {(row["xray"], row["init"], row["regions"]) for row in rows}
    for subject in tqdm(subjects(options)):
        for init in options.inits:
            for kind in ("none", *WRONG):
                if (subject.name, init, kind) in done:
                    continue
                rois = None if kind == "none" else subject.wrong(kind)
                start = subject.start if init == "near" else "search"
                found = register(subject.radiograph, subject.ct, init=start, rois=rois)
                rows.append(_row(subject, init, kind, found))
                journal.append(rows[-1])
    return rows


def _row(subject: Subject, init: str, kind: str, found: RegistrationResult) -> Row:
    projected, in_3d = subject.errors_mm(found.camera_from_ct)
    return {
        "xray": subject.name, "init": init, "regions": kind, "mpd_mm": projected, "mtre_mm": in_3d,
        "verdict": found.verdict.status, "reasons": list(found.verdict.reasons),
        "seconds": found.seconds["total"] - found.seconds["prepare_ct"],
    }  # fmt: skip


def report(rows: Sequence[Row]) -> str:
    """The table as markdown."""
    none = {(row["xray"], row["init"]): row for row in rows if row["regions"] == "none"}
    right = {key for key, row in none.items() if row["mpd_mm"] < RIGHT_MM}
    lines = [
        "### Wrong regions of interest", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        f"{len({row['xray'] for row in rows})} X-rays of two real CTs and of the virtual cohort, "
        f"from starts {START_MM:g} mm off and by a search; answers that are right without regions "
        f"({len(right)} of {len(none)}).  Worse: by more than {WORSE_MM:g} mm than without "
        "regions, projected or in 3D.  Harm: the worst difference to that, in mm.  "
        "A bone that an X-ray does not show is not named, whatever its mask.  Seconds are wall "
        "time on a shared machine.",
        "",
        "| regions | start | n | worse | projected: median | harm | 3D: median | harm "
        "| pass / check / fail | regions named | seconds, median |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in ("none", *WRONG):
        for init in dict.fromkeys(row["init"] for row in rows):
            some = [
                row for row in rows
                if (row["regions"], row["init"]) == (kind, init)
                and (row["xray"], init) in right
            ]  # fmt: skip
            if some:
                lines.append(_line(kind, init, some, none))
    return "\n".join(lines) + "\n"


def _line(kind: str, init: str, rows: Sequence[Row], none: Mapping[tuple[str, str], Row]) -> str:
    ends = np.array([[row["mpd_mm"], row["mtre_mm"]] for row in rows])
    alone = [none[row["xray"], init] for row in rows]
    harm = ends - np.array([[row["mpd_mm"], row["mtre_mm"]] for row in alone])
    worse = int((harm > WORSE_MM).any(axis=1).sum())
    counts = [sum(row["verdict"] == s for row in rows) for s in ("pass", "check", "fail")]
    named = np.mean([any("contradict" in text for text in row["reasons"]) for row in rows])
    seconds = np.median([row["seconds"] for row in rows])
    return (
        f"| {kind} | {init} | {len(rows)} | {worse} | {np.median(ends[:, 0]):.2f} | "
        f"{harm[:, 0].max():+.2f} | {np.median(ends[:, 1]):.2f} | {harm[:, 1].max():+.2f} | "
        f"{' / '.join(map(str, counts))} | {named:.0%} | {seconds:.2f} |"
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(run(options))
    print(text)
    if options.write:
        write_section("bad_rois", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
