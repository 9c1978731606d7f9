"""Plots: what is drawn where, read from Matplotlib's objects."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsreg.outputs.figures import convergence_figure, line_style, write_figure
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
