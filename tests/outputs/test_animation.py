"""overlay.gif: which frames, for how long, and where the edges lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from wsreg.outputs.animation import (
    FIRST_MS,
    LAST_MS,
    MOST_FRAMES,
    SIDE_PX,
    STRIP_PX,
    palette,
    shown_steps,
    write_animation,
)
from wsreg.registration.result import RegistrationResult
from wsreg.registration.trace_step import TraceStep

MakeResult = Callable[..., RegistrationResult]
Traced = Callable[..., tuple[TraceStep, ...]]


def green(frame: Image.Image) -> NDArray[np.float64]:
    """[H,W] how much greener than grey the tile below the text is."""
    pixels = np.asarray(frame.convert("RGB"), dtype=np.float64)[STRIP_PX:]
    difference: NDArray[np.float64] = pixels[..., 1] - pixels[..., 0]
    return difference


def test_edges_move_from_the_start_to_the_answer(
    make_result: MakeResult, make_trace: Traced, tmp_path: Path
) -> None:
    """The blob lies at column 40 of 64 first and at 32 in the end."""
    write_animation(make_result(trace=make_trace()), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.info["loop"] == 0
        frames = [frame.copy() for frame in ImageSequence.Iterator(picture)]
        durations = [frame.info["duration"] for frame in frames]
    assert len(frames) == 3  # the step that was not taken is not shown
    assert (durations[0], durations[-1]) == (FIRST_MS, LAST_MS)
    middles = []
    for frame in frames:
        weight = np.clip(green(frame), 30, None) - 30
        middles.append(float((weight * np.arange(SIDE_PX)).sum() / weight.sum()) * 64 / SIDE_PX)
    assert abs(middles[0] - 40.5) < 1.5
    assert abs(middles[-1] - 32.5) < 1.5


def at_levels(one: TraceStep, levels: Sequence[float]) -> list[TraceStep]:
    """Steps whose images have these values all over."""
    return [dataclasses.replace(one, moving=(torch.full((2, 2), v),)) for v in levels]


def test_of_many_steps_those_are_shown_that_change_the_most(make_trace: Traced) -> None:
    one = make_trace()[0]
    trace = at_levels(one, [0.0, 5.0, 5.5, 8.0, 8.25, 12.0, 12.125])
    assert shown_steps(trace, most=5) == [0, 1, 3, 5, 6]
    assert shown_steps(trace) == [0, 1, 2, 3, 4, 5, 6]
    many = shown_steps(at_levels(one, [float(n) for n in range(250)]))
    assert len(many) == MOST_FRAMES
    assert (many[0], many[-1]) == (0, 249)


def test_steps_that_change_nothing_are_not_shown_but_for_the_ends(make_trace: Traced) -> None:
    one = make_trace()[0]
    assert shown_steps(at_levels(one, [0.0, 1.0, 1.0, 1.0005, 1.0006])) == [0, 1, 4]
    assert shown_steps(at_levels(one, [1.0, 1.0, 1.0])) == [0, 2]
    assert shown_steps([one]) == [0]


def test_a_single_step_and_two_views_are_drawn(
    two_of_each: RegistrationResult, make_trace: Traced, tmp_path: Path
) -> None:
    trace = make_trace(bodies=2, views=2)[:1]
    write_animation(dataclasses.replace(two_of_each, trace=trace), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.width == 2 * SIDE_PX


def test_the_palette_fits_a_gif() -> None:
    assert len(palette()) <= 3 * 256
    assert palette()[:3] == b"\0\0\0"
