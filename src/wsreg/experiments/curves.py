"""Curves of methods: distributions of errors, capture range, convergence, risk by coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.evaluation.summary import GROSS_FAILURE_MM, is_gross_failure
from wsreg.evaluation.trial import Trial
from wsreg.evaluation.verdicts import CONFIDENCE, risk_coverage
from wsreg.experiments.entries import Entry
from wsreg.experiments.statistics import values_of
from wsreg.outputs.figures import DPI, line_style, style
from wsreg.registration.trace_step import TraceStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DISTRIBUTIONS = {"mpd_mm": "Projected distance (mm)", "mtre_3d_mm": "3D distance (mm)"}
"""Distances whose distributions are drawn."""
RANGE_MM = (0.01, 1000.0)
"""Of distances that are drawn, at most."""
MARKERS = "os^Dvp*X"
CONFIDENCE_95 = 1.959964
PANELS_ACROSS = 3
LEAST_RISK = 5.0
"""In percent: the axis goes so far at least, lest one failure look like many."""

FloatArray = NDArray[np.float64]


def distribution_figure(entries: Sequence[Entry]) -> Figure:
    """Draw which share of all X-rays is nearer than so much, for each method.

    X-rays without an answer are never reached, so that such a curve ends below 100 %.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(7.0, 3.6 + 0.17 * len(entries)), dpi=DPI, layout="constrained")
        panels = list(figure.subplots(1, len(DISTRIBUTIONS), sharey=True))
        for panel, (distance, title) in zip(panels, DISTRIBUTIONS.items(), strict=True):
            for number, entry in enumerate(entries):
                values = np.clip(np.sort(values_of(entry.trials, distance)), RANGE_MM[0], None)
                reached = 100.0 * np.arange(1, len(values) + 1) / len(values)
                panel.plot(*_steps(values, reached), label=entry.title, **line_style(number))
            _limits_of_distances(panel, [values_of(e.trials, distance) for e in entries])
            panel.set(xlabel=title, ylim=(0, 102))
            panel.axvline(1.0, color="0.4", linewidth=0.8, zorder=0)
        panels[1].axvline(GROSS_FAILURE_MM, color="0.4", linewidth=0.8, zorder=0)
        panels[0].set_ylabel("X-rays nearer than that (%)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def capture_range_figure(
    curves: Mapping[str, Mapping[float, Sequence[Trial]]],
    distance: str = "mpd_mm",
    limit_mm: float = 2.0,
) -> Figure:
    """Draw which share of X-rays is found, against how far off the starts were.

    Args:
        curves: method -> start distance in mm -> trials, at least one each.
        distance: by which an X-ray counts as found.
        limit_mm: under so much of it.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(5.6, 3.6), dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        starts = sorted({start for by_start in curves.values() for start in by_start})
        gap = min(np.diff(starts), default=1.0)
        for number, (title, by_start) in enumerate(curves.items()):
            beside = 0.06 * gap * (number - 0.5 * (len(curves) - 1))  # bars do not hide each other
            found = [values_of(by_start[start], distance) < limit_mm for start in sorted(by_start)]
            shares = np.array([np.mean(some) for some in found])
            bars = np.array([wilson_interval(int(some.sum()), len(some)) for some in found]).T
            axes.errorbar(
                np.array(sorted(by_start)) + beside, 100 * shares,
                yerr=100 * np.abs(bars - shares), capsize=2, elinewidth=0.8, markersize=4.5,
                marker=MARKERS[number % len(MARKERS)], label=title, **line_style(number),
            )  # fmt: skip
        axes.set(
            xlabel="Start error, mean over landmarks (mm)", ylim=(-3, 104),
            ylabel=f"{_words(distance)} under {limit_mm:g} mm\n(% of X-rays, 95 % intervals)",
        )  # fmt: skip
        _legend_below(figure, axes)
    return figure


def descent_figure(curves: Mapping[str, Sequence[Sequence[float]]], error: str) -> Figure:
    """Draw how errors fall from step to step: medians over X-rays, and their quartiles.

    Args:
        curves: method -> for each X-ray its error after each step, the start's first.  A method
            that has ended stays where it is.
        error: what it is, with its unit, as the axis says it.

    Raises:
        InputError: a method has no X-rays, or an X-ray no errors.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    with style():
        figure = Figure(figsize=(5.6, 3.6), dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        for number, (title, rows) in enumerate(curves.items()):
            padded = _padded(title, rows)
            low, middle, high = np.quantile(padded, (0.25, 0.5, 0.75), axis=0)
            steps = np.arange(padded.shape[1])
            axes.plot(steps, middle, label=title, **line_style(number))
            axes.fill_between(
                steps, low, high, color=line_style(number)["color"], alpha=0.18, linewidth=0
            )
            axes.plot(
                steps[-1], middle[-1], marker=MARKERS[number % len(MARKERS)], markersize=5,
                color=line_style(number)["color"],
            )  # fmt: skip
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_yscale("log")
        axes.set(xlabel="Step (marker: the last one)", ylabel=f"{error}\nmedian and quartiles")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        # Names between powers of ten where the axis has hardly one of these.
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))
        axes.set_xlim(left=0)
        _legend_below(figure, axes)
    return figure


def errors_on_the_way(sample: Sample, trace: Sequence[TraceStep]) -> list[float]:
    """Return the 3D distance (mm) of the first body after each step of a trace.

    Raises:
        InputError: the sample has no landmarks.
    """
    points, true = landmarks_of(sample), sample.camera_from_ct
    return [float(mtre_3d_mm(points, step.camera_from_ct[0], true)) for step in trace]


def risk_coverage_figure(entries: Sequence[Entry]) -> Figure:
    """Draw gross failures among the most trusted answers against how many are trusted.

    Trust is by the verdict, or by the similarity; the best possible order is the third line.
    """
    from matplotlib.figure import Figure

    across = min(len(entries), PANELS_ACROSS)
    down = math.ceil(len(entries) / across)
    with style():
        size = (2.4 * across + 0.6, 2.2 * down + 0.6)
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, entry in zip(panels, entries, strict=False):
            _draw_risk(panel, entry)
        for panel in panels[len(entries) :]:
            panel.set_axis_off()
        lines = [line for panel in panels for line in panel.lines]
        highest = max(LEAST_RISK, *(float(np.max(line.get_ydata())) for line in lines))
        panels[0].set(xlim=(0, 100), ylim=(-0.03 * highest, 1.08 * highest))
        figure.supxlabel("Coverage: answers that are trusted (%)", fontsize=9)
        figure.supylabel("Risk: gross failures among them (%)", fontsize=9)
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=3)
    return figure


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction (Wilson, 1927), which has a width at 0 and 1, too."""
    z2 = CONFIDENCE_95**2 / trials
    share = successes / trials
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(share * (1 - share) * z2 + z2 * z2 / 4) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _draw_risk(panel: Axes, entry: Entry) -> None:
    loss = [float(is_gross_failure(trial.errors)) for trial in entry.trials]
    similarity = [t.similarity_end if t.answered else -math.inf for t in entry.trials]
    verdict = [CONFIDENCE[trial.verdict] for trial in entry.trials]
    # The best possible order lies below, wide and pale, so that those that reach it are seen.
    for name, trust, drawn in (
        ("best possible", [-value for value in loss], {"color": "0.75", "linewidth": 4.0}),
        ("by the verdict", verdict, line_style(0)),
        ("by the similarity", similarity, line_style(1)),
    ):
        coverage, risk = risk_coverage(trust, loss)
        panel.plot(100 * coverage, 100 * risk, label=name, **drawn)
    panel.set_title(f"{entry.title}\n{int(sum(loss))} of {len(loss)} gross", fontsize=8)


def _steps(values: FloatArray, reached: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the corners of a curve that rises at each value; one at infinity is not reached."""
    finite = np.isfinite(values)
    corners = np.repeat(values[finite], 2)
    heights = np.repeat(np.concatenate(([0.0], reached[finite])), 2)[1:-1]
    last = heights[-1] if len(heights) else 0.0
    return np.append(corners, RANGE_MM[1]), np.append(heights, last)


def _limits_of_distances(panel: Axes, values: Sequence[FloatArray]) -> None:
    """Set a logarithmic axis around all distances that are there."""
    every = np.concatenate(values)
    shown = np.clip(every[np.isfinite(every)], *RANGE_MM)
    low, high = (shown.min(), shown.max()) if len(shown) else (0.1, 10.0)
    panel.set_xscale("log")
    panel.set_xlim(0.8 * low, max(1.25 * high, 12.0))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _padded(title: str, rows: Sequence[Sequence[float]]) -> FloatArray:
    """Return [X-rays, steps], each row going on with its last value."""
    if not rows or not all(len(row) for row in rows):
        raise InputError(f"errors of {title!r} must be at least 1 for each of some X-rays")
    length = max(len(row) for row in rows)
    return np.array([[*row, *[row[-1]] * (length - len(row))] for row in rows], dtype=np.float64)


def _legend_below(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _words(distance: str) -> str:
    return {"mpd_mm": "Projected distance", "mtre_3d_mm": "3D distance"}.get(distance, distance)
