"""The intraoperative stage: starts, seconds against the paper's loop, capture range, robustness.

    python benchmarks/intraoperative.py --cohort cohort.h5 --unet unet --part starts  # run, report
    python benchmarks/intraoperative.py --cohort cohort.h5 --unet unet --part starts --write

Parts: ``starts`` (every X-ray, from regions alone, an encoder, a start 20 mm off, a search),
``seconds`` (ours beside the paper's loop, the same X-rays in one run: let nothing else run),
``capture`` (success by start error) and ``robustness`` (bad masks, tools, moved femurs, narrow
fields, images upside down).  The U-Net must have seen none of the cohort's people.  Every trial is
appended to a journal under ``benchmarks/output/intraoperative`` as it ends, so a run that is
interrupted goes on where it was; ``--jobs N`` takes so many processes of one thread each.
"""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from hardware import describe_hardware
from intraoperative_report import PARTS, Row
from results_file import write_section
from wrong_masks import WRONG, Masks
from wsreg import RegistrationConfig, RegistrationResult, __version__, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.scoring import run_trial
from wsreg.evaluation.starts import seeded_start
from wsreg.evaluation.trial import trial_to_record
from wsreg.files.hashes import sha256_of
from wsreg.files.journal import open_row_journal
from wsreg.networks.checkpoint import WEIGHTS_FILE
from wsreg.rendering.prepared import PreparedCt, prepare
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.schemes import rois_by_scheme
from wsreg.segmentation.segmenter import Segmenter, load_segmenter
from wsreg.threads import keep_to_one_thread, thread_count
from wsreg.training.layers import true_masks
from wsreg.vocabulary import Scheme

OUTPUT = Path(__file__).parent / "output" / "intraoperative"
START_MM, SEED = 20.0, 0
CAPTURE_MM = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0)
NARROW = 0.62
"""Side of a narrow field, as a fraction of the image's."""
Part = Literal["starts", "seconds", "capture", "robustness"]
PER_SPECIMEN: Mapping[str, int | None] = {
    "starts": None, "seconds": 2, "capture": 2, "robustness": 3,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        unet: folder of a U-Net that has seen none of its people.
        part: see above.
        per_specimen: X-rays of each specimen instead of the part's.
        jobs: processes.
        write: put the report into docs/results.md.
    """

    cohort: Path
    unet: Path
    part: Part
    per_specimen: int | None = None
    jobs: int = 1
    write: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to register an X-ray.

    Args:
        name: of it, in the tables.
        init: ``near`` (a start that is ``start_mm`` off), or a start by name.
        masks: whose regions: ``none``, ``unet``, ``true``, or a kind of wrong ones.
        scheme: what they are compared with.
        bodies: what moves by itself.
        config: settings.
        start_mm: see ``init``.
        xray: what is done to the image.
    """

    name: str
    init: str = "near"
    masks: str = "none"
    scheme: Scheme = "ours"
    bodies: str | None = "pelvis"
    config: RegistrationConfig = dataclasses.field(default_factory=RegistrationConfig)
    start_mm: float = START_MM
    xray: str = "as it is"


ALONE = RegistrationConfig(search_if_lost=False)
LOOP = RegistrationConfig(method="paper", probes=0)
BAD = (
    "too small by 3 mm", "too large by 3 mm", "shifted by 5 mm", "one missing", "two exchanged",
)  # fmt: skip


def settings_of(part: Part) -> list[Setting]:
    """What a part runs on each of its X-rays."""
    if part == "starts":
        return [
            Setting(name="20 mm off, no regions"),
            Setting(name="20 mm off, no regions, one body", bodies=None),
            Setting(name="regions, U-Net masks, no search", init="roi", masks="unet", config=ALONE),
            Setting(name="regions, true masks, no search", init="roi", masks="true", config=ALONE),
            Setting(name="encoder:generic", init="encoder:generic"),
            Setting(name="search", init="search"),
        ]
    if part == "seconds":
        return [
            Setting(name="ours, four bodies", masks="unet"),
            Setting(name="ours, one body", masks="unet", bodies=None),
            Setting(name="the paper's loop", masks="unet", scheme="unet", bodies=None, config=LOOP),
        ]
    if part == "capture":
        return [
            Setting(name=name, masks=masks, start_mm=start_mm, bodies=None, config=ALONE)
            for start_mm in CAPTURE_MM
            for name, masks in (("no regions", "none"), ("U-Net masks", "unet"))
        ] + [
            Setting(name=name, init=init, masks=masks, bodies=None, config=ALONE)
            for name, init, masks in (
                ("regions as the start", "roi", "unet"),
                ("encoder:generic", "encoder:generic", "none"),
            )
        ]
    return [
        *(Setting(name=f"masks {kind}", masks=kind) for kind in BAD),
        *(Setting(name=f"masks {kind}, weight 0.1 to the end", masks=kind,
                  config=RegistrationConfig(roi_weight=0.1)) for kind in BAD),
        Setting(name="tools, moved femurs", masks="unet"),
        Setting(name="two metal rods more", masks="unet", xray="rods"),
        Setting(name="narrow field", masks="unet", xray="narrow"),
        Setting(name="narrow field, search", init="search", xray="narrow"),
        Setting(name="upside down, search", init="search", xray="half turn"),
        Setting(name="upside down, regions", init="roi", masks="true", xray="half turn"),
    ]  # fmt: skip


@functools.cache
def _cohort(path: Path) -> DeepFluoroFile:
    return DeepFluoroFile(path).__enter__()


@functools.lru_cache(maxsize=1)
def _prepared(path: Path, specimen: str) -> tuple[list[Sample], PreparedCt]:
    samples = list(_cohort(path).samples(specimen))
    return samples, prepare(samples[0].volume, bodies="pelvis")


@functools.cache
def _segmenter(folder: Path) -> Segmenter:
    return load_segmenter(folder, kind="unet")


def run_one(options: Options, setting: Setting, specimen: str, number: int) -> Row:
    """Register one X-ray in one way."""
    samples, ct = _prepared(options.cohort, specimen)
    sample = changed(samples[number], setting.xray)
    rois = regions(options, setting, sample, samples[number - 1])
    ct.levels(tuple(level.voxel_mm for level in setting.config.levels))

    def method(sample: Sample) -> RegistrationResult:
        near = seeded_start(sample, setting.start_mm, SEED)
        return register(
            sample.radiograph, ct, init=near if setting.init == "near" else setting.init,
            bodies=setting.bodies, rois=rois, config=setting.config,
        )  # fmt: skip

    trial = run_trial(method, sample)
    return {"setting": setting.name, "start_mm": setting.start_mm, "tools": tools(sample),
            **trial_to_record(trial)}  # fmt: skip


def tools(sample: Sample) -> int:
    """How many tools the simulator put into an X-ray."""
    parameters = sample.record.get("parameters", {})
    found = parameters.get("tools", []) if isinstance(parameters, Mapping) else []
    return len(found)


def regions(options: Options, setting: Setting, sample: Sample, other: Sample) -> RoiTarget | None:
    """Return the regions of a setting."""
    if setting.masks == "none":
        return None
    volume = sample.volume
    if setting.masks == "unet":
        return rois_by_scheme(
            setting.scheme, sample.radiograph, volume, fixed=_segmenter(options.unet)
        )
    values = list(volume.label_values)
    names = tuple(volume.label_names[value] for value in values)
    masks = true_masks(sample, values)[0]
    if setting.masks != "true":
        camera = sample.camera
        depth_mm = float((sample.camera_from_ct @ _homogeneous(volume.centre_mm))[2])
        masks = WRONG[setting.masks](
            Masks(
                names=names, masks=masks, others=true_masks(other, values)[0],
                pixels_per_mm=camera.source_to_detector_mm / depth_mm / camera.pixel_spacing_mm[0],
                seed=zlib.crc32(sample.name.encode()),
            )
        )  # fmt: skip
    return RoiTarget(names=names, masks=masks.float(), labels=tuple((v,) for v in values))


def _homogeneous(point: Tensor) -> Tensor:
    return torch.cat((point, point.new_ones(1)))


def changed(sample: Sample, how: str) -> Sample:
    """Return a sample with its X-ray and truth changed."""
    if how == "as it is":
        return sample
    return _CHANGES[how](sample)


def _with_rods(sample: Sample) -> Sample:
    """Two opaque rods across the image, at places that depend on the X-ray's name."""
    radiograph = sample.radiograph
    height, width = radiograph.image.shape
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    draw = torch.Generator().manual_seed(zlib.crc32(sample.name.encode()))
    image = radiograph.image.clone()
    for _ in range(2):
        angle, off = torch.rand(2, generator=draw).tolist()
        across = (x - 0.5) * torch.cos(torch.tensor(3.14 * angle)) + (y - 0.5) * torch.sin(
            torch.tensor(3.14 * angle)
        )
        image[(across - 0.4 * (off - 0.5)).abs() < 0.012] = image[radiograph.mask].max()
    return _with_xray(sample, image=image)


def _narrow(sample: Sample) -> Sample:
    """A square field, cut out and not told: as a collimator leaves it."""
    radiograph = sample.radiograph
    height, width = radiograph.image.shape
    inside = torch.zeros_like(radiograph.mask)
    top, left = (round(0.5 * (1.0 - NARROW) * n) for n in (height, width))
    inside[top : height - top, left : width - left] = True
    return _with_xray(sample, mask=radiograph.mask & inside)


def _half_turned(sample: Sample) -> Sample:
    """The image turned, and with it the poses; the camera's axis stays in its pixel, turned."""
    radiograph, camera = sample.radiograph, sample.camera
    column, row = camera.centre_px
    turned = dataclasses.replace(
        camera, principal_point_px=(camera.columns - 1 - column, camera.rows - 1 - row)
    )
    half = torch.diag(torch.tensor((-1.0, -1.0, 1.0, 1.0), dtype=torch.float64))
    return dataclasses.replace(
        sample,
        radiograph=dataclasses.replace(
            radiograph, image=radiograph.image.flip(0, 1), mask=radiograph.mask.flip(0, 1),
            camera=turned, patient_orientation=None,
        ),
        poses={name: half @ pose for name, pose in sample.poses.items()},
        labels=None if sample.labels is None else sample.labels.flip(0, 1),
    )  # fmt: skip


def _with_xray(sample: Sample, **changes: Any) -> Sample:
    return dataclasses.replace(sample, radiograph=dataclasses.replace(sample.radiograph, **changes))


_CHANGES: Mapping[str, Callable[[Sample], Sample]] = {
    "rods": _with_rods, "narrow": _narrow, "half turn": _half_turned,
}  # fmt: skip


def tasks(options: Options) -> Iterator[tuple[str, int, Setting]]:
    """Every X-ray in every way, specimen by specimen."""
    limit = options.per_specimen or PER_SPECIMEN[options.part]
    with DeepFluoroFile(options.cohort) as cohort:
        counts = {name: len(cohort.projections(name)) for name in cohort.specimens}
    for specimen, count in counts.items():
        step = 1 if limit is None else max(1, count // limit)
        for number in list(range(0, count, step))[:limit]:
            for setting in settings_of(options.part):
                yield specimen, number, setting


def run(options: Options) -> list[Row]:
    """Run what the journal does not hold, and return the rows of all that is asked for."""
    setup = {"wsreg": __version__, "cohort": sha256_of(options.cohort), "part": options.part,
             "unet": sha256_of(options.unet / WEIGHTS_FILE)}  # fmt: skip
    journal = open_row_journal(OUTPUT / f"{options.part}.jsonl", setup)
    rows = {tuple(row["key"]): dict(row) for row in journal.rows}
    asked = {_key(*task): task for task in tasks(options)}
    missing = {key: task for key, task in asked.items() if key not in rows}
    for key, row in tqdm(_done(options, missing), total=len(missing), desc=options.part):
        rows[key] = {**row, "key": list(key)}
        journal.append(rows[key])
    return [rows[key] for key in asked]


def _key(specimen: str, number: int, setting: Setting) -> tuple[str, int, str, float]:
    return specimen, number, setting.name, setting.start_mm


def _done(
    options: Options, missing: Mapping[tuple[Any, ...], tuple[str, int, Setting]]
) -> Iterator[tuple[tuple[Any, ...], Row]]:
    if options.jobs == 1:
        for key, (specimen, number, setting) in missing.items():
            yield key, run_one(options, setting, specimen, number)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, initializer=keep_to_one_thread) as pool:
        jobs = {
            pool.submit(run_one, options, setting, specimen, number): key
            for key, (specimen, number, setting) in missing.items()
        }
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    rows = run(options)
    threads = thread_count() if options.jobs == 1 else 1
    hardware = describe_hardware(threads, ("torch", "numba", "wsreg"))
    text = PARTS[options.part](rows, f"{hardware}, {options.jobs} processes" if options.jobs > 1
                               else hardware)  # fmt: skip
    print(text)
    if options.write:
        write_section(f"intraoperative_{options.part}", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
