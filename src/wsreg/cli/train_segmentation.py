"""``wsreg train segmentation``: find bones, learnt on a data set, leaving specimens out."""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from wsreg.cli.console import progress_bar, step
from wsreg.cli.minutes import Deadline, TimeIsUp

if TYPE_CHECKING:
    from wsreg.datasets.reader import DeepFluoroFile
    from wsreg.training.segmentation_config import SegmentationConfig
    from wsreg.training.segmentation_data import SegmentationData


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Train a network that finds bones in X-rays, on a DeepFluoro file or a virtual cohort.

    A run that was stopped goes on from its last state when started again.
    """

    data: Annotated[Path, arg(metavar="FILE.h5")]
    """DeepFluoro's file or a cohort."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for model.safetensors, model.json, log.csv and the state."""
    hold_out: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Specimens that the network must not see; it is measured on their X-rays."""
    model: Literal["unet", "medsam"] = "unet"
    """Architecture; medsam is told by boxes where to look."""
    medsam_weights: Annotated[Path | None, arg(metavar="DIR")] = None
    """MedSAM in transformers' format (config.json, model.safetensors), whose mask decoder is
    trained; without it, --model medsam trains a small SAM from scratch."""
    begin_with: Annotated[Path | None, arg(metavar="DIR")] = None
    """A model trained before, whose weights are the first: to go on with more steps, or with X-rays
    of one's own."""
    learning_rate: float | None = None
    """Peak of the rate instead of the preset's; lower for a model that has learnt before."""
    preset: Literal["small", "paper"] = "small"
    """small: hours on two cores; paper: the paper's optimiser and epochs."""
    output: Literal["sigmoid", "softmax"] = "sigmoid"
    """sigmoid lets bones lie over each other."""
    steps: int | None = None
    """Optimisation steps instead of the preset's."""
    minutes: float = math.inf
    """Stop and save after so long from the start of the command; started again, the run goes on."""
    size_px: int | None = None
    """Image side that the network works on, 96 by default; 192 takes four times as long."""
    seed: int = 0
    """Seed of weights, poses and randomisation."""
    accelerator: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train."""
    devices: int = 1
    """How many devices."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Precision of the arithmetic."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Train and return the exit status."""
        from wsreg.files.lock import held_folder

        with held_folder(self.out):
            self._train()
        return 0

    def _train(self) -> None:
        from wsreg.training.fit import fit
        from wsreg.training.segmentation import segmentation_task

        deadline = Deadline(minutes=self.minutes)
        try:
            data, config = self._data(deadline)
        except TimeIsUp:
            print("wsreg: the time was over before the training began; the images of every "
                  "specimen that was done are kept", file=sys.stderr)  # fmt: skip
            return
        with progress_bar("Training", quiet=self.quiet) as progress:
            task = segmentation_task(
                data, config, medsam_weights=self.medsam_weights, begin_with=self.begin_with
            )
            card = fit(
                task, self.out, accelerator=self.accelerator, devices=self.devices,
                precision=self.precision, minutes=deadline.minutes_left, progress=progress,
            )  # fmt: skip
        if not self.quiet:
            print(f"{self.out}: {card.step} steps")
            print("\n".join(f"  {name:<24}{value:.3f}" for name, value in card.metrics.items()))

    def _data(self, deadline: Deadline) -> tuple[SegmentationData, SegmentationConfig]:
        """Return what is learnt from, and how."""
        from wsreg.datasets.preparation import Preparation
        from wsreg.datasets.reader import DeepFluoroFile
        from wsreg.files.hashes import sha256_of
        from wsreg.training.segmentation_config import SegmentationConfig
        from wsreg.training.segmentation_data import load_segmentation_data

        size_px = SegmentationConfig.size_px if self.size_px is None else self.size_px
        with DeepFluoroFile(self.data, Preparation(size_px=size_px)) as file:
            config = self._config(file)
            with step("Hashing the data", quiet=self.quiet):
                sha256 = sha256_of(self.data)
            with progress_bar("Data", quiet=self.quiet) as progress:
                data = load_segmentation_data(
                    lambda name: list(file.samples(name)), file.specimens, self.hold_out, config,
                    self.out / "layers", sha256, deadline.watched(progress),
                )  # fmt: skip
        return data, config

    def _config(self, file: DeepFluoroFile) -> SegmentationConfig:
        from wsreg.training.segmentation_config import (
            SegmentationConfig,
            paper_config,
            small_config,
        )

        size_px = SegmentationConfig.size_px if self.size_px is None else self.size_px
        config = small_config(self.output, self.model, size_px)
        if self.preset == "paper":
            seen = [name for name in file.specimens if name not in self.hold_out]
            xrays = sum(len(file.projections(name)) for name in seen)
            config = dataclasses.replace(
                paper_config(xrays, self.output, self.model), size_px=size_px
            )
        fit_config = dataclasses.replace(
            config.fit,
            seed=self.seed,
            steps=config.fit.steps if self.steps is None else self.steps,
            learning_rate=(
                config.fit.learning_rate if self.learning_rate is None else self.learning_rate
            ),
        )
        # A model that was trained before knows which bone is where.
        coarse_px = 0 if self.begin_with else config.coarse_px
        return dataclasses.replace(config, coarse_px=coarse_px, fit=fit_config)
