"""Table 3 of the paper: every similarity, without and with regions of interest, by one solver.

    python benchmarks/similarities.py --cohort cohort.h5 --unet unet-17-1882           # run, report
    python benchmarks/similarities.py --cohort cohort.h5 --unet-folds unets --write    # and keep
    python benchmarks/similarities.py --cohort cohort.h5 --unet unet-17-1882 --solver gauss-newton

The pose of the pelvis is sought from the same perturbed starts by all.  The paper's solver, 250
steps of Adam, has regions by a U-Net on both sides; Gauss-Newton takes what has a least-squares
form, with labels rendered on the moving side and no search.  Only specimens that a U-Net has not
seen take part; one that was trained on another cohort has seen none.
Every trial is appended to a journal under ``benchmarks/output/similarities`` as it ends, so a run
that is interrupted goes on where it was.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from roi_terms import found, found_twice
from wsreg import InputError, RegistrationConfig, RegistrationResult, __version__, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.starts import seeded_start
from wsreg.evaluation.summary import GroupSummary, Statistics, summarise_group
from wsreg.evaluation.trial import Trial
from wsreg.files.hashes import sha256_of
from wsreg.networks.checkpoint import WEIGHTS_FILE, ModelCard, read_card
from wsreg.optimisation.adam import AdamConfig
from wsreg.registration.config import levels_with
from wsreg.registration.terms.config import RoiConfig
from wsreg.segmentation.segmenter import Segmenter, load_segmenter
from wsreg.similarity.measures import MEASURES
from wsreg.threads import keep_to_one_thread
from wsreg.vocabulary import Method, SimilarityName

OUTPUT = Path(__file__).parent / "output" / "similarities"
PAPER = ("local-ncc", "global-ncc", "gradient-ncc", "ssim", "mse", "mae", "psnr", "multiscale-ncc")
"""The rows of the paper's table, and mutual information beside them if it is named."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        unet: folder of a U-Net; the specimens that it has not seen take part.
        unet_folds: folder with a U-Net for each specimen, in folders of their names.
        solver: the paper's, or Gauss-Newton.
        similarities: which; those of the paper by default.
        distance: how far off the starts are, mean over the landmarks in mm.
        seed: of the starts.
        roi_weight: of 1 - Dice, the paper's beta_2.
        steps: of Adam.
        xrays_per_specimen: at most so many.
        jobs: processes of one thread each.
        write: put the report into docs/results.md.
    """

    cohort: Path
    unet: Path | None = None
    unet_folds: Path | None = None
    solver: Method = "adam"
    similarities: tuple[SimilarityName, ...] = ()
    distance: float = 20.0
    seed: int = 0
    roi_weight: float = 0.1
    steps: int = 250
    xrays_per_specimen: int | None = None
    jobs: int = 1
    write: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the table on one specimen; ``unet`` has not seen it."""

    similarity: str
    with_rois: bool
    specimen: str
    unet: Path


def unets(options: Options) -> dict[str, Path]:
    """The folder of a U-Net for each specimen that takes part, in the cohort's order."""
    if (options.unet is None) == (options.unet_folds is None):
        raise InputError("similarities needs either --unet or --unet-folds")
    with DeepFluoroFile(options.cohort) as cohort:
        specimens = cohort.specimens
    folders = {name: options.unet or options.unet_folds / name for name in specimens}  # type: ignore[operator]
    own = sha256_of(options.cohort)
    return {
        name: folder
        for name, folder in folders.items()
        if folder.is_dir() and has_not_seen(read_card(folder), name, own)
    }


def has_not_seen(card: ModelCard, specimen: str, cohort_sha256: str) -> bool:
    """Whether a model was trained without a specimen, or on another file's people."""
    return card.data_sha256 != cohort_sha256 or specimen in card.held_out


def cells(options: Options) -> list[Cell]:
    """All lines on all specimens."""
    names = [
        name
        for name in options.similarities or PAPER
        if options.solver == "adam" or MEASURES[name].least_squares
    ]
    return [
        Cell(similarity=name, with_rois=with_rois, specimen=specimen, unet=folder)
        for specimen, folder in unets(options).items()
        for name, with_rois in itertools.product(names, (False, True))
    ]


def settings(options: Options, cell: Cell) -> RegistrationConfig:
    """Settings of a line; regions stay in the loss to the end."""
    levels = levels_with(cell.similarity)
    if options.solver == "adam":
        rois = RoiConfig(dice_weight=options.roi_weight, distance_weight=0.0)
        adam = AdamConfig(steps=options.steps)
        return RegistrationConfig(method="adam", probes=0, levels=levels, rois=rois, adam=adam)
    to_the_end = options.roi_weight if cell.with_rois else None
    return RegistrationConfig(levels=levels, roi_weight=to_the_end, search_if_lost=False)


@functools.lru_cache(maxsize=1)
def segmenter_of(folder: Path) -> Segmenter:
    """The U-Net of a folder."""
    return load_segmenter(folder, kind="unet")


def run_cell(options: Options, cell: Cell) -> list[Trial]:
    """Score what has not been scored; in a process of its own if there are several."""
    config = settings(options, cell)
    setup = {
        "method": "wsreg.register",
        "wsreg": __version__,
        "config": config.record(),
        "with_rois": cell.with_rois,
        "start_distance_mm": options.distance,
        "start_seed": options.seed,
        "cohort_sha256": sha256_of(options.cohort),
        "unet_sha256": sha256_of(cell.unet / WEIGHTS_FILE),
    }
    rois = "rois" if cell.with_rois else "image"
    name = f"{options.cohort.stem}-{options.solver}-{cell.similarity}-{rois}-{cell.specimen}"
    journal = open_journal(OUTPUT / f"{name}.jsonl", setup)

    def method(sample: Sample) -> RegistrationResult:
        regions = None
        if cell.with_rois:
            find = found_twice if options.solver == "adam" else found
            regions = find(sample, segmenter_of(cell.unet))
        start = seeded_start(sample, options.distance, options.seed)
        return register(sample.radiograph, sample.volume, init=start, rois=regions, config=config)

    with DeepFluoroFile(options.cohort) as cohort:
        names = cohort.projections(cell.specimen)[: options.xrays_per_specimen]
        keys = [(cell.specimen, projection) for projection in names]
        if all(key in journal.trials for key in keys):
            return [journal.trials[key] for key in keys]
        return score(method, (cohort.sample(*key) for key in keys), journal=journal)


def run(options: Options) -> dict[tuple[str, bool], list[Trial]]:
    """All trials, by similarity and whether regions take part."""
    work = cells(options)
    one = functools.partial(run_cell, options)
    bar = functools.partial(tqdm, desc=options.solver, total=len(work))
    if options.jobs == 1:
        keep_to_one_thread()
        found_in = list(bar(map(one, work)))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, context, keep_to_one_thread) as pool:
            found_in = list(bar(pool.map(one, work)))
    trials: dict[tuple[str, bool], list[Trial]] = {}
    for cell, some in zip(work, found_in, strict=True):
        trials.setdefault((cell.similarity, cell.with_rois), []).extend(some)
    return trials


def report(options: Options, trials: Mapping[tuple[str, bool], Sequence[Trial]]) -> str:
    """The table as markdown."""
    groups = {
        (name, with_rois): summarise_group(name, some) for (name, with_rois), some in trials.items()
    }
    first = next(iter(trials.values()))
    specimens = ", ".join(dict.fromkeys(trial.specimen for trial in first))
    how = (
        f"{options.steps} steps of Adam on the whole CT as one, regions by a U-Net on both sides"
        if options.solver == "adam"
        else "Gauss-Newton on pelvis, femurs and the rest, a U-Net's regions and rendered labels"
    )
    return "\n\n".join(
        (
            f"### Similarities on `{options.cohort.name}`: {options.solver}",
            f"{describe_hardware(1, ('torch', 'numba', 'wsreg'))}; {options.jobs} processes.",
            f"{how}, beta_2 = {options.roi_weight:g}.  {len(first)} X-rays of {specimens}, which "
            f"the U-Net has not seen, one start each {options.distance:g} mm off, the same for all "
            "lines.  Mean ± standard deviation; a trial without an answer counts as none under "
            "1 mm.  SRR: fraction under 1 mm, in 3D, projected, by DiffPose's evaluator.",
            table(groups),
            improvement(groups),
        )
    )


def table(groups: Mapping[tuple[str, bool], GroupSummary]) -> str:
    """A line for each similarity, without and with regions."""
    lines = [
        "| similarity | ROI | n (no answer) | mTRE 3D, mm | projected, mm | DiffPose's, mm "
        "| SRR 3D / projected / DiffPose's | over 10 mm | RE, deg | TE, mm | seconds |",
        "|---" * 11 + "|",
    ]
    for (name, with_rois), group in groups.items():
        some = group.distances
        names = ("mtre_3d_mm", "mpd_mm", "mtre_diffpose_mm")
        means = " | ".join(mean(some[one]) for one in names)
        rates = " / ".join(f"{some[one].under_1:.0%}" for one in names)
        lines.append(
            f"| {name} | {'with' if with_rois else 'without'} | {group.trials} "
            f"({group.unanswered}) | {means} | {rates} | {group.gfr:.0%} | {mean(some['re_deg'])} "
            f"| {mean(some['te_mm'])} | {group.median_seconds:.1f} |"
        )
    return "\n".join(lines)


def mean(found_in: Statistics) -> str:
    """Mean and standard deviation of a distance."""
    return f"{found_in.mean:.2f} ± {found_in.standard_deviation:.2f}"


def improvement(groups: Mapping[tuple[str, bool], GroupSummary]) -> str:
    """Say which lines regions improve, by the mean of each distance."""
    return "  ".join(
        _improved(groups, distance, said)
        for distance, said in (
            ("mtre_3d_mm", "mTRE in 3D"),
            ("mpd_mm", "projected distance"),
            ("mtre_diffpose_mm", "mTRE by DiffPose's evaluator"),
        )
    )


def _improved(groups: Mapping[tuple[str, bool], GroupSummary], distance: str, said: str) -> str:
    names = list(dict.fromkeys(name for name, _ in groups))
    worse = [
        name
        for name in names
        if not groups[name, True].distances[distance].mean
        < groups[name, False].distances[distance].mean
    ]
    text = f"Regions lower the mean {said} of {len(names) - len(worse)} of {len(names)} lines"
    return f"{text}, not of {', '.join(worse)}." if worse else f"{text}."


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(options, run(options))
    print(text)
    if options.write:
        write_section(f"similarities {options.cohort.stem} {options.solver}", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
