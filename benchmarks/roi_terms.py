"""What regions of interest do for a registration: success by start error, and the paper's loop.

    wsreg train segmentation --data cohort.h5 --hold-out 17-1882 --out unet-17-1882
    python benchmarks/roi_terms.py --cohort cohort.h5 --model unet-17-1882            # run, report
    python benchmarks/roi_terms.py --cohort cohort.h5 --model unet-17-1882 --write    # and keep

On the specimens that the model has not seen; the pose of the pelvis is sought from the same starts
by every method.  Regions are those that move with the pelvis: femurs have poses of their own.
Every trial is appended to a journal under ``benchmarks/output/roi-terms`` as it ends, so a run that
is interrupted goes on where it was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import RegistrationConfig, RegistrationResult, __version__, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.starts import seeded_start
from wsreg.evaluation.trial import Trial
from wsreg.files.hashes import sha256_of
from wsreg.networks.checkpoint import WEIGHTS_FILE
from wsreg.registration.terms.config import RoiConfig
from wsreg.segmentation.network_rois import network_against_rendered, network_on_both_sides
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.segmenter import Segmenter, load_segmenter
from wsreg.training.layers import true_masks

OUTPUT = Path(__file__).parent / "output" / "roi-terms"
START_ERRORS_MM = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 125.0, 150.0)
LOOP_ERROR_MM = 20.0
"""Of the starts of the paper's loop, which takes minutes."""
SUCCESS_MM = (1.0, 2.0)
CAPTURED = 0.95
PELVIS = (1, 2, 3, 4)
"""Labels of hemipelves, vertebrae and upper sacrum."""

BOTH = RegistrationConfig()
DICE = RegistrationConfig(
    rois=RoiConfig(distance_weight=0.0), roi_approach=RoiConfig(distance_weight=0.0)
)
DISTANCE = RegistrationConfig(
    rois=RoiConfig(dice_weight=0.0), roi_approach=RoiConfig(dice_weight=0.0)
)
ADAM = RegistrationConfig(method="adam", probes=0)

Rois = Callable[[Sample, Segmenter], RoiTarget | None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        model: folder of a U-Net written by ``wsreg train segmentation``.
        seeds: of the starts; each X-ray gets one start for each and each distance.
        limit: at most so many X-rays of each specimen.
        loop: X-rays that the paper's loop is run on.
        write: put the report into docs/results.md.
    """

    cohort: Path
    model: Path
    seeds: tuple[int, ...] = (0,)
    limit: int | None = None
    loop: int = 12
    write: bool = False


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to register: regions of the X-ray, and settings."""

    rois: Rois
    config: RegistrationConfig


def without(sample: Sample, segmenter: Segmenter) -> None:
    """No regions."""


def found(sample: Sample, segmenter: Segmenter) -> RoiTarget:
    """The network's masks, against rendered labels."""
    return network_against_rendered(segmenter, sample.radiograph, sample.volume).restricted_to(
        PELVIS
    )


def found_twice(sample: Sample, segmenter: Segmenter) -> RoiTarget:
    """The network's masks, against the network's masks of the rendered image."""
    both = network_on_both_sides(segmenter, sample.radiograph)
    names = [sample.volume.label_names[label] for label in PELVIS]
    return both.at([both.names.index(name) for name in names])


def true(sample: Sample, segmenter: Segmenter) -> RoiTarget:
    """Silhouettes of the CT's labels at the true pose, against rendered labels."""
    masks, _ = true_masks(sample, PELVIS)
    names = tuple(sample.volume.label_names[label] for label in PELVIS)
    groups = tuple((label,) for label in PELVIS)
    return RoiTarget(names=names, masks=masks.float(), labels=groups)


METHODS: Mapping[str, Method] = {
    "no regions": Method(rois=without, config=BOTH),
    "U-Net, Dice": Method(rois=found, config=DICE),
    "U-Net, distance": Method(rois=found, config=DISTANCE),
    "U-Net, both": Method(rois=found, config=BOTH),
    "true masks, both": Method(rois=true, config=BOTH),
}
LOOPS: Mapping[str, Method] = {
    "U-Net in the loop, 250 Adam steps": Method(rois=found_twice, config=ADAM),
}


def run(
    cohort: DeepFluoroFile, options: Options, segmenter: Segmenter, name: str, distance_mm: float,
    seed: int, limit: int | None,
) -> list[Trial]:  # fmt: skip
    """Trials of one method at one distance; what the journal holds is not run again."""
    method = {**METHODS, **LOOPS}[name]
    setup = {
        "method": name,
        "wsreg": __version__,
        "config": method.config.record(),
        "start_distance_mm": distance_mm,
        "start_seed": seed,
        "cohort_sha256": sha256_of(options.cohort),
    }
    if method.rois in (found, found_twice):
        setup["model_sha256"] = sha256_of(options.model / WEIGHTS_FILE)

    def registered(sample: Sample) -> RegistrationResult:
        start = seeded_start(sample, distance_mm, seed)
        rois = method.rois(sample, segmenter)
        return register(
            sample.radiograph, sample.volume, init=start, rois=rois, config=method.config
        )

    slug = "".join(c if c.isalnum() else "-" for c in name.lower())
    journal = open_journal(OUTPUT / f"{slug}-{distance_mm:g}mm-{seed}.jsonl", setup)
    return score(registered, samples(cohort, segmenter, limit), journal=journal)


def samples(cohort: DeepFluoroFile, segmenter: Segmenter, limit: int | None) -> Iterator[Sample]:
    """X-rays of the specimens that the model has not seen."""
    for specimen in segmenter.card.held_out:
        for projection in cohort.projections(specimen)[:limit]:
            yield cohort.sample(specimen, projection)


def report(
    options: Options,
    trials: Mapping[tuple[str, float], Sequence[Trial]],
    loops: Mapping[str, Sequence[Trial]],
    held_out: Sequence[str],
) -> str:
    """The tables as markdown."""
    cell = len(trials["no regions", START_ERRORS_MM[0]])
    return "\n\n".join(
        (
            f"### Regions of interest in the registration, `{options.cohort.name}`",
            f"{describe_hardware(torch.get_num_threads(), ('torch', 'numba', 'wsreg'))}.",
            f"Held-out specimen {', '.join(held_out)}, the pelvis; {cell} trials in each cell.  "
            "Fraction of answers under a projected distance (mpd), by the start's 3D error in mm; "
            f"capture range: the largest start error up to which at least {CAPTURED:.0%} are.",
            *(
                f"Under {limit_mm:g} mm:\n\n{success_table(trials, limit_mm)}"
                for limit_mm in SUCCESS_MM
            ),
            f"The paper's loop from starts {LOOP_ERROR_MM:g} mm away, medians:",
            loop_table(trials["U-Net, both", LOOP_ERROR_MM], loops),
        )
    )


def success_table(trials: Mapping[tuple[str, float], Sequence[Trial]], limit_mm: float) -> str:
    """Success by method and start error."""
    heads = " | ".join(f"{distance:g}" for distance in START_ERRORS_MM)
    lines = [
        f"| regions, terms | {heads} | capture range, mm | median mpd of successes, mm | seconds |",
        "|---" * (len(START_ERRORS_MM) + 4) + "|",
    ]
    for name in METHODS:
        fractions = [success(trials[name, distance], limit_mm) for distance in START_ERRORS_MM]
        answers = [t for distance in START_ERRORS_MM for t in trials[name, distance]]
        good = [t.errors.mpd_mm for t in answers if is_success(t, limit_mm)]
        seconds = np.median([t.seconds for t in answers])
        lines.append(
            f"| {name} | {' | '.join(f'{fraction:.0%}' for fraction in fractions)} "
            f"| {capture_range(fractions)} | {np.median(good):.2f} | {seconds:.2f} |"
        )
    return "\n".join(lines)


def loop_table(ours: Sequence[Trial], loops: Mapping[str, Sequence[Trial]]) -> str:
    """Rendered regions and Gauss-Newton against loops, on the X-rays that all were run on."""
    rows = [
        "| method | under 1 mm | mpd, mm | mTRE 3D, mm | seconds |",
        "|---|---|---|---|---|",
    ]
    methods = {"U-Net masks, rendered labels, Gauss-Newton": ours} | dict(loops)
    keys = set.intersection(*({trial.key for trial in some} for some in methods.values()))
    for name, some in methods.items():
        same = list({trial.key: trial for trial in reversed(some) if trial.key in keys}.values())
        mpd = np.median([t.errors.mpd_mm for t in same])
        mtre = np.median([t.errors.mtre_3d_mm for t in same])
        seconds = np.median([t.seconds for t in same])
        rows.append(
            f"| {name} | {success(same, 1.0):.0%} of {len(same)} | {mpd:.2f} | {mtre:.2f} "
            f"| {seconds:.2f} |"
        )
    return "\n".join(rows)


def is_success(trial: Trial, limit_mm: float) -> bool:
    """Whether the answer is near enough."""
    return trial.answered and trial.errors.mpd_mm < limit_mm


def success(trials: Sequence[Trial], limit_mm: float) -> float:
    """Return the fraction of successes."""
    return float(np.mean([is_success(trial, limit_mm) for trial in trials]))


def capture_range(fractions: Sequence[float]) -> str:
    """Largest start error up to which enough answers succeed."""
    captured = "none"
    for fraction, distance in zip(fractions, START_ERRORS_MM, strict=True):
        if fraction < CAPTURED:
            break
        captured = f"{distance:g}"
    return captured


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    segmenter = load_segmenter(options.model)
    work = [(name, distance) for distance in START_ERRORS_MM for name in METHODS]
    with DeepFluoroFile(options.cohort) as cohort:
        one = functools.partial(run, cohort, options, segmenter)
        trials = {
            (name, distance): [
                t for seed in options.seeds for t in one(name, distance, seed, options.limit)
            ]
            for name, distance in tqdm(work)
        }
        loops = {name: one(name, LOOP_ERROR_MM, 0, options.loop) for name in tqdm(LOOPS)}
    text = report(options, trials, loops, segmenter.card.held_out)
    print(text)
    if options.write:
        write_section("roi_terms", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
