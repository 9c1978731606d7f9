"""Columns of the paper's tables and honest ones beside them, and rows of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsreg.evaluation.trial import Trial
from wsreg.experiments import cells
from wsreg.experiments.cells import Measured
from wsreg.experiments.statistics import Summary, summarise_trials
from wsreg.experiments.table import Block, Column

SEED = 0
"""Of the resamplings: the same for every row and table, whichever others there are."""

Rows = Sequence[tuple[str, Sequence[Trial]]]
"""Titles of methods with their trials."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A column, what makes its cells, and whether more is better (1), less (-1) or neither (0)."""

    column: Column
    cell: Measured
    better: int


def _measure(key: str, title: str, made: Measured, better: int) -> Measure:
    return Measure(column=Column(key=key, title=title), cell=made, better=better)


COUNTS: tuple[Measure, ...] = (
    _measure("n", "n", lambda s: cells.count(s.trials), 0),
    _measure("unanswered", "No answer", lambda s: cells.count(s.unanswered), 0),
)
PAPER: tuple[Measure, ...] = (
    _measure("mtre_diffpose_mm", "mTRE† (mm)", cells.mean_of("mtre_diffpose_mm"), -1),
    _measure("srr", "SRR†", cells.under_1_of("mtre_diffpose_mm"), 1),
    _measure("re_deg", "RE (°)", cells.mean_of("rotation_vector_difference_deg"), -1),
    _measure("te_mm", "TE (mm)", cells.mean_of("translation_vector_difference_mm"), -1),
)
HONEST: tuple[Measure, ...] = (
    _measure("mpd_mm", "Projected (mm)", cells.mean_of("mpd_mm"), -1),
    _measure("mpd_under_1", "Projected < 1 mm", cells.under_1_of("mpd_mm"), 1),
    _measure("mtre_3d_mm", "3D (mm)", cells.mean_of("mtre_3d_mm"), -1),
    _measure("mtre_3d_under_1", "3D < 1 mm", cells.under_1_of("mtre_3d_mm"), 1),
    _measure("gfr", "GFR", cells.gross_failures(), -1),
)
SECONDS = _measure("seconds", "Seconds", cells.seconds, -1)
INTERVALS: tuple[Measure, ...] = (
    _measure("mtre_diffpose_mm", "mTRE† (mm)", cells.median_of("mtre_diffpose_mm"), -1),
    _measure("srr", "SRR†", cells.under_1_of("mtre_diffpose_mm", interval=True), 1),
    _measure("mpd_mm", "Projected (mm)", cells.median_of("mpd_mm"), -1),
    _measure("mpd_under_1", "Projected < 1 mm", cells.under_1_of("mpd_mm", interval=True), 1),
    _measure("mtre_3d_mm", "3D (mm)", cells.median_of("mtre_3d_mm"), -1),
    _measure("mtre_3d_under_1", "3D < 1 mm", cells.under_1_of("mtre_3d_mm", interval=True), 1),
    _measure("gfr", "GFR", cells.gross_failures(interval=True), -1),
)

NOTES = (
    "† as DiffPose's evaluator computes it: blind to turns about the optical axis, and about five "
    "times too small; SRR† is the share of it under 1 mm. RE and TE are lengths of differences of "
    "rotation and translation vectors, as the paper words them.",
    "Projected: distance of landmarks on the detector; 3D: in space. GFR: gross failures, over "
    "10 mm in 3D or without an answer.",
    "Mean ± standard deviation, of the X-rays that have a number where it says so; shares are of "
    "all X-rays, and one without an answer is a failure.",
)
INTERVAL_NOTE = (
    "Medians and shares of all X-rays, failures infinitely far off, with 95 % bootstrap intervals "
    "over X-rays within specimens. Where nothing failed, or nothing succeeded, an interval has no "
    "width, though up to about 3/n may still do so."
)
SECONDS_NOTE = (
    "Seconds: median wall time of a registration where it ran. All other tables are the same "
    "whenever they are made; this one is not."
)


def measured_block(
    rows: Rows, measures: Sequence[Measure], source: str = "measured", title: str = ""
) -> Block:
    """Return a row for each method, the best of every column marked."""
    found = [(name, summary_of(trials)) for name, trials in rows]
    made = [[cells.text(name), *(m.cell(summary) for m in measures)] for name, summary in found]
    signs = [0, *(measure.better for measure in measures)]
    return Block(source=source, title=title, rows=cells.best_marked(made, signs))


def summary_of(trials: Sequence[Trial]) -> Summary:
    """Summarise trials by the resamplings of all tables."""
    return summarise_trials(trials, np.random.default_rng(SEED))
