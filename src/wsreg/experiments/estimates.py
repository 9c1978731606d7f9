"""About how long tasks take, on one core, until some of their group are done and tell better."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wsreg.jobs.task import Task
from wsreg.methods.artefact import Artefact
from wsreg.vocabulary import PresetName


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Seconds of one core.

    Args:
        training: of a network, by its kind and what an encoder learns from.
        xray: of one registration, by the method's name.
        adam, adam_rois: of one by a loop of Adam whose name is not there, without and with a
            U-Net in the loss.
        gauss_newton: of any other.
        dice: of finding the regions of an X-ray and of a rendering of it.
        beginning: of a task, before its first X-ray.
        drawing: of a table or a figure.
    """

    training: Mapping[str, float]
    xray: Mapping[str, float]
    adam: float
    adam_rois: float
    gauss_newton: float
    dice: float
    beginning: float
    drawing: float


SMALL = Seconds(
    training={
        "unet": 1000.0, "medsam": 600.0,
        "encoder-geo": 240.0, "encoder-geo-ncc": 360.0, "encoder-geo-ncc-roi": 780.0,
    },
    xray={
        "diffdrr": 6.0, "psss": 4.0, "diffpose": 6.0, "wsreg-unet": 19.0, "wsreg-medsam": 40.0,
        "wsreg-mixed": 20.0, "ours-search": 2.0, "ours-encoder": 2.0, "ours": 4.0,
    },
    adam=6.0, adam_rois=19.0, gauss_newton=2.5, dice=0.5, beginning=2.0, drawing=5.0,
)  # fmt: skip
TINY = Seconds(
    training={
        "unet": 5.0, "medsam": 5.0,
        "encoder-geo": 1.0, "encoder-geo-ncc": 1.0, "encoder-geo-ncc-roi": 1.0,
    },
    xray={"ours-search": 5.0, "ours-encoder": 3.0, "ours": 7.0},
    adam=0.2, adam_rois=0.2, gauss_newton=1.0, dice=0.2, beginning=0.2, drawing=0.5,
)  # fmt: skip
PAPER_CPU = Seconds(
    training={
        "unet": 5e3, "medsam": 4e3,
        "encoder-geo": 2.6e5, "encoder-geo-ncc": 3e5, "encoder-geo-ncc-roi": 3.5e5,
    },
    xray={"wsreg-medsam": 70.0, "ours-search": 4.0, "ours-encoder": 4.0, "ours": 8.0},
    adam=16.0, adam_rois=35.0, gauss_newton=5.0, dice=2.0, beginning=5.0, drawing=10.0,
)  # fmt: skip
"""By the steps that ``paper`` takes, and what a few of them take; never run to its end."""
PAPER_GPU = dataclasses.replace(
    PAPER_CPU,
    training={
        "unet": 1e3, "medsam": 1e3,
        "encoder-geo": 1e4, "encoder-geo-ncc": 1.2e4, "encoder-geo-ncc-roi": 1.5e4,
    },
)  # fmt: skip
"""Trainings are guesses: as much faster as GPUs usually are.  Registrations take no GPU."""

DISK_MB: Mapping[str, float] = {"unet": 40.0, "medsam": 12.0, "encoder": 182.0, "": 0.1}
"""Of a result in preset ``paper``, by the beginning of its name."""


def seconds_of(preset: PresetName, *, accelerated: bool) -> Seconds:
    """Return how long things take in a preset; only ``paper`` uses a GPU, for trainings."""
    if preset == "paper":
        return PAPER_GPU if accelerated else PAPER_CPU
    return {"small": SMALL, "tiny": TINY}[preset]


def disk_bytes(tasks: Iterable[Task]) -> float:
    """Return how much the results of a graph take in preset ``paper``."""
    kinds = [next(kind for kind in DISK_MB if task.name.startswith(kind)) for task in tasks]
    return 1e6 * sum(DISK_MB[kind] for kind in kinds)


def training_seconds(seconds: Seconds, artefact: Artefact) -> float:
    """Return how long an artefact takes to train."""
    return seconds.training[training_group(artefact)]


def training_group(artefact: Artefact) -> str:
    """Return an artefact's name without its specimen."""
    return "-".join(part for part in (artefact.kind, artefact.losses) if part)


def trials_seconds(seconds: Seconds, method: str, xrays: int) -> float:
    """Return how long a method takes for some X-rays."""
    if method in seconds.xray:
        each = seconds.xray[method]
    elif method.startswith("gauss-newton"):
        each = seconds.gauss_newton
    else:
        with_rois = method.startswith("wsreg") or method.endswith("-rois")
        each = seconds.adam_rois if with_rois else seconds.adam
    return seconds.beginning + xrays * each
