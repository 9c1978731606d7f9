"""Labels of the CT that are wrong: does registering several bodies do harm, or is it said?

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/label_errors.py --cohort cohort.h5 [--write]

Every error is made in the labels of each specimen; each of some X-rays is registered from 20 mm off
with the wrong labels, with the right ones, and as one body, which needs none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import RegistrationResult, Volume, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.pose_errors import pose_errors
from wsreg.evaluation.starts import seeded_start
from wsreg.threads import thread_count

LEFT_HIP, RIGHT_HIP, SPINE, SACRUM, LEFT_FEMUR, RIGHT_FEMUR = range(1, 7)
START_MM, SEED = 20.0, 0
WORSE_MM = 0.2
"""An answer may be so much worse than that of one body, without a word."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: a virtual cohort's file.
        every: take one X-ray in so many.
        write: put the report into docs/results.md.
    """

    cohort: Path
    every: int = 4
    write: bool = False


def exchanged(a: int, b: int) -> Callable[[Volume, Mapping[str, Tensor]], Tensor]:
    """Return an error: two labels stand for each other."""

    def make(volume: Volume, _: Mapping[str, Tensor]) -> Tensor:
        labels = volume.labels
        assert labels is not None
        return torch.where(labels == a, b, torch.where(labels == b, a, labels))

    return make


def head_in_pelvis(volume: Volume, landmarks_mm: Mapping[str, Tensor]) -> Tensor:
    """Return labels in which the head of the left femur is called hip bone."""
    near = distance_mm(volume, landmarks_mm["FH-l"]) < 28.0
    assert volume.labels is not None
    return torch.where(near & (volume.labels == LEFT_FEMUR), LEFT_HIP, volume.labels)


def hole(volume: Volume, landmarks_mm: Mapping[str, Tensor]) -> Tensor:
    """Return labels with a hole of 50 mm through the left hip bone and what is around."""
    near = distance_mm(volume, landmarks_mm["GSN-l"]) < 25.0
    assert volume.labels is not None
    return torch.where(near, 0, volume.labels)


def thick(volume: Volume, _: Mapping[str, Tensor]) -> Tensor:
    """Return labels that reach a voxel too far on every side."""
    assert volume.labels is not None
    grown = torch.nn.functional.max_pool3d(volume.labels[None, None].float(), 3, 1, 1)[0, 0]
    return torch.where(volume.labels == 0, grown.to(volume.labels.dtype), volume.labels)


ERRORS: Mapping[str, Callable[[Volume, Mapping[str, Tensor]], Tensor]] = {
    "femurs exchanged": exchanged(LEFT_FEMUR, RIGHT_FEMUR),
    "left hip and left femur exchanged": exchanged(LEFT_HIP, LEFT_FEMUR),
    "spine and sacrum exchanged": exchanged(SPINE, SACRUM),
    "spine and right femur exchanged": exchanged(SPINE, RIGHT_FEMUR),
    "head of the left femur called hip": head_in_pelvis,
    "a hole of 50 mm": hole,
    "a voxel too thick": thick,
}


def distance_mm(volume: Volume, point_mm: Tensor) -> Tensor:
    """Return [D,H,W] the distance of every voxel from a point (LPS mm)."""
    index = torch.stack(torch.meshgrid(*map(torch.arange, volume.hu.shape), indexing="ij"), dim=-1)
    affine = volume.ct_from_voxel.float()
    points = index.flip(-1).float() @ affine[:3, :3].T + affine[:3, 3]
    distance: Tensor = torch.linalg.norm(points - point_mm.float(), dim=-1)
    return distance


def error_mm(sample: Sample, found: RegistrationResult) -> float:
    """Return the projected error of the pelvis, or the infinite of none."""
    errors = pose_errors(sample, found.camera_from_ct, sample.volume.centre_mm)
    return float(np.nan_to_num(errors.mpd_mm, nan=np.inf))


def named(found: RegistrationResult, usual: RegistrationResult) -> bool:
    """Return whether a result says that something is wrong which the usual one does not say."""

    def reasons(result: RegistrationResult) -> set[str]:
        each = [result.verdict, *(body.verdict for body in result.bodies.values())]
        return {r for verdict in each if verdict.status != "pass" for r in verdict.reasons}

    return any("labels" in reason for reason in reasons(found) - reasons(usual))


def run(options: Options) -> dict[str, list[tuple[float, float, float, bool]]]:
    """Return for each error the distances with wrong labels, right ones, one body; was it said?"""
    rows: dict[str, list[tuple[float, float, float, bool]]] = {name: [] for name in ERRORS}
    with DeepFluoroFile(options.cohort) as cohort:
        for specimen in tqdm(cohort.specimens):
            landmarks = cohort.landmarks_mm(specimen)
            samples = list(cohort.samples(specimen))[:: options.every]
            volume = samples[0].volume
            starts = [seeded_start(sample, START_MM, SEED) for sample in samples]
            right = [
                register(s.radiograph, volume, init=start)
                for s, start in zip(samples, starts, strict=True)
            ]
            one = [
                register(s.radiograph, volume, init=start, bodies=None)
                for s, start in zip(samples, starts, strict=True)
            ]
            for name, make in ERRORS.items():
                wrong = dataclasses.replace(volume, labels=make(volume, landmarks))
                for sample, start, usual, block in zip(samples, starts, right, one, strict=True):
                    found = register(sample.radiograph, wrong, init=start)
                    rows[name].append(
                        (
                            error_mm(sample, found), error_mm(sample, usual),
                            error_mm(sample, block), named(found, usual),
                        )
                    )  # fmt: skip
    return rows


def report(rows: Mapping[str, list[tuple[float, float, float, bool]]]) -> str:
    """The table as markdown."""
    lines = [
        "### Wrong labels", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        "Pelvis, projected error in mm from starts 20 mm off.  Unsaid harm: answers that are worse "
        f"than with one body by more than {WORSE_MM} mm and whose verdicts do not name the labels.",
        "",
        "| error in the labels | n | wrong labels: median | worst | right labels: median "
        "| one body: median | worst against one body | named | unsaid harm |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, trials in rows.items():
        wrong, right, one, said = (np.array(column) for column in zip(*trials, strict=True))
        worse = wrong - one
        unsaid = int(((worse > WORSE_MM) & ~said.astype(bool)).sum())
        lines.append(
            f"| {name} | {len(trials)} | {np.median(wrong):.2f} | {wrong.max():.2f} | "
            f"{np.median(right):.2f} | {np.median(one):.2f} | {worse.max():+.2f} | "
            f"{np.mean(said.astype(bool)):.0%} | {unsaid} |"
        )
    return "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(run(options))
    print(text)
    if options.write:
        write_section("wrong labels", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
