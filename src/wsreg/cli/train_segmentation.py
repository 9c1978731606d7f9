"""``wsreg train segmentation``: find bones, learnt on a data set, leaving specimens out."""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from wsreg.cli.console import progress_bar, step
from wsreg.cli.minutes import Deadline, TimeIsUp
from wsreg.errors import InputError

if TYPE_CHECKING:
    from wsreg.datasets.reader import DeepFluoroFile
    from wsreg.training.segmentation_config import SegmentationConfig
    from wsreg.training.segmentation_data import SegmentationData


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Train a network that finds bones in X-rays, on a DeepFluoro file or a virtual cohort.

    With --people it learns virtual people instead, for others to begin with.

    A run that was stopped goes on from its last state when started again.
    """

    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for model.safetensors, model.json, log.csv and the state."""
    data: Annotated[Path | None, arg(metavar="FILE.h5")] = None
    """DeepFluoro's file or a cohort."""
    people: int | None = None
    """Learn so many virtual people instead, none of whom is in a cohort."""
    hold_out: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Specimens that the network must not see; it is measured on their X-rays."""
    model: Literal["unet", "medsam"] = "unet"
    """Architecture; medsam is told by boxes where to look."""
    medsam_weights: Annotated[Path | None, arg(metavar="DIR")] = None
    """MedSAM in transformers' format (config.json, model.safetensors), whose mask decoder is
    trained; without it, --model medsam trains a small SAM from scratch."""
    begin_with: Annotated[Path | None, arg(metavar="DIR")] = None
    """A model trained before, whose weights are the first: to go on with more steps, or with X-rays
    of one's own; generic comes with wsreg."""
    learning_rate: float | None = None
    """Peak of the rate instead of the preset's; lower for a model that has learnt before."""
    preset: Literal["small", "paper"] = "small"
    """small: hours on two cores, minutes with --begin-with; paper: the paper's optimiser and
    epochs.  --people has settings of its own."""
    output: Literal["sigmoid", "softmax"] = "sigmoid"
    """sigmoid lets bones lie over each other."""
    steps: int | None = None
    """Optimisation steps instead of the preset's."""
    minutes: float = math.inf
    """Stop and save after so long from the start of the command; started again, the run goes on."""
    size_px: int | None = None
    """Image side that the network works on, by default 96 or that of the model to begin with; 192
    takes four times as long as 96."""
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
            if self.people is None:
                data, config = self._of_file(deadline)
            else:
                data, config = self._of_people(self.people, deadline)
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

    def _of_file(self, deadline: Deadline) -> tuple[SegmentationData, SegmentationConfig]:
        """Return what a data set has to learn from, and the settings."""
        from wsreg.datasets.preparation import Preparation
        from wsreg.datasets.reader import DeepFluoroFile
        from wsreg.files.hashes import sha256_of
        from wsreg.training.segmentation_data import load_segmentation_data

        if self.data is None:
            raise InputError("train segmentation needs --data, or --people")
        with DeepFluoroFile(self.data, Preparation(size_px=self._size_px())) as file:
            config = self._config(file)
            with step("Hashing the data", quiet=self.quiet):
                sha256 = sha256_of(self.data)
            with progress_bar("Data", quiet=self.quiet) as progress:
                data = load_segmentation_data(
                    lambda name: list(file.samples(name)), file.specimens, self.hold_out, config,
                    self.out / "layers", sha256, deadline.watched(progress),
                )  # fmt: skip
        return data, config

    def _of_people(
        self, count: int, deadline: Deadline
    ) -> tuple[SegmentationData, SegmentationConfig]:
        """Return virtual people, made anew from the seed, and the settings."""
        from wsreg.cohort.presets import PRESETS
        from wsreg.training.people_layers import people_data
        from wsreg.training.segmentation_config import people_config

        if self.data is not None or self.hold_out:
            raise InputError("--people stands instead of --data and --hold-out")
        if self.preset == "paper":
            raise InputError("--people has settings of its own, got --preset paper with it")
        config = self._asked(people_config(self.model, self._size_px()))
        with progress_bar("Making people", quiet=self.quiet) as progress:
            data = people_data(
                count, config, PRESETS["paper"].camera, self.out / "layers",
                progress=deadline.watched(progress),
            )  # fmt: skip
        return data, config

    def _size_px(self) -> int:
        """Return the image side that is asked for, or that of the model to begin with."""
        from wsreg.networks.checkpoint import read_card
        from wsreg.networks.generic import segmenter_folder
        from wsreg.training.segmentation_config import SegmentationConfig

        if self.size_px is not None:
            return self.size_px
        if self.begin_with is not None:
            return read_card(segmenter_folder(self.begin_with, self.model)).size_px
        return SegmentationConfig.size_px

    def _config(self, file: DeepFluoroFile) -> SegmentationConfig:
        from wsreg.training.segmentation_config import begun_config, paper_config, small_config

        size_px = self._size_px()
        if self.preset == "paper":
            seen = [name for name in file.specimens if name not in self.hold_out]
            xrays = sum(len(file.projections(name)) for name in seen)
            paper = paper_config(xrays, self.output, self.model)
            return self._asked(dataclasses.replace(paper, size_px=size_px))
        # A model that was trained before knows which bone is where.
        made = small_config if self.begin_with is None else begun_config
        return self._asked(made(self.model, size_px))

    def _asked(self, config: SegmentationConfig) -> SegmentationConfig:
        """Return settings with what the command line asks for instead."""
        asked = {"steps": self.steps, "learning_rate": self.learning_rate}
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        fit_config = dataclasses.replace(config.fit, seed=self.seed, **given)
        return dataclasses.replace(config, output=self.output, fit=fit_config)
