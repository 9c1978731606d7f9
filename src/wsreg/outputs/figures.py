"""Plots, all in one style: readable in print and without telling colours apart.

Drawn by Matplotlib's objects, without pyplot, so that no window system and no global state is
asked for; it is loaded where something is drawn.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsreg.errors import InputError
from wsreg.files.whole import staged_file
from wsreg.registration.trace_step import TraceStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito (Color Universal Design, 2008): told apart with any colour vision."""
LINES = ("-", "--", "-.", ":")
"""Lines of plots differ in style, too."""
DPI = 150
STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9.0,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,
    "svg.hashsalt": "wsreg",
}
_DATELESS: Mapping[str, Mapping[str, None]] = {
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}
"""What each kind of file would say of when it was made."""
BAND, NARROW = "#eef1f4", 0.09
"""Shade of every other level, and the fraction of the width under which its name is cut."""


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the style of all plots."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def line_style(number: int) -> dict[str, Any]:
    """Return colour and line of the plot's n-th line."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": LINES[number % len(LINES)]}


def write_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, PDF or SVG, as its name ends, whole or not at all.

    No file has a date: the same figure is the same file.

    Raises:
        InputError: the file cannot be written, or ends otherwise.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _DATELESS:
        raise InputError(f"a figure must end in one of {', '.join(_DATELESS)}, got {path}")
    with staged_file(path) as temporary, style():
        figure.savefig(temporary, format=suffix[1:], metadata=_DATELESS[suffix])


def write_for_print(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure to look at and one to print, ``path`` with .png and .pdf; return both.

    Raises:
        InputError: a file cannot be written.
    """
    written = [Path(f"{path}{suffix}") for suffix in (".png", ".pdf")]
    for file in written:
        write_figure(figure, file)
    return written


def convergence_figure(trace: Sequence[TraceStep]) -> Figure:
    """Draw loss, similarity and Dice of regions against the steps of a trace.

    Levels are shaded in turn under their numbers; steps that were not taken are open circles.

    Args:
        trace: at least one step.
    """
    from matplotlib.figure import Figure

    with style():
        names = list(trace[-1].roi_dice)
        figure = Figure(figsize=(6.4, 5.6 if names else 4.0), dpi=DPI, layout="constrained")
        panels = list(figure.subplots(3 if names else 2, 1, sharex=True))
        _plot_loss(panels[0], trace)
        _plot_line(panels[1], [step.similarity for step in trace], "Similarity", 1)
        panels[1].set_ylabel("Similarity")
        for number, name in enumerate(names):
            _plot_line(panels[2], [step.roi_dice[name] for step in trace], name, number)
        if names:
            panels[2].set(ylabel="Dice", ylim=(-0.02, 1.02))
            panels[2].legend(fontsize=7, ncols=2, loc="lower right")
        for panel in panels:
            _mark_levels(panel, trace, named=panel is panels[0])
        panels[-1].set_xlabel("Step")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        panels[-1].set_xlim(-0.5, len(trace) - 0.5)
    return figure


def _plot_line(axes: Axes, values: Sequence[float], label: str, number: int) -> None:
    axes.plot(values, label=label, marker=".", markersize=3, **line_style(number))


def _plot_loss(axes: Axes, trace: Sequence[TraceStep]) -> None:
    """Draw the loss, a line of its own for each descent: those of two levels do not compare."""
    positive = all(step.loss > 0 for step in trace)
    axes.set_yscale("log" if positive else "linear")
    axes.set_ylabel("Loss")
    for first, last in _stretches([step.iteration == 0 for step in trace]):
        axes.plot(
            range(first, last), [step.loss for step in trace[first:last]],
            marker=".", markersize=3, **line_style(0),
        )  # fmt: skip
    refused = [number for number, step in enumerate(trace) if not step.accepted]
    if refused:
        axes.plot(
            refused, [trace[number].loss for number in refused], linestyle="", marker="o",
            markerfacecolor="white", markeredgecolor=COLOURS[0], markersize=4,
            label="step not taken",
        )  # fmt: skip
        axes.legend(fontsize=7, loc="upper right")


def _stretches(begins: Sequence[bool]) -> list[tuple[int, int]]:
    """Return (first, last + 1) of what begins at the marked places; the first always does."""
    firsts = [0, *(number for number, begun in enumerate(begins) if begun and number)]
    return list(itertools.pairwise([*firsts, len(begins)]))


def _mark_levels(axes: Axes, trace: Sequence[TraceStep], *, named: bool) -> None:
    """Shade every other stage or level, and name all above the plot."""
    keys = [(step.stage, step.level) for step in trace]
    changes = [key != before for key, before in zip(keys, [None, *keys], strict=False)]
    for number, (first, last) in enumerate(_stretches(changes)):
        if number % 2:
            axes.axvspan(first - 0.5, last - 0.5, color=BAND, zorder=0, linewidth=0)
        if named:
            name = _name(*keys[first], room=(last - first) / len(trace))
            axes.text(
                0.5 * (first + last - 1), 1.02, name, transform=axes.get_xaxis_transform(),
                ha="center", va="bottom", fontsize=7,
            )  # fmt: skip


def _name(stage: str, level: int, *, room: float) -> str:
    """Return what a stage is called in so wide a fraction of the plot."""
    if stage in ("start", "answer"):
        return stage if room > NARROW else ""
    if stage == "ROIs":
        return stage
    return f"level {level}" if room > NARROW else str(level)
