"""What one attempt at one frame of a sequence gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from wsreg.registration.result import Orientation, Verdict

Way = Literal["none", "start", "tracked", "search", "backwards"]
"""How a frame was tried: not at all (it shows nothing), as a single X-ray, from the frames before
it, by a search around the nearest answer, or from the frames after it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """One attempt at one frame.

    Args:
        frame: its number, from 0.
        way: how it was tried.
        name: of the X-ray.
        state: [K,4,4] float64 ``camera_from_ct`` of every body in the first view; None where there
            was nothing to register.
        verdicts: on every body, in their order.
        rightness: probability that the first body's pose is right, from 0 to 1.
        loss: of the images at the level before the finest, NaN if there is none.
        lost: whether it looks too little like the X-ray to go on from.
        orientation: how the image lies; poses of a mirrored one are of the image mirrored back.
    """

    frame: int
    way: Way
    verdicts: tuple[Verdict, ...]
    name: str = ""
    state: Tensor | None = None
    rightness: float = 0.0
    loss: float = math.nan
    lost: bool = True
    orientation: Orientation = "none"

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values with all digits."""
        return {
            "frame": self.frame,
            "way": self.way,
            "name": self.name,
            "verdicts": [[one.status, list(one.reasons)] for one in self.verdicts],
            "state": None if self.state is None else self.state.tolist(),
            "rightness": self.rightness,
            "loss": None if math.isnan(self.loss) else self.loss,
            "lost": self.lost,
            "orientation": self.orientation,
        }

    @staticmethod
    def from_record(record: Any) -> Step:
        """Return the attempt of a record.

        Raises:
            LookupError, TypeError, ValueError: it is none.
        """
        state = record["state"]
        if record["way"] not in get_args(Way):
            raise ValueError(record["way"])
        return Step(
            frame=int(record["frame"]),
            way=record["way"],
            name=str(record["name"]),
            verdicts=tuple(
                Verdict(status=status, reasons=tuple(reasons))
                for status, reasons in record["verdicts"]
            ),
            state=None if state is None else torch.tensor(state, dtype=torch.float64),
            rightness=float(record["rightness"]),
            loss=math.nan if record["loss"] is None else float(record["loss"]),
            lost=bool(record["lost"]),
            orientation=record["orientation"],
        )


def best_of(steps: Sequence[Step]) -> Step:
    """Return the attempt that counts: one that is not lost, else the one most probably right."""
    return max(steps, key=lambda step: (not step.lost, step.rightness))
