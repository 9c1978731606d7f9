"""Tables of the benchmark of the intraoperative stage, as markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
GROSS_MM = 10.0
CAPTURE_PLOT = Path(__file__).parent.parent / "docs" / "images" / "capture-range.png"


def starts(rows: Sequence[Row], hardware: str) -> str:
    """Accuracy and success of every start."""
    lines = [
        "### The intraoperative stage: starts and accuracy", "", f"{hardware}.", "",
        "The pelvis in every X-ray of the cohort; masks by one U-Net that has seen none of its "
        "people, or true ones.  Gross: over 10 mm in 3D.  Distances in mm; seconds of one "
        "registration, medians.", "", *_header(),
    ]  # fmt: skip
    return "\n".join([*lines, *(_line(name, some) for name, some in _by_setting(rows).items())])


def seconds(rows: Sequence[Row], hardware: str) -> str:
    """Ours beside the paper's loop."""
    groups = _by_setting(rows)
    loop = _median(groups["the paper's loop"], "seconds")
    lines = [
        "### Seconds: ours and the paper's loop", "", f"{hardware}.", "",
        "The same X-rays, masks by the same U-Net and starts 20 mm off, in one run; the loop has "
        "the U-Net on both sides and takes 250 steps of Adam on the CT as one body.", "",
        "| method | n | seconds, median | times fewer | under 1 mm | projected, median "
        "| 3D, median | 3D, P95 | gross |", "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, some in groups.items():
        own, e = _median(some, "seconds"), _errors(some)
        median, p95 = np.quantile(e[:, 1], (0.5, 0.95))
        lines.append(
            f"| {name} | {len(some)} | {own:.2f} | {loop / own:.1f} | {np.mean(e[:, 0] < 1):.0%} | "
            f"{np.median(e[:, 0]):.2f} | {median:.2f} | {p95:.2f} "
            f"| {int((e[:, 1] > GROSS_MM).sum())} |"
        )
    return "\n".join(lines)


def capture(rows: Sequence[Row], hardware: str) -> str:
    """Success by start error, as a table and a plot."""
    distances = sorted({row["start_mm"] for row in rows})
    groups = _by_setting(rows)
    lines = [
        "### Capture range", "", f"{hardware}.", "",
        "Fraction of X-rays whose pelvis is found to 2 mm (projected), by how far off the start is "
        "(mean of the landmarks, mm); no search follows.  Regions and encoder need no start: what "
        "they reach stands in every column.", "",
        f"| start | {' | '.join(f'{d:g}' for d in distances)} |",
        "|---" * (len(distances) + 1) + "|",
    ]  # fmt: skip
    curves: dict[str, list[float]] = {}
    for name, some in groups.items():
        found = {d: [row for row in some if row["start_mm"] == d] for d in distances}
        alone = len({row["start_mm"] for row in some}) == 1
        curves[name] = [_success(some if alone else found[d], 2.0) for d in distances]
        lines.append(f"| {name} | {' | '.join(f'{v:.0%}' for v in curves[name])} |")
    _plot(distances, curves)
    return "\n".join([*lines, "", "![Success by start error](images/capture-range.png)"])


def robustness(rows: Sequence[Row], hardware: str) -> str:
    """Success under what goes wrong."""
    lines = [
        "### Robustness", "", f"{hardware}.", "",
        "Starts 20 mm off where no other is named; masks are true ones made wrong, or a U-Net's.  "
        "Tools: X-rays in which the simulator put some.  Femurs have moved in all of them since "
        "the CT.", "", *_header(),
    ]  # fmt: skip
    for name, some in _by_setting(rows).items():
        if name == "tools, moved femurs":
            some_with = [row for row in some if row["tools"]]
            lines += [_line("tools in the X-ray", some_with)] if some_with else []
            lines.append(_line("moved femurs (all)", some))
        else:
            lines.append(_line(name, some))
    return "\n".join(lines)


PARTS: Mapping[str, Callable[[Sequence[Row], str], str]] = {
    "starts": starts, "seconds": seconds, "capture": capture, "robustness": robustness,
}  # fmt: skip


def _header() -> list[str]:
    return [
        "| start | n | under 1 mm | under 2 mm | projected: median | P95 | 3D: median | P95 "
        "| gross | gross that pass | pass / check / fail | seconds |",
        "|---" * 12 + "|",
    ]


def _line(name: str, rows: Sequence[Row]) -> str:
    e = _errors(rows)
    gross = e[:, 1] > GROSS_MM
    passes = np.array([row["verdict"] == "pass" for row in rows])
    counts = [sum(row["verdict"] == s for row in rows) for s in ("pass", "check", "fail")]
    return (
        f"| {name} | {len(rows)} | {np.mean(e[:, 0] < 1):.0%} | {np.mean(e[:, 0] < 2):.0%} | "
        f"{np.median(e[:, 0]):.2f} | {np.quantile(e[:, 0], 0.95):.2f} | {np.median(e[:, 1]):.2f} | "
        f"{np.quantile(e[:, 1], 0.95):.2f} | {int(gross.sum())} | {int((gross & passes).sum())} | "
        f"{' / '.join(map(str, counts))} | {_median(rows, 'seconds'):.2f} |"
    )


def _errors(rows: Sequence[Row]) -> np.ndarray:
    """Projected and 3D errors [N,2] in mm; of no answer 1000."""
    found = [[row["errors"]["mpd_mm"], row["errors"]["mtre_3d_mm"]] for row in rows]
    return np.array([[1e3 if v is None else v for v in pair] for pair in found], dtype=float)


def _median(rows: Sequence[Row], field: str) -> float:
    return float(np.median([row[field] for row in rows]))


def _success(rows: Sequence[Row], limit_mm: float) -> float:
    return float(np.mean(_errors(rows)[:, 0] < limit_mm))


def _by_setting(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["setting"], []).append(row)
    return groups


def _plot(distances: Sequence[float], curves: Mapping[str, Sequence[float]]) -> None:
    """Write the plot; lines differ in colour, dash and marker."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    styles = (("#0072b2", "o-"), ("#d55e00", "s-"), ("#009e73", "^--"), ("#cc79a7", "D:"))
    for (name, values), (colour, style) in zip(curves.items(), styles, strict=False):
        axes.plot(distances, [100 * v for v in values], style, color=colour, label=name)
    axes.set(xlabel="start error, mm", ylabel="found to 2 mm, %", ylim=(0, 104))
    axes.grid(alpha=0.3)
    axes.legend()
    CAPTURE_PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(CAPTURE_PLOT)
