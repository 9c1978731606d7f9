"""Field and polarity of X-rays, however an image is cut, stored and written on.

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/fields.py --cohort cohort.h5 [--write]

Open X-rays of two real CTs and of virtual people get fields, noise, text, pixels and grey scales
that are drawn at random.  Half of the X-rays were there to choose limits with, the
other is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, CArmAngles, Volume, read_volume, view_pose
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.radiographs.collimation import detect_field
from wsreg.radiographs.polarity import polarity_of
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.xray import simulate_xray
from wsreg.volumes.examples import fetch_example

FloatImage = NDArray[np.floating[Any]]
BoolImage = NDArray[np.bool_]
Generator = np.random.Generator

SIZE_PX = 384
VIEWS_DEG = ((0, 0), (180, 0), (90, 0), (-90, 0), (35, 10), (-30, -15))
DETECTORS_MM = (220.0, 300.0, 400.0)
"""Across the detector: from a body that fills the image to one with air around it."""

RIGHT_IOU = 0.9
"""A field is found if it has this overlap with the true one: its margin alone leaves 0.96."""

EATEN = 0.01
"""A mask does harm if it takes more than this of the field, its rim aside."""

RIM_FRACTION = 0.03
"""Of the image's shorter side: half-shadow and margin, for which neither counts."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: a virtual cohort's file.
        draws: images made of each X-ray.
        choosing: report the half with which limits were chosen.
        write: put the report into docs/results.md.
    """

    cohort: Path
    draws: int = 16
    choosing: bool = False
    write: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One image, and how it was made: pixels [H,W], true field [H,W], factor -> its choice."""

    pixels: FloatImage
    field: BoolImage
    spacing_mm: tuple[float, float]
    air_is_bright: bool
    made: Mapping[str, str]


# Fields: [H,W] fraction of the beam that is let through, from millimetre-like coordinates -1 to 1.


def edge(inside: FloatImage, draw: Generator) -> FloatImage:
    """Soften the edge of what is inside (in parts of half the image, positive inside)."""
    soft: FloatImage = np.clip(inside / draw.uniform(0.008, 0.025) + 0.5, 0.0, 1.0)
    return soft


def disc(x: FloatImage, y: FloatImage, draw: Generator, off: float, radius: float) -> FloatImage:
    cx, cy = draw.uniform(-off, off, size=2)
    inside: FloatImage = radius - np.hypot(x - cx, y - cy)
    return inside


def box(x: FloatImage, y: FloatImage, draw: Generator, turn_deg: float) -> FloatImage:
    a = math.radians(draw.uniform(-turn_deg, turn_deg))
    along, across = x * math.cos(a) + y * math.sin(a), y * math.cos(a) - x * math.sin(a)
    half, middle = draw.uniform(0.55, 0.85, size=2), draw.uniform(-0.1, 0.1, size=2)
    inside: FloatImage = np.minimum(
        half[0] - np.abs(along - middle[0]), half[1] - np.abs(across - middle[1])
    )
    return inside


def blade(x: FloatImage, y: FloatImage, draw: Generator, turn_deg: float = 4.0) -> FloatImage:
    a = math.radians(draw.uniform(-turn_deg, turn_deg) + 90 * draw.integers(4))
    inside: FloatImage = x * math.cos(a) + y * math.sin(a) + draw.uniform(0.4, 0.75)
    return inside


def blades(x: FloatImage, y: FloatImage, draw: Generator) -> FloatImage:
    a = math.radians(draw.uniform(-10, 10) + 90 * draw.integers(2))
    along = x * math.cos(a) + y * math.sin(a)
    return np.minimum(draw.uniform(0.5, 0.8) - along, draw.uniform(0.5, 0.8) + along)


def disc_and_blades(x: FloatImage, y: FloatImage, draw: Generator) -> FloatImage:
    return np.minimum(disc(x, y, draw, 0.05, draw.uniform(0.85, 0.97)), blades(x, y, draw))


FIELDS: Mapping[str, Callable[[FloatImage, FloatImage, Generator], FloatImage]] = {
    "none": lambda x, y, draw: np.ones_like(x),
    "circle": lambda x, y, draw: disc(x, y, draw, 0.06, draw.uniform(0.75, 0.97)),
    "circle off centre": lambda x, y, draw: disc(x, y, draw, 0.35, draw.uniform(0.6, 1.0)),
    "rectangle": lambda x, y, draw: box(x, y, draw, 2.0),
    "rectangle, turned": lambda x, y, draw: box(x, y, draw, 45.0),
    "one blade": blade,
    "two blades": blades,
    "circle and blades": disc_and_blades,
    "frame of black": lambda x, y, draw: box(x, y, draw, 0.0),
    "frame of white": lambda x, y, draw: box(x, y, draw, 0.0),
}
PADDED: Mapping[str, float] = {"frame of black": 0.0, "frame of white": 1.0}


def whole(size: int, draw: Generator) -> tuple[slice, slice]:
    return slice(0, size), slice(0, size)


def half(size: int, draw: Generator) -> tuple[slice, slice]:
    first = [slice(0, size // 2), slice(size // 2, size)][draw.integers(2)]
    cut = (first, slice(0, size))
    return cut if draw.random() < 0.5 else (cut[1], cut[0])


def quarter(size: int, draw: Generator) -> tuple[slice, slice]:
    parts = [slice(0, size // 2), slice(size // 2, size)]
    return parts[draw.integers(2)], parts[draw.integers(2)]


def window(size: int, draw: Generator) -> tuple[slice, slice]:
    long = (draw.uniform(0.5, 0.85, size=2) * size).astype(int)
    at = [int(draw.integers(size - n + 1)) for n in long]
    return slice(at[0], at[0] + int(long[0])), slice(at[1], at[1] + int(long[1]))


CUTS: Mapping[str, Callable[[int, Generator], tuple[slice, slice]]] = {
    "whole": whole, "half": half, "quarter": quarter, "window": window,
}  # fmt: skip
PIXELS: Mapping[str, tuple[int, int]] = {"square": (1, 1), "2 x 1": (2, 1), "1 x 2": (1, 2)}
"""Pixels of the X-ray that one of the image covers, (rows, columns)."""

TEXTS = ("none", "bright", "dark", "in the field")


def write_text(grey: FloatImage, text: str, draw: Generator) -> None:
    """Write letters into the corners, or at the middle of a side, of [H,W] greys in 0 to 1."""
    if text == "none":
        return
    ink = {"bright": 1.0, "dark": 0.0}.get(text, float(draw.integers(2)))
    height, width = grey.shape
    lines, letters = draw.integers(1, 5), draw.integers(4, 10)
    block = (min(10 * lines, height // 3), min(7 * letters, width // 3))
    if text == "in the field":
        places = [(height - block[0] - 4, (width - block[1]) // 2)]
    else:
        corners = [(r, c) for r in (4, height - block[0] - 4) for c in (4, width - block[1] - 4)]
        places = [corners[i] for i in draw.permutation(4)[: draw.integers(1, 5)]]
    for row, column in places:
        for y in range(row, row + block[0] - 7, 10):
            for x in range(column, column + block[1] - 5, 7):
                grey[y : y + 7, x : x + 5][draw.random((7, 5)) < 0.5] = ink


def display(image: FloatImage, draw: Generator) -> FloatImage:
    """Return 256 greys between two quantiles, as pictures for people have."""
    low, high = np.quantile(image, [draw.uniform(0, 0.02), 1 - draw.uniform(0, 0.02)])
    grey: FloatImage = np.round(255 * np.clip((image - low) / max(high - low, 1e-9), 0, 1))
    return grey


SCALES: Mapping[str, tuple[bool, Callable[[FloatImage, Generator], FloatImage]]] = {
    "counts": (True, lambda counts, draw: counts),
    "log of counts": (True, lambda counts, draw: np.log(counts + 1.0)),
    "line integrals": (False, lambda counts, draw: -np.log((counts + 1.0) / counts.max())),
    "8 bits, bright air": (True, lambda counts, draw: display(np.log(counts + 1.0), draw)),
    "8 bits, bright bone": (False, lambda counts, draw: display(-np.log(counts + 1.0), draw)),
    "8 bits, counts": (True, display),
    "8 bits, counts inverted": (False, lambda counts, draw: display(-counts, draw)),
}
"""Whether air is bright, and pixels of counts."""

FACTORS: Mapping[str, Sequence[str]] = {
    "field": tuple(FIELDS), "cut": tuple(CUTS), "pixels": tuple(PIXELS), "text": TEXTS,
    "stored": tuple(SCALES),
}  # fmt: skip


def choose(factor: str, draw: Generator) -> str:
    """Draw a choice: half of all images have square pixels and no text, a fifth no field."""
    choices = FACTORS[factor]
    first = {"pixels": 0.5, "text": 0.4, "field": 0.2, "cut": 0.3}.get(factor, 1 / len(choices))
    return choices[0] if draw.random() < first else choices[int(draw.integers(1, len(choices)))]


def make_trial(open_beam: FloatImage, person: str, draw: Generator) -> Trial:
    """Return an image of an open X-ray [SIZE,SIZE] (1 is air), drawn at random."""
    from scipy.ndimage import gaussian_filter

    made = {factor: choose(factor, draw) for factor in FACTORS} | {"person": person}
    y, x = np.meshgrid(*[np.linspace(-1, 1, SIZE_PX)] * 2, indexing="ij")
    through = edge(FIELDS[made["field"]](x, y, draw), draw)
    rows, columns = CUTS[made["cut"]](SIZE_PX, draw)
    high, wide = PIXELS[made["pixels"]]
    signal = open_beam * (1.0 if made["field"] in PADDED else through + draw.uniform(0, 0.02))
    signal = signal + draw.uniform(0, 0.05) * gaussian_filter(signal, SIZE_PX / 10)
    counts = draw.poisson(signal * 10.0 ** draw.uniform(3.3, 4.7)).astype(float)
    counts = np.minimum(counts, np.quantile(counts, 1.0) * draw.uniform(0.7, 1.1))
    counts = binned(counts[rows, columns], high, wide)
    field = binned(through[rows, columns], high, wide) > 0.5
    air_is_bright, scale = SCALES[made["stored"]]
    pixels = scale(counts, draw)
    low, high_value = float(pixels.min()), float(pixels.max())
    grey = (pixels - low) / max(high_value - low, 1e-9)
    if made["field"] in PADDED:
        grey = np.where(field, grey, PADDED[made["field"]])
    write_text(grey, made["text"], draw)
    return Trial(
        pixels=low + grey * (high_value - low), field=field, spacing_mm=(float(high), float(wide)),
        air_is_bright=air_is_bright, made=made,
    )  # fmt: skip


def binned(image: FloatImage, high: int, wide: int) -> FloatImage:
    """Return the means of blocks of pixels."""
    rows, columns = image.shape[0] // high, image.shape[1] // wide
    cut = image[: rows * high, : columns * wide]
    means: FloatImage = cut.reshape(rows, high, columns, wide).mean(axis=(1, 3))
    return means


def open_xrays(cohort: Path, half: int) -> Iterator[tuple[str, FloatImage]]:
    """X-rays [SIZE,SIZE] without a collimator, the open beam 1, and of whom: one half of them.

    Each real CT gives every second view to each half, virtual people belong to one half.
    """
    for name in ("chest", "pelvis"):
        volume = read_volume(fetch_example(name).ct)
        for number in range(half, len(VIEWS_DEG), 2):
            yield name, open_xray(volume, number)
    with DeepFluoroFile(cohort) as file:
        for specimen in file.specimens[half::2]:
            volume = file.volume(specimen)
            for number in range(half, len(VIEWS_DEG), 2):
                yield "virtual", open_xray(volume, number)


def open_xray(volume: Volume, number: int) -> FloatImage:
    """Return the X-ray of a CT in one of the views, without quantum noise."""
    size_mm = DETECTORS_MM[number // 2]
    camera = Camera(
        source_to_detector_mm=1000.0, rows=SIZE_PX, columns=SIZE_PX,
        pixel_spacing_mm=(size_mm / SIZE_PX,) * 2,
    )  # fmt: skip
    primary_deg, secondary_deg = VIEWS_DEG[number]
    angles = CArmAngles(
        primary_rad=math.radians(primary_deg), secondary_rad=math.radians(secondary_deg)
    )
    parameters = XrayParameters(photons=1e9, saturation=10.0, scatter_fraction=0.3)
    pose = view_pose(volume, camera, angles)
    signal = simulate_xray(volume, camera, pose, parameters, number).transmission
    return signal.numpy().astype(float)


def judged(trial: Trial) -> dict[str, float]:
    """What was found in an image: field and polarity."""
    from scipy.ndimage import binary_erosion

    image = torch.from_numpy(trial.pixels.astype(np.float32))
    found = detect_field(image, pixel_spacing_mm=trial.spacing_mm).numpy()
    polarity = polarity_of(
        image, torch.from_numpy(found), trial.spacing_mm, torch.from_numpy(~found)
    )
    overlap = (found & trial.field).sum() / max(1, (found | trial.field).sum())
    rim = max(2, round(RIM_FRACTION * min(found.shape)))
    inner = binary_erosion(trial.field, iterations=rim, border_value=1)
    eaten = (inner & ~found).sum() / max(1, inner.sum())
    right = polarity.air_is_bright == trial.air_is_bright
    return {
        "found": float(overlap >= RIGHT_IOU), "overlap": float(overlap),
        "harm": float(eaten > EATEN), "right": float(right),
        "unsure": float(not polarity.sure), "surely wrong": float(polarity.sure and not right),
    }  # fmt: skip


def run(options: Options) -> list[tuple[Mapping[str, str], dict[str, float]]]:
    """Return how each image was made and what was found in it."""
    draw = np.random.default_rng(1 if options.choosing else 2)
    rows = []
    for person, open_beam in open_xrays(options.cohort, 0 if options.choosing else 1):
        for _ in range(options.draws):
            trial = make_trial(open_beam, person, draw)
            rows.append((trial.made, judged(trial)))
    return rows


def report(rows: Sequence[tuple[Mapping[str, str], dict[str, float]]], choosing: bool) -> str:
    """The tables as markdown."""
    half = "limits were chosen with these" if choosing else "limits were chosen with other images"
    lines = [
        "### Field and polarity of X-rays", "",
        f"{describe_hardware(1, ('torch', 'numpy', 'scipy', 'wsreg'))}.", "",
        f"{len(rows)} images of two real CTs and of virtual people; {half}.  Nothing is known but "
        "the shape of the pixels.  A field is found if its overlap (intersection over union) with "
        f"the true one is at least {RIGHT_IOU}; a mask does harm if it takes more than {EATEN:.0%} "
        "of the field, its rim aside.  Where polarity is unsure, registration tries both.", "",
        "| images | n | field found | mean overlap | harm | polarity right | unsure "
        "| surely wrong |",
        "|---|---|---|---|---|---|---|---|",
        _row("all", [found for _, found in rows]),
    ]  # fmt: skip
    for factor, choices in FACTORS.items():
        for choice in choices:
            chosen = [found for made, found in rows if made[factor] == choice]
            if chosen:
                lines.append(_row(f"{factor}: {choice}", chosen))
    return "\n".join(lines) + "\n"


def _row(name: str, found: Sequence[dict[str, float]]) -> str:
    mean = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    return (
        f"| {name} | {len(found)} | {mean['found']:.0%} | {mean['overlap']:.3f} "
        f"| {mean['harm']:.1%} | {mean['right']:.0%} | {mean['unsure']:.0%} "
        f"| {mean['surely wrong']:.1%} |"
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    torch.set_num_threads(1)
    text = report(run(options), options.choosing)
    print(text)
    if options.write:
        write_section("fields", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
