"""Curves of methods: what is drawn where, read from Matplotlib's objects."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial
from wsreg.experiments.curves import (
    capture_range_figure,
    descent_figure,
    distribution_figure,
    errors_on_the_way,
    risk_coverage_figure,
    wilson_interval,
)
from wsreg.experiments.entries import Entry
from wsreg.registration.trace_step import TraceStep

EntryMaker = Callable[..., Entry]
TrialMaker = Callable[..., Trial]


def test_a_distribution_ends_below_100_percent_where_answers_are_missing(
    make_entry: EntryMaker,
) -> None:
    figure = distribution_figure([make_entry("ours", [0.5, 2.0, math.nan, 0.1])])
    line = figure.axes[0].lines[0]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert x[:6].tolist() == [0.1, 0.1, 0.5, 0.5, 2.0, 2.0]
    assert y.tolist() == [0, 25, 25, 50, 50, 75, 75]
    assert line.get_label() == "Ours"
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log"]


def test_nothing_but_failures_is_a_flat_line(make_entry: EntryMaker) -> None:
    line = distribution_figure([make_entry("ours", [math.nan])]).axes[0].lines[0]
    assert np.asarray(line.get_ydata()).tolist() == [0.0]


def test_capture_range_counts_what_is_found(make_trial: TrialMaker) -> None:
    def trials(*distances: float) -> list[Trial]:
        return [make_trial(d, projection=str(n)) for n, d in enumerate(distances)]

    curves = {"Ours": {40.0: trials(0.5, 1.9, 2.1, math.nan), 20.0: trials(0.5, 0.5)}}
    (axes,) = capture_range_figure(curves).axes
    line = axes.lines[0]
    assert np.asarray(line.get_xdata()) == pytest.approx([20.0, 40.0])
    assert np.asarray(line.get_ydata()) == pytest.approx([100.0, 50.0])


def test_each_panel_has_its_own_distance(make_trial: TrialMaker) -> None:
    trial = make_trial(9.0, mpd_mm=0.5, mtre_3d_mm=3.0)
    entry = Entry(name="ours", title="Ours", role="ours", trials=[trial])
    panels = distribution_figure([entry]).axes
    assert [np.asarray(panel.lines[0].get_xdata())[0] for panel in panels] == [0.5, 3.0]
    (axes,) = capture_range_figure({"Ours": {20.0: [trial]}}).axes
    assert np.asarray(axes.lines[0].get_ydata()) == pytest.approx([100.0])  # by the projected one


def test_wilson_interval_of_known_values() -> None:
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_a_descent_that_has_ended_stays_where_it_is() -> None:
    (axes,) = descent_figure({"Ours": [[20.0, 2.0], [20.0, 4.0, 1.0]]}, "3D (mm)").axes
    line = axes.lines[0]
    assert np.asarray(line.get_ydata()) == pytest.approx([20.0, 3.0, 1.5])
    assert axes.get_ylabel().startswith("3D (mm)")
    with pytest.raises(InputError, match="errors of 'Ours' must be at least 1"):
        descent_figure({"Ours": [[1.0], []]}, "mm")


def test_errors_along_a_trace(sample: Sample) -> None:
    def step(off_mm: float) -> TraceStep:
        pose = sample.camera_from_ct.clone()
        pose[1, 3] += off_mm
        return TraceStep(
            stage="image", level=1, iteration=0, accepted=True, camera_from_ct=pose[None],
            loss=1.0, similarity=0.5, damping=1.0,
        )  # fmt: skip

    assert errors_on_the_way(sample, [step(20.0), step(0.5)]) == pytest.approx([20.0, 0.5])


def test_risk_by_verdict_similarity_and_the_best_order(make_trial: TrialMaker) -> None:
    trials = [
        make_trial(0.1, projection="0", similarity_end=0.5),
        make_trial(50.0, projection="1", similarity_end=0.9, verdict="fail"),
    ]
    entry = Entry(name="ours", title="Ours", role="ours", trials=trials)
    panel = risk_coverage_figure([entry]).axes[0]
    risk = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in panel.lines}
    assert risk == {
        "best possible": [0.0, 50.0], "by the verdict": [0.0, 50.0],
        "by the similarity": [100.0, 50.0],
    }  # fmt: skip
    assert "1 of 2 gross" in panel.get_title()


def test_four_methods_need_two_rows_of_panels(make_entry: EntryMaker) -> None:
    entries = [make_entry(name, [0.1, 0.2]) for name in "abcd"]
    assert len(risk_coverage_figure(entries).axes) == 6
