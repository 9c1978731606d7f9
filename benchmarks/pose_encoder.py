"""Pose encoders of the people of a cohort: training, first poses, and registrations from them.

    python benchmarks/pose_encoder.py --cohort cohort.h5            # train, run, then report
    python benchmarks/pose_encoder.py --cohort cohort.h5 --write    # into docs/results.md

Every encoder is kept under ``benchmarks/output/encoders`` and goes on from its last state, every
registration is appended to a journal, so a run that is interrupted goes on where it was.
The X-rays are the simulator's, which no encoder has learnt from.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import tyro
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import RegistrationResult, __version__, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.starts import seeded_start
from wsreg.evaluation.trial import Trial
from wsreg.files.hashes import sha256_of
from wsreg.geometry.rigid import rotation_angle_rad
from wsreg.networks.checkpoint import CARD_FILE, WEIGHTS_FILE, read_card
from wsreg.networks.normalisation import normalised
from wsreg.registration.starts.pose_estimator import PoseEstimator, load_pose_estimator
from wsreg.registration.states import HALF_TURN
from wsreg.rendering.prepared import PreparedCt
from wsreg.segmentation.segmenter import load_segmenter
from wsreg.threads import thread_count
from wsreg.training.encoder import EncoderTask, encoder_task
from wsreg.training.encoder_config import EncoderConfig, begun_config, small_config
from wsreg.training.encoder_data import encoder_batch, load_encoder_data
from wsreg.training.fit import fit

OUTPUT = Path(__file__).parent / "output"
ENCODERS = OUTPUT / "encoders"
GENERIC = Path("generic")
FRONTAL_DEG = 35.0
NINETY = 1.6449
Keys = set[tuple[str, str]]
T = TypeVar("T")
WARM_STEPS, ABLATION_STEPS = 2500, 600
"""Five minutes and one on two cores."""
ABLATION: Mapping[str, tuple[str, dict[str, Any]]] = {
    "geo": ("GEO", {"image_weight": 0.0, "roi_weight": 0.0}),
    "geo-ncc": ("GEO + mNCC", {"roi_weight": 0.0}),
    "unet": ("GEO + mNCC + ROI (U-Net)", {}),
    "rendered": ("GEO + mNCC + ROI (rendered)", {}),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        scratch: specimens whose encoder is trained without any weights, too (25 minutes each).
        unet: folder of a U-Net that has not seen the first specimen, for the ablation.
        precision: of the training.
        write: put the report into docs/results.md.
    """

    cohort: Path
    scratch: tuple[str, ...] = ("17-1882",)
    unet: Path = OUTPUT / "unet" / "17-1882"
    precision: str = "bf16-mixed"
    write: bool = False


def settings(steps: int | None, weights: dict[str, Any]) -> EncoderConfig:
    """Settings of a training from the generic encoder, or from nothing without steps."""
    config = small_config() if steps is None else begun_config(small_config())
    changed = dataclasses.replace(config.fit, steps=steps or config.fit.steps, save_every=500)
    return dataclasses.replace(config, validated=128, fit=changed, **weights)


def trained(
    options: Options, sample: Sample, name: str, steps: int | None, variant: str = "rendered"
) -> Path:
    """Train an encoder of a specimen, unless it is there, and return its folder."""
    folder = ENCODERS / f"{name}-{sample.specimen}"
    config = settings(steps, ABLATION[variant][1])
    if (folder / CARD_FILE).is_file() and read_card(folder).step == config.fit.steps:
        return folder
    segmenter = load_segmenter(options.unet, kind="unet") if variant == "unet" else None
    rois = () if segmenter is None else None
    data = load_encoder_data(PreparedCt(volume=sample.volume), sample.camera, config, rois)
    begin = None if steps is None else GENERIC
    task = encoder_task(data, config, folder, begin_with=begin, segmenter=segmenter)
    with tqdm(desc=folder.name, total=config.fit.steps) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            bar.n = done
            bar.refresh()

        fit(task, folder, precision=options.precision, workers=1, progress=progress)
    return folder


def first_poses(samples: Sequence[Sample], folder: Path) -> np.ndarray:
    """[N,4+6] of what an encoder finds: error mm, angle to PA deg, half turn right, sureness, z."""
    ready = load_pose_estimator(folder).for_ct(PreparedCt(volume=samples[0].volume))
    return np.array([_first_pose(sample, ready) for sample in samples])


def _first_pose(sample: Sample, ready: PoseEstimator) -> list[float]:
    found = ready.estimate(sample.radiograph, sample.camera)
    true, frame = sample.camera_from_ct, ready.frame
    points = torch.stack(list(sample.landmarks_mm.values()))
    upright = true[1, 2] < 0  # the patient's head is up in the image
    turned = HALF_TURN if found.turned else torch.eye(4, dtype=torch.float64)
    both = torch.stack([turned @ pose for pose in (found.camera_from_ct, true)])
    estimated, wanted = frame.numbers(both) * frame.units
    z = (estimated - wanted) / found.deviations
    angle = rotation_angle_rad((turned @ true)[:3, :3] @ frame.middle[:3, :3].T)
    error_mm = float(mtre_3d_mm(points, found.camera_from_ct[None], true[None])[0])
    right = bool(upright) != found.turned
    return [error_mm, math.degrees(float(angle)), float(right), found.unsure, *z.abs().tolist()]


def first_pose_line(name: str, rows: np.ndarray) -> str:
    """One line of the table of first poses."""
    error_mm = rows[:, 0]
    return (
        f"| {name} | {len(rows)} | {np.median(error_mm):.1f} | {np.quantile(error_mm, 0.95):.1f} | "
        f"{np.mean(rows[:, 2]):.0%} | {np.median(rows[:, 3]):.2f} | "
        f"{np.mean(rows[:, 4:] <= NINETY):.0%} |"
    )


def registrations(
    options: Options, samples: Mapping[str, Sequence[Sample]], one_body: bool
) -> dict[str, list[Trial]]:
    """Register every X-ray from each start; seconds are those of one run, by turns of specimens."""
    found: dict[str, list[Trial]] = {}
    for specimen, own in samples.items():
        ct = PreparedCt(volume=own[0].volume)
        patient = load_pose_estimator(ENCODERS / f"warm-{specimen}").for_ct(ct)
        generic = load_pose_estimator(GENERIC).for_ct(ct)
        setup = {
            "wsreg": __version__,
            "cohort_sha256": sha256_of(options.cohort),
            "weights": sha256_of(ENCODERS / f"warm-{specimen}" / WEIGHTS_FILE),
        }
        starts = {"20 mm": None, "search": "search", "encoder": patient, "generic": generic}
        for name, init in starts.items():
            method = functools.partial(_registered, ct, init, one_body)
            what = f"{name.replace(' ', '-')}-{'one' if one_body else 'bodies'}-{specimen}"
            journal = open_journal(ENCODERS / f"{what}.jsonl", setup)
            found.setdefault(name, []).extend(score(method, tqdm(own, desc=what), journal=journal))
    return found


def _registered(ct: PreparedCt, init: object, one_body: bool, sample: Sample) -> RegistrationResult:
    start = seeded_start(sample, 20.0, 0) if init is None else init
    return register(sample.radiograph, ct, init=start, bodies=None if one_body else "pelvis")


def registration_table(found: Mapping[str, Sequence[Trial]], keys: Keys) -> str:
    """The table of registrations, of the X-rays with these keys."""
    lines = [
        "| start | n | over 10 mm in 3D | `pass` of these | under 1 mm projected | 3D median | "
        "seconds, median | of search |",
        "|---|---|---|---|---|---|---|---|",
    ]
    searched = np.median([t.seconds for t in found["search"] if t.key in keys])
    for name, trials in found.items():
        own = [trial for trial in trials if trial.key in keys]
        error_mm = np.array([trial.errors.mtre_3d_mm for trial in own])
        wrong = ~(error_mm <= 10.0)
        passed = sum(t.verdict == "pass" for t, bad in zip(own, wrong, strict=True) if bad)
        good = np.mean([trial.errors.mpd_mm < 1.0 for trial in own])
        seconds = np.median([trial.seconds for trial in own])
        lines.append(
            f"| {name} | {len(own)} | {wrong.sum()} | {passed} | {good:.0%} | "
            f"{np.nanmedian(error_mm):.2f} mm | {seconds:.2f} | {seconds / searched:.0%} |"
        )
    return "\n".join(lines)


def shares(task: EncoderTask, steps: int = 12) -> str:
    """The table of what the time of a step goes to, on one thread."""
    clocks = [_shares_of_step(task, number) for number in range(steps)][2:]  # kernels are made
    total = sum(sum(clock.values()) for clock in clocks)
    lines = ["| what | ms an image | of a step |", "|---|---|---|"]
    for name in clocks[0]:
        part = sum(clock[name] for clock in clocks)
        each_ms = 1e3 * part / len(clocks) / task.config.fit.batch
        lines.append(f"| {name} | {each_ms:.2f} | {part / total:.0%} |")
    return "\n".join(lines)


def _shares_of_step(task: EncoderTask, number: int) -> dict[str, float]:
    data, generator = task.patients[0], np.random.default_rng(number)
    batch, made = _timed(lambda: encoder_batch(task.patients, task.config, number, 0.8))
    poses, who = data.frame.pose(batch.numbers), batch.who
    _, layers = _timed(lambda: data.layers.render(data.frame.camera, poses, generator))
    _, compared = _timed(lambda: task.rendered(poses, who))

    def learn() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            numbers, sureness = task.network(normalised(batch.images, batch.valid))
        (numbers.sum() + sureness.sum()).backward()

    leaf = batch.numbers.float().add(0.1).requires_grad_()
    estimated = task.poses(leaf, who)
    _, learnt = _timed(learn)
    _, marched = _timed(lambda: task.rendered(task.poses(leaf, who), who))
    _, lost = _timed(lambda: task.pose_loss(estimated, poses, batch).mean().backward())
    return {
        "rendering": layers + compared + marched,
        "randomisation": made - layers - compared,
        "network": learnt,
        "loss, less its rendering": lost - marched,
    }


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin


def steps_line(scratch: Path, warm: Path) -> str:
    """Say what a begun training has after a quarter of the steps of one from nothing."""
    logs = []
    for folder in (scratch, warm):
        with (folder / "log.csv").open(encoding="utf-8") as stream:
            logs.append([(int(r["step"]), float(r["error_mm"])) for r in csv.DictReader(stream)])
    (*_, (whole, wanted)), begun = logs
    quarter = [error for step, error in begun if step <= whole / 4][-1]
    as_far = next((step for step, error in logs[0] if error <= quarter), whole)
    return (
        f"{scratch.name.rpartition('scratch-')[2]} has {wanted:.1f} mm after {whole} steps from "
        "nothing (median of held-out renderings, the same for both), and begun with the generic "
        f"encoder {quarter:.1f} mm after at most a quarter of these, which from nothing takes "
        f"{as_far} steps."
    )


def start_tables(options: Options, samples: Mapping[str, Sequence[Sample]]) -> tuple[str, Keys]:
    """Train what is missing; return what is said of first poses, and the X-rays far from PA."""
    lines = ["| encoder | n | median mm | 95 % mm | half turn right | unsure | in 90 % |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    warm, generic, keys = [], [], []
    for specimen, own in samples.items():
        folder = trained(options, own[0], "warm", WARM_STEPS)
        generic.append(first_poses(own, GENERIC))
        warm.append(first_poses(own, folder))
        keys += [(sample.specimen, sample.projection) for sample in own]
        lines.append(first_pose_line(f"{specimen}, {WARM_STEPS} steps", warm[-1]))
    rows = np.concatenate(warm)
    beyond = rows[:, 1] > FRONTAL_DEG
    lines.append(first_pose_line("all", rows))
    lines.append(first_pose_line(f"those beyond {FRONTAL_DEG:.0f} degrees", rows[beyond]))
    lines.append(first_pose_line("all, generic encoder", np.concatenate(generic)))
    said = []
    for specimen in options.scratch:
        folder = trained(options, samples[specimen][0], "scratch", None)
        found = first_poses(samples[specimen], folder)
        lines.append(first_pose_line(f"{specimen}, from nothing", found))
        said.append(steps_line(folder, ENCODERS / f"warm-{specimen}"))
    far = {key for key, out in zip(keys, beyond, strict=True) if out}
    return "\n\n".join(("\n".join(lines), *said)), far


def ablation_table(options: Options, samples: Sequence[Sample]) -> str:
    """Train with each loss and compare."""
    lines = ["| loss | held-out renderings: median, 95 % mm | X-rays: median, 95 % mm | "
             "of them under 1 mm after Gauss-Newton |", "|---|---|---|---|"]  # fmt: skip
    ct = PreparedCt(volume=samples[0].volume)
    for variant, (name, _) in ABLATION.items():
        folder = trained(options, samples[0], f"ablation-{variant}", ABLATION_STEPS, variant)
        metrics, error_mm = read_card(folder).metrics, first_poses(samples, folder)[:, 0]
        ready = load_pose_estimator(folder).for_ct(ct)
        trials = score(functools.partial(_registered, ct, ready, False), samples)
        good = np.mean([trial.errors.mpd_mm < 1.0 for trial in trials])
        lines.append(
            f"| {name} | {metrics['error_mm']:.1f}, {metrics['error_95_mm']:.1f} | "
            f"{np.median(error_mm):.1f}, {np.quantile(error_mm, 0.95):.1f} | {good:.0%} |"
        )
    return "\n".join(lines)


def report(options: Options, samples: Mapping[str, Sequence[Sample]]) -> str:
    """Train and run what is missing, and return the tables as markdown."""
    starts, far = start_tables(options, samples)
    first = next(iter(samples.values()))
    ablated = ablation_table(options, first)
    apart, as_one = (registrations(options, samples, one) for one in (False, True))
    every = {(s.specimen, s.projection) for own in samples.values() for s in own}
    config = settings(WARM_STEPS, {})
    data = load_encoder_data(PreparedCt(volume=first[0].volume), first[0].camera, config)
    torch.set_num_threads(1)
    return "\n\n".join(
        (
            "### Pose encoder",
            f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.",
            f"X-rays of `{options.cohort.name}` by the simulator; error in 3D, mean over the "
            "pelvis's landmarks.  Each patient's encoder begins with the generic one and makes "
            f"{WARM_STEPS} steps of {config.fit.batch} images ({options.precision}).",
            starts,
            f"Loss, {ABLATION_STEPS} steps from the generic encoder, {first[0].specimen}, the same "
            "seeds:",
            ablated,
            f"Pelvis, femurs and soft tissue apart:\n\n{registration_table(apart, every)}",
            f"Of these, beyond {FRONTAL_DEG:.0f} degrees:\n\n{registration_table(apart, far)}",
            f"The whole CT as one body:\n\n{registration_table(as_one, every)}",
            "Where the time of a training goes, on one thread:",
            shares(encoder_task(data, config, ENCODERS / "timed", begin_with=GENERIC)),
        )
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    with DeepFluoroFile(options.cohort) as cohort:
        samples = {name: list(cohort.samples(name)) for name in cohort.specimens}
    text = report(options, samples)
    print(text)
    if options.write:
        write_section("pose encoder", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
