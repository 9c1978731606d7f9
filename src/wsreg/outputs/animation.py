"""overlay.gif: edges of the rendered CT over the X-ray as a registration goes on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wsreg.files.whole import staged_file
from wsreg.outputs import display
from wsreg.outputs.pictures import EDGE_COLOUR
from wsreg.registration.result import Comparison, RegistrationResult
from wsreg.registration.trace_step import TraceStep

MOST_FRAMES = 36
SIDE_PX, STRIP_PX = 400, 26
FIRST_MS, LAST_MS, WAY_MS, SHORTEST_MS = 900, 2500, 3600, 60
"""How long the start and the answer are shown, all that lies between, and each frame of it."""
LEAST_CHANGE = 2e-3
"""A step is left out that changes the image by a smaller fraction of what all steps do."""
GREYS, BLENDS = 42, 6
"""Shades of the X-ray, each with so many strengths of an edge over it: at most 256 colours."""

Indices = NDArray[np.uint8]


def write_animation(result: RegistrationResult, path: str | Path) -> None:
    """Write the way of a result that has a trace as an endless GIF; it rests at the answer.

    Raises:
        InputError: the file cannot be written.
    """
    numbers = shown_steps(result.trace)
    shots = [_frame(result, number) for number in numbers]
    between = max(SHORTEST_MS, WAY_MS // max(len(shots), 1) // 10 * 10)
    durations = [FIRST_MS, *[between] * (len(shots) - 2), LAST_MS][-len(shots) :]
    with staged_file(path) as temporary:
        shots[0].save(
            temporary, format="GIF", save_all=True, append_images=shots[1:],
            duration=durations, loop=0, optimize=False,
        )  # fmt: skip


def shown_steps(trace: Sequence[TraceStep], most: int = MOST_FRAMES) -> list[int]:
    """Return the numbers of the steps that are shown: the two ends, and what changes the most.

    Steps that change next to nothing are left out, however few there are.
    """
    changes = [_change(step, before) for before, step in itertools.pairwise(trace)]
    least = LEAST_CHANGE * sum(changes)
    order = sorted(range(1, len(trace) - 1), key=lambda number: -changes[number - 1])
    between = [number for number in order[: most - 2] if changes[number - 1] > least]
    return sorted({0, *between, len(trace) - 1})


def _change(step: TraceStep, before: TraceStep) -> float:
    """Return how far the rendered images of two steps are apart, a mean over pixels and views."""
    pairs = zip(step.moving, before.moving, strict=True)
    return sum(float((one - other).abs().mean()) for one, other in pairs)


def _frame(result: RegistrationResult, number: int) -> Image.Image:
    """Draw all views at a step side by side, under a line that says which step it is."""
    step = result.trace[number]
    tiles = [
        _tile(view.comparison, step, index, SIDE_PX if len(result.views) < 3 else SIDE_PX // 2)
        for index, view in enumerate(result.views)
    ]
    height, width = max(len(tile) for tile in tiles), sum(tile.shape[1] for tile in tiles)
    pixels = np.zeros((STRIP_PX + height, width), dtype=np.uint8)
    where = "start" if step.stage == "start" else f"level {step.level}"
    text = f"step {number}   {where}   similarity {step.similarity:.3f}"
    pixels[:STRIP_PX] = _line_of_text(text, width)
    left = 0
    for tile in tiles:
        pixels[STRIP_PX : STRIP_PX + len(tile), left : left + tile.shape[1]] = tile
        left += tile.shape[1]
    frame = Image.frombytes("P", (width, STRIP_PX + height), pixels.tobytes())
    frame.putpalette(palette())
    return frame


def palette() -> bytes:
    """Return colours as red, green, blue: shades of grey under stronger and stronger edges."""
    grey = np.repeat(np.linspace(0.0, 1.0, GREYS)[None, :, None], BLENDS, axis=0)
    strength = np.linspace(0.0, 1.0, BLENDS)[:, None, None]
    colours = (1 - strength) * grey + strength * np.array(EDGE_COLOUR)
    return bytes((255 * colours).round().astype(np.uint8).tobytes())


def _tile(comparison: Comparison, step: TraceStep, view: int, side_px: int) -> Indices:
    """Return [H,W] the colours of the X-ray with the edges of the CT as a step has it."""
    rows, columns = comparison.fixed.shape
    height, width = (
        n * mm for n, mm in zip((rows, columns), comparison.camera.pixel_spacing_mm, strict=True)
    )
    scale = side_px / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    mask = display.resized_mask(comparison.mask, size)
    fixed = display.resized(comparison.fixed, size)
    shade = display.grey(fixed, display.display_window(fixed, mask), mask)[..., 0]
    opacity = display.edges(display.resized(step.moving[view], size), mask)
    return _indices(shade, opacity)


def _indices(shade: display.Pixels, opacity: display.Pixels) -> Indices:
    """Return the numbers of the colours of shades and opacities of edges, both 0 to 1."""
    blend = (opacity * (BLENDS - 1)).round()
    indices: Indices = (blend * GREYS + (shade * (GREYS - 1)).round()).astype(np.uint8)
    return indices


def _line_of_text(text: str, width: int) -> Indices:
    strip = Image.new("L", (width, STRIP_PX), 0)
    font = ImageFont.load_default(size=15)
    ImageDraw.Draw(strip).text((8, STRIP_PX // 2), text, 235, font, anchor="lm")
    shade = np.asarray(strip, dtype=np.float32) / 255.0
    return _indices(shade, np.zeros_like(shade))
