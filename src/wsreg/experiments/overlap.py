"""The paper's Figure 5: Dice of networks, and how landmarks overlap in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.experiments.dice_tables import IMAGES, DiceScore
from wsreg.geometry.rigid import inverse_rigid, transform_points
from wsreg.outputs.figures import COLOURS, DPI, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OVERLAP_TRUE, OVERLAP_ESTIMATED = "#0072B2", "#F0E442"
DICE_INCHES, PLANES_INCHES = 2.2, 7.2
"""Widths of the two parts of Figure 5."""
SPHERE_MM = 6.0
"""Radius of a landmark where overlaps are shown."""
HATCHES = ("", "///", "...", "xx")
PLANES = (("Axial", 0, 1, "Left", "Posterior"), ("Coronal", 0, 2, "Left", "Superior"),
          ("Sagittal", 1, 2, "Posterior", "Superior"))  # fmt: skip
"""Title, and the two axes (of x, y, z, LPS) of each of the three planes with their directions."""


def overlap_figure(
    scores: Sequence[DiceScore], sample: Sample, answers: Mapping[str, Tensor | None]
) -> Figure:
    """Draw Figure 5: Dice of networks, and landmarks under true and estimated poses on planes.

    Args:
        scores: of the networks, at least one.
        sample: one X-ray.
        answers: title -> [4,4] estimated pose ``camera_from_ct``, None if there is none; a row of
            planes each.

    Raises:
        InputError: the sample has no landmarks.
    """
    from matplotlib.figure import Figure

    points = landmarks_of(sample)
    extents = (points.max(dim=0).values - points.min(dim=0).values + 8 * SPHERE_MM).tolist()
    widths = [extents[across] for _, across, *_ in PLANES]
    with style():
        height = PLANES_INCHES * max(extents[up] for _, _, up, *_ in PLANES) / sum(widths)
        size = (DICE_INCHES + PLANES_INCHES, max(0.7 + (height + 0.25) * len(answers), 3.0))
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        parts: Any = figure.subfigures(1, 2, width_ratios=(DICE_INCHES, PLANES_INCHES))
        _draw_dice(parts[0].subplots(), scores)
        panels = parts[1].subplots(len(answers), len(PLANES), squeeze=False, width_ratios=widths)
        for row, (title, pose) in zip(panels, answers.items(), strict=True):
            for panel, plane in zip(row, PLANES, strict=True):
                _draw_plane(panel, sample, pose, plane)
            called = title if pose is not None else f"{title}, no answer"
            row[0].set_ylabel(f"{called}\n{row[0].get_ylabel()}", fontsize=7)
        for panel, (title, *_) in zip(panels[0], PLANES, strict=True):
            panel.set_title(title, fontsize=8)
        parts[1].legend(handles=_sphere_handles(), loc="outside lower center", ncols=2)
    return figure


def _draw_dice(axes: Axes, scores: Sequence[DiceScore]) -> None:
    """Draw a bar for each network and kind of images, with its standard deviation."""
    networks = list(dict.fromkeys(score.network for score in scores))
    width = 0.8 / max(len(networks), 1)
    for number, network in enumerate(networks):
        means = [
            [s.mean for s in scores if (s.network, s.images) == (network, images)]
            for images in IMAGES
        ]
        places = np.arange(len(IMAGES)) + (number - 0.5 * (len(networks) - 1)) * width
        heights = [float(np.nanmean(some)) if some else 0.0 for some in means]
        bars = axes.bar(
            places, heights, width, label=network, color=COLOURS[number % len(COLOURS)],
            yerr=[float(np.nanstd(some)) if some else 0.0 for some in means], capsize=2,
            hatch=HATCHES[number % len(HATCHES)], edgecolor="white",
            error_kw={"elinewidth": 0.8},
        )  # fmt: skip
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    axes.set_xticks(range(len(IMAGES)), IMAGES)
    axes.set(ylim=(0, 1.1), ylabel="Dice, mean ± standard deviation")
    axes.grid(visible=False, axis="x")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(networks), fontsize=8)


def _draw_plane(
    axes: Axes, sample: Sample, pose: Tensor | None, plane: tuple[str, int, int, str, str]
) -> None:
    """Draw landmarks as spheres, in CT coordinates: where they are and where a pose has them."""
    from matplotlib.patches import Circle

    title, across, up, right, top = plane
    points = landmarks_of(sample)
    places = {"true": points}
    if pose is not None:
        ct_from_found = inverse_rigid(sample.camera_from_ct) @ pose.double()
        places["estimated"] = transform_points(ct_from_found, points)
    for name, place in places.items():
        for centre in place[:, [across, up]].tolist():
            axes.add_patch(Circle(centre, SPHERE_MM, **_SPHERES[name]))
    low, high = points.min(dim=0).values - 4 * SPHERE_MM, points.max(dim=0).values + 4 * SPHERE_MM
    axes.set(xlim=(float(low[across]), float(high[across])), aspect="equal",
             ylim=(float(low[up]), float(high[up])))  # fmt: skip
    if title == "Axial":
        axes.invert_yaxis()  # radiologists have the front on top
    axes.set_xlabel(f"{right} (mm)", fontsize=7)
    axes.set_ylabel(f"{top} (mm)", fontsize=7)
    axes.tick_params(labelsize=6)


_SPHERES: Mapping[str, Mapping[str, Any]] = {
    "true": {"facecolor": OVERLAP_TRUE, "edgecolor": "#00395a", "alpha": 0.75, "linewidth": 0.8},
    "estimated": {"facecolor": OVERLAP_ESTIMATED, "edgecolor": "#6b6400", "alpha": 0.6,
                  "linewidth": 0.9, "linestyle": "--"},
}  # fmt: skip


def _sphere_handles() -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(label="true pose", **_SPHERES["true"]),
        Patch(label="estimated pose (dashed)", **_SPHERES["estimated"]),
    ]
