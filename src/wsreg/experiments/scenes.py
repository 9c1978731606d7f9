"""The paper's Figures 1 and 4: landmarks and masks on bones and on X-rays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.datasets.layout import LABEL_NAMES
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.evaluation.trial import Trial
from wsreg.experiments import cells
from wsreg.experiments.bone_view import bone_view
from wsreg.geometry.rigid import transform_points
from wsreg.outputs import display
from wsreg.outputs.figures import COLOURS, DPI, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUE, ESTIMATED = "#0072B2", "#D55E00"
"""Blue and vermilion: told apart with any colour vision; their markers differ as well."""
LANDMARK = "#3B1C6B"
MASK_OPACITY = 0.45


def anatomy_figure(sample: Sample) -> Figure:
    """Draw Figure 1: landmarks and labelled bones of a CT, and the masks on an X-ray of it.

    Raises:
        InputError: the sample lacks labels of its CT or of its X-ray, or landmarks.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if sample.labels is None:
        raise InputError(f"sample {sample.name} must have labels of its X-ray, it has none")
    with style():
        figure = Figure(figsize=(7.0, 4.2), dpi=DPI, layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_bones(left, sample)
        _draw_masks(right, sample, sample.labels)
        names = [sample.volume.label_names.get(label, LABEL_NAMES.get(label, str(label)))
                 for label in sample.volume.label_values]  # fmt: skip
        patches = [
            Patch(facecolor=_colour(label), edgecolor="0.2", label=f"{label} {name}")
            for label, name in zip(sample.volume.label_values, names, strict=True)
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=3)
    return figure


def landmarks_figure(
    samples: Sequence[Sample], methods: Mapping[str, Mapping[tuple[str, str], Trial]]
) -> Figure:
    """Draw Figure 4: landmarks on X-rays under the estimated and the true pose.

    Args:
        samples: a row each, at least one.
        methods: a column each, title -> trials by (specimen, projection), of every sample.

    Raises:
        InputError: a method has no trial of a sample, or a sample has no landmarks.
    """
    from matplotlib.figure import Figure

    with style():
        size = (1.9 * len(methods) + 0.3, 2.25 * len(samples) + 0.4)
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        panels = figure.subplots(len(samples), len(methods), squeeze=False)
        for panel, title in zip(panels[0], methods, strict=True):
            panel.set_title(title, fontsize=8)
        for row, sample in zip(panels, samples, strict=True):
            for panel, (title, trials) in zip(row, methods.items(), strict=True):
                trial = trials.get((sample.specimen, sample.projection))
                if trial is None:
                    raise InputError(f"trials of {title} must have X-ray {sample.name}")
                _draw_landmarks(panel, sample, trial)
            row[0].set_ylabel(sample.name, fontsize=8)
        figure.legend(
            handles=_landmark_handles(), loc="outside lower center", ncols=2, handletextpad=0.4
        )
    return figure


def _draw_bones(axes: Axes, sample: Sample) -> None:
    seen = bone_view(sample.volume)
    colours = _colour_image(seen.labels)
    picture = np.where((seen.labels > 0)[..., None], colours * seen.shade[..., None], 1.0)
    axes.imshow(np.clip(picture, 0.0, 1.0), interpolation="bilinear")
    pixels, in_front = seen.seen(landmarks_of(sample))
    for (column, row), shown in zip(pixels, in_front, strict=True):
        axes.plot(
            column, row, "o", markersize=5, markeredgewidth=1.0,
            markerfacecolor=LANDMARK if shown else "none",
            markeredgecolor="white" if shown else LANDMARK,
        )  # fmt: skip
    _name_beside(axes, pixels, list(sample.landmarks_mm), seen.labels.shape)
    axes.set_title("CT: bones and landmarks (open: behind bone)", fontsize=8)
    axes.set_axis_off()


def _name_beside(
    axes: Axes, pixels: NDArray[np.float64], names: Sequence[str], shape: tuple[int, ...]
) -> None:
    """Write names of points at both sides of a picture, with lines that do not cross."""
    rows, columns = shape
    middle = float(np.median(pixels[:, 0]))
    for right in (False, True):
        side = [n for n in range(len(names)) if (pixels[n, 0] > middle) == right]
        order = sorted(side, key=lambda n: pixels[n, 1])
        places = np.linspace(0.45, 0.98, max(len(order), 2)) * rows
        for number, place in zip(order, places, strict=False):
            axes.annotate(
                names[number], pixels[number], xytext=(columns * (1.04 if right else -0.04), place),
                fontsize=6, ha="left" if right else "right", va="center",
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "0.3", "shrinkB": 3},
            )  # fmt: skip


def _draw_masks(axes: Axes, sample: Sample, labels: Tensor) -> None:
    values = labels.numpy().astype(np.int64)
    grey = _grey(sample)
    laid = grey * (1.0 - MASK_OPACITY) + _colour_image(values) * MASK_OPACITY
    axes.imshow(np.where((values > 0)[..., None], laid, grey))
    for label in sample.volume.label_values:
        mask = values == label
        if not mask.any():
            continue
        axes.contour(mask, levels=[0.5], colors=[_colour(label)], linewidths=0.9)
        row, column = _inmost(mask)
        axes.text(
            column, row, str(label), color="white", fontsize=8, ha="center", va="center",
            weight="bold", bbox={"boxstyle": "circle,pad=0.15", "facecolor": "0.1",
                                 "linewidth": 0},
        )  # fmt: skip
    axes.set_title(f"X-ray {sample.name}: masks", fontsize=8)
    axes.set_axis_off()


def _draw_landmarks(axes: Axes, sample: Sample, trial: Trial) -> None:
    """Draw an X-ray with circles where landmarks are and crosses where they are taken to be."""
    axes.imshow(_grey(sample))
    rows, columns = sample.radiograph.image.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    true = _projected(sample, sample.camera_from_ct)
    axes.plot(*true.T, "o", markersize=6, **_MARKED["true"])
    if not trial.answered:
        axes.set_xlabel("no answer", fontsize=7)
        return
    pose = torch.tensor(trial.camera_from_ct, dtype=torch.float64)
    found = _projected(sample, pose)
    for first, second in zip(true, found, strict=True):
        axes.plot(*np.stack((first, second)).T, color="white", linewidth=0.6)
    for style_name in ("under", "estimated"):
        axes.plot(*found.T, "x", markersize=6, **_MARKED[style_name])
    inside = ((found >= -0.5) & (found <= (columns - 0.5, rows - 0.5))).all(axis=1)
    outside = int((~inside).sum())  # behind the source, too
    lost = f"\n{outside} of {len(found)} landmarks outside" if outside else ""
    axes.set_xlabel(f"{cells.number(trial.errors.mpd_mm)} mm projected{lost}", fontsize=7)


_MARKED: Mapping[str, Mapping[str, Any]] = {
    "true": {"markerfacecolor": TRUE, "markeredgecolor": "white", "markeredgewidth": 0.8},
    "under": {"markeredgecolor": "white", "markeredgewidth": 2.4},
    "estimated": {"markeredgecolor": ESTIMATED, "markeredgewidth": 1.4},
}


def _landmark_handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], marker="o", linestyle="", label="true pose", **_MARKED["true"]),
        Line2D([], [], marker="x", linestyle="", label="estimated pose", **_MARKED["estimated"]),
    ]


def _projected(sample: Sample, camera_from_ct: Tensor) -> NDArray[np.float64]:
    """Return [N,2] (column, row) of the landmarks; NaN behind the source."""
    seen = transform_points(camera_from_ct.double(), landmarks_of(sample))
    pixels: NDArray[np.float64] = sample.camera.project(seen).numpy()
    return pixels


def _grey(sample: Sample) -> NDArray[np.float32]:
    """Return [H,W,3] an X-ray to look at."""
    image, mask = sample.radiograph.image.numpy(), sample.radiograph.mask.numpy()
    return display.grey(image, display.display_window(image, mask), mask)


def _colour(label: int) -> str:
    return COLOURS[(label - 1) % len(COLOURS)]


def _colour_image(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return [...,3] the colours of labels, white for none."""
    from matplotlib.colors import to_rgb

    palette = np.array([(1.0, 1.0, 1.0), *(to_rgb(colour) for colour in COLOURS)])
    index = np.where(labels > 0, (labels - 1) % len(COLOURS) + 1, 0)
    colours: NDArray[np.float64] = palette[index]
    return colours


def _inmost(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return (row, column) of the pixel that lies deepest inside of a mask."""
    from scipy.ndimage import distance_transform_edt

    inside = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(inside.argmax()), mask.shape)
    return int(row), int(column)
