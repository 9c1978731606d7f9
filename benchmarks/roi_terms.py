"""What regions of interest do for the capture range: none, Dice, distance, both, by start error.

    python benchmarks/roi_terms.py            # everything that is missing, then report
    python benchmarks/roi_terms.py --write    # and put it into docs/results.md

X-rays are those of the registration benchmark (pelvis).  Masks are silhouettes of the CT's labels
at the true pose, as they are, or with outlines that wander by some pixels as a network's do.
Trials are appended to ``benchmarks/output/roi_terms.jsonl``; an interrupted run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from cases import Case, load_cases
from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, RegistrationConfig, Volume, read_radiograph, read_volume, register, render
from wsreg.datasets.layout import LABEL_NAMES
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.geometry.rigid import perturb
from wsreg.registration.roi_terms import RoiConfig
from wsreg.segmentation.region_names import labels_of_region
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.samples import fetch_sample

OUTPUT = Path(__file__).parent / "output" / "roi_terms.jsonl"
START_ERRORS_MM = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 125.0, 150.0)
SUCCESS_MM, CAPTURED = 1.0, 0.95
OUTLINE_WANDER_PX, OUTLINE_KNOTS = 6.0, 14
Row = dict[str, Any]

CONFIGS = {
    "none": RegistrationConfig(),
    "Dice": RegistrationConfig(
        rois=RoiConfig(distance_weight=0.0), roi_approach=RoiConfig(distance_weight=0.0)
    ),
    "distance": RegistrationConfig(
        rois=RoiConfig(dice_weight=0.0), roi_approach=RoiConfig(dice_weight=0.0)
    ),
    "both": RegistrationConfig(),
    "both, rough masks": RegistrationConfig(),
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        xrays: how many.
        fresh: run again what has been run before.
        write: put the report into docs/results.md.
    """

    xrays: int = 10
    fresh: bool = False
    write: bool = False


def silhouettes(volume: Volume, camera: Camera, pose: Tensor) -> RoiTarget:
    """The six regions of the pelvis, where rays four times as dense mostly meet them."""
    groups = {name: labels_of_region(name, volume) for name in LABEL_NAMES.values()}
    fine = camera.resized(2 * camera.rows, 2 * camera.columns)
    lengths = render(volume, fine, pose, rois=groups.values(), attenuation=False)[0]
    met = (lengths > 0.5 * min(volume.spacing_mm)).float()
    masks = torch.nn.functional.avg_pool2d(met, 2) >= 0.5
    return RoiTarget(names=tuple(groups), masks=masks.float(), labels=tuple(groups.values()))


def rough(rois: RoiTarget, seed: int) -> RoiTarget:
    """The regions with outlines moved in and out, smoothly and at random."""
    from scipy.ndimage import distance_transform_edt

    generator = torch.Generator().manual_seed(seed)
    masks = []
    for mask in rois.masks > 0.5:
        knots = torch.randn(1, 1, OUTLINE_KNOTS, OUTLINE_KNOTS, generator=generator)
        wander = torch.nn.functional.interpolate(knots, mask.shape, mode="bicubic")[0, 0]
        inside, outside = (distance_transform_edt(side.numpy()) for side in (mask, ~mask))
        moved = torch.from_numpy(inside - outside) + OUTLINE_WANDER_PX * wander > 0
        masks.append(moved.float() if bool(mask.any()) else mask.float())
    return RoiTarget(names=rois.names, masks=torch.stack(masks), labels=rois.labels)


def start_pose(case: Case, distance_mm: float) -> Tensor:
    """The true pose turned and moved at random until landmarks are so far off in 3D."""
    from scipy.optimize import brentq

    generator = np.random.default_rng([case.seed, int(distance_mm)])
    direction = generator.normal(size=6) * np.array([0.004, 0.004, 0.004, 1.0, 1.0, 1.0])
    pivot = case.landmarks_mm.mean(dim=0)

    def start(scale: float) -> Tensor:
        return perturb(case.camera_from_ct, torch.from_numpy(scale * direction), pivot)

    def excess(scale: float) -> float:
        error = mtre_3d_mm(case.landmarks_mm, start(scale), case.camera_from_ct)
        return float(error) - distance_mm

    return start(float(brentq(excess, 0.0, 1000.0, xtol=1e-3)))


def run(case: Case, volume: Volume, terms: str, distance_mm: float) -> Row:
    """One registration, measured."""
    radiograph = read_radiograph(case.image_path, camera=case.camera, intensity="transmission")
    rois = None if terms == "none" else silhouettes(volume, case.camera, case.camera_from_ct)
    if rois is not None and terms.endswith("rough masks"):
        rois = rough(rois, case.seed)
    start, truth = start_pose(case, distance_mm), case.camera_from_ct
    result = register(radiograph, volume, init=start, rois=rois, config=CONFIGS[terms])
    projected = mpd_mm(case.landmarks_mm, result.camera_from_ct, truth, case.camera)
    return {
        "trial": f"{terms}/{case.name}/{distance_mm:g}",
        "terms": terms,
        "start_mm": distance_mm,
        "projected_mm": float(projected.nan_to_num(nan=1e3)),
        "spatial_mm": float(mtre_3d_mm(case.landmarks_mm, result.camera_from_ct, truth)),
        "seconds": result.seconds["total"] - result.seconds["prepare_ct"],
        "verdict": result.verdict.status,
        "dice": result.config["evidence"]["roi_dice"],
    }


def missing(options: Options, done: set[str]) -> Iterator[tuple[Case, str, float]]:
    """The trials that no row is of."""
    for case in load_cases("pelvis", options.xrays):
        for distance_mm in START_ERRORS_MM:
            for terms in CONFIGS:
                if f"{terms}/{case.name}/{distance_mm:g}" not in done:
                    yield case, terms, distance_mm


def run_missing(options: Options) -> list[Row]:
    """Run what has not been run, and give back every row."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    if OUTPUT.exists() and not options.fresh:
        rows = [json.loads(line) for line in OUTPUT.read_text(encoding="utf-8").splitlines()]
    else:
        OUTPUT.write_text("", encoding="utf-8")
    sample = fetch_sample("pelvis")
    volume = read_volume(sample.ct, sample.labels, sample.label_names)
    for trial in tqdm(list(missing(options, {row["trial"] for row in rows}))):
        case, terms, distance_mm = trial
        row = run(case, volume, terms, distance_mm)
        rows.append(row)
        with OUTPUT.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
    return rows


def report(rows: list[Row]) -> str:
    """The tables as markdown."""
    heads = " | ".join(f"{distance:g}" for distance in START_ERRORS_MM)
    lines = [
        "### Regions of interest and the capture range", "",
        f"{describe_hardware(2, ('torch', 'numba', 'wsreg'))}.", "",
        "Simulated X-rays of a real pelvis CT, six regions.  Share of answers under 1 mm",
        "projected, by the start's 3D error in mm; capture range: up to which at least 95 % are.",
        "",
        f"| ROI terms | {heads} | capture range, mm | projected, mm | seconds, median |",
        "|---" * (len(START_ERRORS_MM) + 4) + "|",
    ]  # fmt: skip
    for terms in CONFIGS:
        some = [row for row in rows if row["terms"] == terms]
        shares = [_success(some, distance) for distance in START_ERRORS_MM]
        captured = 0.0
        for share, distance in zip(shares, START_ERRORS_MM, strict=True):
            if share < CAPTURED:
                break
            captured = distance
        good = [row["projected_mm"] for row in some if row["projected_mm"] < SUCCESS_MM]
        cells = " | ".join(f"{share:.0%}" for share in shares)
        seconds = np.median([row["seconds"] for row in some])
        lines.append(
            f"| {terms} | {cells} | {captured:g} | {np.median(good):.2f} | {seconds:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _success(rows: list[Row], distance_mm: float) -> float:
    found = [row["projected_mm"] < SUCCESS_MM for row in rows if row["start_mm"] == distance_mm]
    return float(np.mean(found)) if found else float("nan")


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    torch.set_num_threads(2)
    text = report(run_missing(options))
    print(text)
    if options.write:
        write_section("roi_terms", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
