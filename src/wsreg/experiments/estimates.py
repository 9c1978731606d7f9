"""About how long tasks take, on one core, until some of their group are done and tell better."""

from __future__ import annotations

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
    """

    training: Mapping[str, float]
    xray: Mapping[str, float]
    adam: float
    adam_rois: float
    gauss_newton: float
    dice: float
    beginning: float


SMALL = Seconds(
    training={
        "unet": 480.0, "medsam": 600.0,
        "encoder-geo": 240.0, "encoder-geo-ncc": 360.0, "encoder-geo-ncc-roi": 780.0,
    },
    xray={
        "diffdrr": 6.0, "psss": 4.0, "diffpose": 6.0, "wsreg-unet": 19.0, "wsreg-medsam": 40.0,
        "wsreg-mixed": 20.0, "ours-search": 2.0, "ours-encoder": 2.0, "ours": 4.0,
    },
    adam=6.0, adam_rois=19.0, gauss_newton=2.0, dice=0.5, beginning=2.0,
)  # fmt: skip
TINY = Seconds(
    training={
        "unet": 2.0, "medsam": 3.0,
        "encoder-geo": 2.0, "encoder-geo-ncc": 2.0, "encoder-geo-ncc-roi": 2.0,
    },
    xray={"ours-search": 2.0, "ours-encoder": 1.0, "ours": 3.0},
    adam=0.3, adam_rois=0.5, gauss_newton=1.0, dice=0.3, beginning=0.5,
)  # fmt: skip
PAPER_GPU = Seconds(
    training={
        "unet": 3600.0, "medsam": 7200.0,
        "encoder-geo": 7200.0, "encoder-geo-ncc": 10800.0, "encoder-geo-ncc-roi": 14400.0,
    },
    xray={"wsreg-medsam": 120.0, "ours-search": 4.0, "ours-encoder": 4.0, "ours": 8.0},
    adam=20.0, adam_rois=40.0, gauss_newton=4.0, dice=2.0, beginning=5.0,
)  # fmt: skip
PAPER = PAPER_GPU

DISK_MB: Mapping[str, float] = {"unet": 20.0, "medsam": 100.0, "encoder": 200.0, "": 1.0}
"""Of a result in preset ``paper``, by the beginning of its name."""
DRAWING_SECONDS = 5.0
"""Of a table or a figure."""


def seconds_of(preset: PresetName, *, accelerated: bool) -> Seconds:
    """Return how long things take in a preset; only ``paper`` uses a GPU, for trainings."""
    if preset == "paper":
        return PAPER_GPU if accelerated else PAPER
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
