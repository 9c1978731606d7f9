"""``wsreg train``: what can be trained."""

from __future__ import annotations

from dataclasses import dataclass

from wsreg.cli.train_encoder import Encoder
from wsreg.cli.train_segmentation import Segmentation


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a network that finds bones in X-rays, or one that finds a patient's pose in them.

    A run that was stopped goes on from its last state when started again.
    """

    what: Segmentation | Encoder

    def run(self) -> int:
        """Run what was chosen and return the exit status."""
        return self.what.run()
