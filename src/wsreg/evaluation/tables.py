"""Summaries as markdown and as rows of a CSV file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

from wsreg.evaluation.pose_errors import DISTANCES
from wsreg.evaluation.summary import GroupSummary, Statistics
from wsreg.evaluation.trial import Trial
from wsreg.evaluation.verdicts import VerdictSummary

Row = dict[str, str | float]


def failure_table(groups: Iterable[GroupSummary]) -> str:
    """Return markdown, a line for each group: trials, answers, gross failures, seconds."""
    lines = [
        "| group | trials | unanswered | GFR | seconds, median |",
        "|---|---|---|---|---|",
        *(
            f"| {group.group} | {group.trials} | {group.unanswered} | {group.gfr:.1%} "
            f"| {group.median_seconds:.2f} |"
            for group in groups
        ),
    ]
    return "\n".join(lines)


def distance_table(groups: Sequence[GroupSummary], distances: Iterable[str] = DISTANCES) -> str:
    """Return markdown, for each distance a line for each group; its unit is the end of its name."""
    lines = [
        "| distance | group | median | mean ± SD | P95 | under 1 (SRR) | under 2 | under 3 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in distances:
        lines += [f"| `{name}` | {group.group} | {_cells(group, name)} |" for group in groups]
    return "\n".join(lines)


def verdict_table(summary: VerdictSummary) -> str:
    """Return markdown: which verdicts gross failures and successes got."""
    lines = ["| trials | `pass` | `check` | `fail` | flagged |", "|---|---|---|---|---|"]
    for name, counts in (
        ("gross failures", summary.failures),
        ("others", summary.others),
        ("successes", summary.successes),
    ):
        fraction = "" if math.isnan(counts.flagged_fraction) else f"{counts.flagged_fraction:.0%}"
        lines.append(
            f"| {name} | {counts.passed} | {counts.checked} | {counts.failed} | {fraction} |"
        )
    return "\n".join(lines)


def csv_rows(groups: Iterable[GroupSummary]) -> list[Row]:
    """Return a row for each group and distance, all of the same keys."""
    return [
        {
            "group": group.group,
            "trials": group.trials,
            "unanswered": group.unanswered,
            "gfr": group.gfr,
            "median_seconds": group.median_seconds,
            "distance": name,
            **dataclasses.asdict(group.distances[name]),
        }
        for group in groups
        for name in DISTANCES
    ]


def trial_rows(trials: Iterable[Trial]) -> list[Row]:
    """Return a row for each trial, all of the same keys; what has no number is NaN."""
    return [
        {
            "specimen": trial.specimen,
            "projection": trial.projection,
            "answered": str(trial.answered).lower(),
            "verdict": trial.verdict,
            "reasons": " ".join(trial.reasons),
            "start_mtre_3d_mm": trial.start_mtre_3d_mm,
            **dataclasses.asdict(trial.errors),
            "similarity_start": trial.similarity_start,
            "similarity_end": trial.similarity_end,
            "seconds": trial.seconds,
        }
        for trial in trials
    ]


def _cells(group: GroupSummary, distance: str) -> str:
    found = group.distances[distance]
    return (
        f"{found.median:.2f} | {_mean(found, group.trials)} | {found.p95:.2f} "
        f"| {found.under_1:.0%} | {found.under_2:.0%} | {found.under_3:.0%}"
    )


def _mean(found: Statistics, trials: int) -> str:
    """Return mean and standard deviation in words, and of how many trials where it is not all."""
    of = "" if found.measured == trials else f" (of {found.measured})"
    return f"{found.mean:.2f} ± {found.standard_deviation:.2f}{of}"
