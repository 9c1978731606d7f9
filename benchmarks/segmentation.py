"""Table 2: Dice of segmentation models on X-rays and on rendered images at the same poses.

    wsreg train segmentation --data cohort.h5 --hold-out 17-1882 --out unet-17-1882   # and so on
    python benchmarks/segmentation.py --cohort cohort.h5 --models unet-* [--write]

Each model is measured on the specimens that it was not trained on.  What makes images hard (tools,
collimation, half a turn, inverted contrast) is added to the X-rays one by one.  Every image is
appended to a journal under ``benchmarks/output`` as it is done, so a run that is interrupted goes
on where it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
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
from wsreg.datasets.preparation import Preparation
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.experiments.dice_scores import (
    BOX_JITTER,
    MaskedImage,
    dice_of,
    labels_of,
    rendering_of,
    xray_of,
)
from wsreg.files.hashes import sha256_of
from wsreg.geometry.camera import Camera
from wsreg.networks.checkpoint import WEIGHTS_FILE, ModelCard
from wsreg.segmentation.segmenter import Segmenter, load_segmenter
from wsreg.simulation.collimator import Collimator, exposed_field
from wsreg.simulation.tools import metal_density, sample_tool

OUTPUT = Path(__file__).parent / "output"
STEEL_CM2_PER_G = 1.2
"""Mass attenuation near 60 keV."""
DARKEST = 6.0
"""Attenuation beyond which a detector shows nothing more."""
FIELD = Collimator(shape="circle", half_size=(0.36, 0.36))

XRAY, RENDERED = "X-ray", "rendered"
HARDER = ("X-ray with a tool", "X-ray, narrow field", "X-ray, half a turn", "X-ray, inverted")
CONDITIONS = (XRAY, RENDERED, *HARDER)
LARGE_FRACTION = 0.01
LARGE = f", regions of at least {LARGE_FRACTION:.0%} of the image"
"""Slivers of bones at the border of an image have a Dice of anything from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        models: folders written by ``wsreg train segmentation``.
        limit: at most so many X-rays of each specimen.
        write: put the report into docs/results.md.
    """

    cohort: Path
    models: tuple[Path, ...]
    limit: int | None = None
    write: bool = False


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    OUTPUT.mkdir(exist_ok=True)
    journal = OUTPUT / f"segmentation-{options.cohort.stem}.jsonl"
    rows = [row for folder in options.models for row in run(folder, options, journal)]
    text = report(options, rows)
    print(text)
    if options.write:
        write_section(f"segmentation {options.cohort.stem}", text)


def run(folder: Path, options: Options, journal: Path) -> list[dict[str, Any]]:
    """Rows of one model; what the journal holds is not computed again."""
    segmenter = load_segmenter(folder)
    card = segmenter.card
    if not card.held_out:
        raise SystemExit(
            f"{folder} was trained on every specimen: nothing is left to measure it on"
        )
    setup = {
        "model_sha256": sha256_of(folder / WEIGHTS_FILE),
        "cohort_sha256": sha256_of(options.cohort),
    }
    done = {row["name"]: row for row in _read(journal) if setup.items() <= row.items()}
    rows = []
    preparation = Preparation(size_px=card.size_px)
    with DeepFluoroFile(options.cohort, preparation) as cohort:
        names = [
            (specimen, projection)
            for specimen in card.held_out
            for projection in cohort.projections(specimen)[: options.limit]
        ]
        for specimen, projection in tqdm(names, desc=folder.name):
            name = f"{specimen}/{projection}"
            if name not in done:
                dice = measure(segmenter, cohort.sample(specimen, projection))
                row = {**setup, "method": method_name(card), "name": name, "dice": dice}
                with journal.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
                done[name] = row
            rows.append(done[name])
    return rows


def method_name(card: ModelCard) -> str:
    """Of a table's columns; a SAM that never saw MedSAM's weights says so."""
    names = {"unet": f"U-Net, {card.config.get('output')}", "medsam": "MedSAM"}
    name = "small SAM, from scratch" if card.from_scratch else names[card.kind]
    return f"{name}, {card.step} steps"


def measure(segmenter: Segmenter, sample: Sample) -> dict[str, dict[str, float]]:
    """Condition -> region -> Dice inside the exposed field, where the truth shows the region."""
    result = {}
    labels = labels_of(segmenter, sample)
    for condition, view in zip(CONDITIONS, views(sample, labels), strict=True):
        dice = dice_of(segmenter, view, int(sample.projection))
        measured = list(zip(segmenter.roi_names, dice, view.fractions, strict=True))
        result[condition] = {name: value for name, value, fraction in measured if fraction > 0.0}
        result[condition + LARGE] = {
            n: value for n, value, fraction in measured if fraction > LARGE_FRACTION
        }
    return result


def views(sample: Sample, labels: Sequence[int]) -> Iterator[MaskedImage]:
    """The sample under each of ``CONDITIONS``, the X-ray always the same."""
    plain = xray_of(sample, labels)
    image, masks, valid = plain.image, plain.masks, plain.valid
    field = sample.radiograph.mask
    yield plain
    yield rendering_of(sample, labels)
    camera = sample.camera
    generator = np.random.default_rng(int(sample.projection))
    yield MaskedImage(image=with_tool(image, camera, generator), masks=masks, valid=valid)
    narrow = torch.from_numpy(exposed_field(FIELD, camera.rows, camera.columns))
    dimmed = (image - narrow.log()).clamp(max=DARKEST)
    yield MaskedImage(image=dimmed, masks=masks, valid=valid & (narrow > 0.5))
    turned = (image.flip(0, 1), masks.flip(1, 2), valid.flip(1, 2))
    yield MaskedImage(image=turned[0], masks=turned[1], valid=turned[2])
    yield MaskedImage(image=image[field].max() - image, masks=masks, valid=valid)


def with_tool(image: Tensor, camera: Camera, generator: np.random.Generator) -> Tensor:
    """The image [H,W] with a steel rod in the way."""
    tool = sample_tool(generator, camera, "rod")
    density = metal_density([tool], "steel", camera.rows, camera.columns, 1)
    return (image + STEEL_CM2_PER_G * torch.from_numpy(density)).clamp(max=DARKEST)


def report(options: Options, rows: Sequence[Mapping[str, Any]]) -> str:
    """The tables as markdown."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    specimens = sorted({row["name"].split("/")[0] for row in rows})
    names = list(dict.fromkeys(n for row in rows for n in row["dice"][XRAY]))
    by_method = {m: [row["dice"] for row in rows if row["method"] == m] for m in methods}
    overall = [f"| images | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    for condition in (*CONDITIONS, XRAY + LARGE, RENDERED + LARGE):
        cells = [spread(overall_dice(by_method[m], condition)) for m in methods]
        overall.append(f"| {condition} | {' | '.join(cells)} |")
    columns = [(m, condition) for m in methods for condition in (XRAY, RENDERED)]
    single = [
        "| ROI | " + " | ".join(f"{m}: {condition}" for m, condition in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        cells = [spread(roi_dice(by_method[m], condition, name)) for m, condition in columns]
        single.append(f"| {name} | {' | '.join(cells)} |")
    return "\n\n".join(
        (
            f"### Segmentation of `{options.cohort.name}` (Table 2)",
            f"{describe_hardware(torch.get_num_threads(), ('torch', 'monai', 'wsreg'))}.",
            f"Specimens {', '.join(specimens)}, each by a model that has not seen it; Dice, mean "
            "and standard deviation over images, of the mean over the regions that an image shows, "
            "inside its exposed field.  Rendered: the CT at the pose of the X-ray.  A SAM is told "
            "where to look by boxes around the true masks, their sides off by up to "
            f"{BOX_JITTER:.1%} of the image; a U-Net is told nothing.",
            "\n".join(overall),
            "Region by region:",
            "\n".join(single),
        )
    )


def overall_dice(images: Sequence[Mapping[str, Any]], condition: str) -> list[float]:
    """For each image the mean over the regions that it shows."""
    return [float(np.mean(list(d[condition].values()))) for d in images if d[condition]]


def roi_dice(images: Sequence[Mapping[str, Any]], condition: str, name: str) -> list[float]:
    """Of one region, for each image that shows it."""
    return [d[condition][name] for d in images if name in d[condition]]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else math.nan:.3f}"


def _read(journal: Path) -> list[dict[str, Any]]:
    """The journal's whole lines; a last one that was only half written is cut off."""
    if not journal.exists():
        return []
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        journal.write_bytes(whole)
    return [json.loads(line) for line in whole.decode("utf-8").splitlines()]


if __name__ == "__main__":
    main(tyro.cli(Options))
