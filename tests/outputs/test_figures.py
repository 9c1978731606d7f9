"""Plots: what is drawn where, read from Matplotlib's objects."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from wsreg.errors import InputError
from wsreg.outputs.figures import (
    convergence_figure,
    line_style,
    write_figure,
    write_for_print,
)
from wsreg.registration.trace_step import TraceStep

Traced = Callable[..., tuple[TraceStep, ...]]


def test_loss_similarity_and_dice_against_steps(make_trace: Traced) -> None:
    trace = make_trace(roi_dice={"pelvis": 0.5, "<femur>": 0.75})
    loss, similarity, dice = convergence_figure(trace).axes
    (line,) = similarity.lines
    assert line.get_ydata() == pytest.approx([step.similarity for step in trace])
    assert [line.get_label() for line in dice.lines] == ["pelvis", "<femur>"]
    assert dice.lines[1].get_ydata() == pytest.approx([0.75] * 4)
    descents = [line for line in loss.lines if line.get_linestyle() != "None"]
    assert [np.size(line.get_xdata()) for line in descents] == [1, 2, 1]  # one for each descent
    (refused,) = (line for line in loss.lines if line.get_linestyle() == "None")
    assert np.asarray(refused.get_xdata()).tolist() == [2]
    assert loss.get_yscale() == "log"
    assert [text.get_text() for text in loss.texts] == ["start", "level 1", "level 2"]


def test_without_regions_two_panels(make_trace: Traced) -> None:
    assert len(convergence_figure(make_trace()).axes) == 2


def test_a_loss_of_zero_and_a_single_step_are_drawn(make_trace: Traced, tmp_path: Path) -> None:
    trace = [dataclasses.replace(step, loss=0.0) for step in make_trace()]
    for steps in (trace, trace[:1]):
        figure = convergence_figure(steps)
        assert figure.axes[0].get_yscale() == "linear"
        write_figure(figure, tmp_path / "plot.png")


def test_a_file_for_print_without_pyplot(
    make_trace: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # cannot be imported
    write_figure(convergence_figure(make_trace()), tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.width >= 900


def test_lines_differ_in_more_than_colour() -> None:
    styles = [(line_style(n)["color"], line_style(n)["linestyle"]) for n in range(8)]
    assert len(set(styles)) == 8
    assert len({line for _, line in styles[:4]}) == 4


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    """Dates and random names of parts would make another file of it each time."""
    for name in ("a.pdf", "b.pdf", "a.svg", "b.svg"):
        figure = Figure(figsize=(2, 2))
        figure.add_subplot().plot([1, 2], clip_on=True)
        write_figure(figure, tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_one_to_look_at_and_one_to_print(make_trace: Traced, tmp_path: Path) -> None:
    written = write_for_print(convergence_figure(make_trace()), tmp_path / "plot")
    assert [path.name for path in written] == ["plot.png", "plot.pdf"]
    assert [path.read_bytes()[1:4] for path in written] == [b"PNG", b"PDF"]
    with pytest.raises(InputError, match=r"must end in one of .png, .pdf, .svg"):
        write_figure(convergence_figure(make_trace()), tmp_path / "plot.gif")
