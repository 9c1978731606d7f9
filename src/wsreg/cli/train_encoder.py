"""``wsreg train encoder``: tell a patient's pose from an X-ray, learnt on the patient's CT."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from wsreg.cli.console import progress_bar, step
from wsreg.cli.minutes import Deadline
from wsreg.cli.options import CtDetails, OptionalFile, read_ct
from wsreg.errors import InputError
from wsreg.vocabulary import ViewName

if TYPE_CHECKING:
    from wsreg.geometry.camera import Camera
    from wsreg.segmentation.segmenter import Segmenter
    from wsreg.training.encoder_config import EncoderConfig
    from wsreg.training.encoder_data import EncoderData
    from wsreg.volumes.volume import Volume


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What the loss weighs."""

    geodesic_weight: float | None = None
    """Of the distance of the poses (the paper's beta_1, 0.01)."""
    roi_weight: float | None = None
    """Of the overlap of regions of interest (beta_2, 0.1); 0 needs no labels."""
    image_weight: float | None = None
    """Of 1 - mNCC of the images (1)."""
    rois: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Regions of interest, by the names of labels; all that are labelled if left out."""
    roi_model: Annotated[Path | None, arg(metavar="DIR")] = None
    """A U-Net (wsreg train segmentation) that finds them in both images, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Train an encoder on a patient's CT before surgery; it gives the first pose in the theatre.

    The CT and the camera of the X-rays to come are all it needs, or a specimen of a data set.
    """

    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for model.safetensors, model.json, log.csv and the state."""
    ct: Annotated[Path | None, arg(metavar="CT")] = None
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    camera: OptionalFile = None
    """camera.json of the X-rays to come; other detectors and distances are resampled to it."""
    people: int | None = None
    """Learn so many virtual people instead of one patient, for an encoder to begin others with."""
    data: Annotated[Path | None, arg(metavar="FILE.h5")] = None
    """DeepFluoro's file or a cohort, instead of --ct and --camera."""
    specimen: Annotated[str | None, arg(metavar="NAME")] = None
    """Whose CT of --data."""
    view: ViewName = "PA"
    """From which side the X-rays are taken."""
    poses: Literal["wide", "diffpose"] = "wide"
    """How far poses lie from this view: wide for C-arms over a pelvis, or as DiffPose has them."""
    begin_with: Annotated[Path | None, arg(metavar="DIR")] = None
    """An encoder trained before, whose weights are the first; generic comes with wsreg."""
    preset: Literal["small", "people", "paper"] = "small"
    """small: 25 minutes on two cores; people: for --people and a GPU; paper: ResNet18, 256 pixels,
    1300 epochs, for a GPU."""
    steps: int | None = None
    """Optimisation steps instead of the preset's, of which --begin-with takes a third."""
    minutes: float = math.inf
    """Stop and save after so long from the start of the command; started again, the run goes on."""
    batch: int | None = None
    """Images a step instead of the preset's."""
    size_px: int | None = None
    """Image side that the network works on instead of the preset's."""
    learning_rate: float | None = None
    """Rate, or its peak, instead of the preset's."""
    seed: int = 0
    """Seed of weights, poses and randomisation."""
    accelerator: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train; images are rendered on the CPU."""
    devices: int = 1
    """How many devices."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Precision of the arithmetic."""
    workers: int | None = None
    """Processes that make images ahead; one for each core but one if left out."""
    quiet: bool = False
    """Print errors only."""
    ct_details: Annotated[CtDetails, arg(name="CT")] = field(default_factory=CtDetails)
    loss: Loss = field(default_factory=Loss)

    def run(self) -> int:
        """Train and return the exit status."""
        from wsreg.files.lock import held_folder

        with held_folder(self.out):
            self._train()
        return 0

    def _train(self) -> None:
        from wsreg.training.encoder import check_begun, encoder_task
        from wsreg.training.fit import fit

        deadline = Deadline(minutes=self.minutes)
        config, segmenter, workers = self._config(), self._segmenter(), self._workers()
        if self.begin_with is not None:
            check_begun(self.begin_with, config)
        rois = self.loss.rois if segmenter is None else None
        patients = (
            self._patients(config, rois) if self.people is None else self._people(config, rois)
        )
        if not self.quiet:
            empty = sum(data.empty for data in patients) / len(patients)
            print(f"{empty:.1%} of the poses show hardly anything")
        task = encoder_task(
            patients, config, self.out, begin_with=self.begin_with, segmenter=segmenter,
            segmenter_sha256=self._segmenter_sha256(),
        )  # fmt: skip
        with progress_bar("Training", quiet=self.quiet) as progress:
            card = fit(
                task, self.out, accelerator=self.accelerator, devices=self.devices,
                precision=self.precision, minutes=deadline.minutes_left, workers=workers,
                progress=progress,
            )  # fmt: skip
        if not self.quiet:
            print(f"{self.out}: {card.step} steps")
            print("\n".join(f"  {name:<24}{value:.3f}" for name, value in card.metrics.items()))

    def _segmenter(self) -> Segmenter | None:
        """Return the U-Net that finds regions, if one is named."""
        if self.loss.roi_model is None:
            return None
        if self.devices > 1:
            raise InputError(f"--roi-model works on one device, got --devices {self.devices}")
        if self.loss.rois:
            raise InputError("regions come from --rois or from --roi-model, got both")
        import torch

        from wsreg.segmentation.segmenter import load_segmenter

        on_gpu = self.accelerator != "cpu" and torch.cuda.is_available()
        return load_segmenter(self.loss.roi_model, kind="unet", device="cuda" if on_gpu else "cpu")

    def _segmenter_sha256(self) -> str:
        from wsreg.files.hashes import sha256_of
        from wsreg.networks.checkpoint import WEIGHTS_FILE

        model = self.loss.roi_model
        return "" if model is None else sha256_of(model / WEIGHTS_FILE)

    def _workers(self) -> int:
        """Return how many processes make images."""
        from wsreg.threads import cores_for_helpers

        if self.workers is None:
            return cores_for_helpers()
        if self.workers < 0:
            raise InputError(f"--workers must be at least 0, got {self.workers}")
        return self.workers

    def _patients(self, config: EncoderConfig, rois: tuple[str, ...] | None) -> list[EncoderData]:
        """Return the one patient."""
        from wsreg.rendering.prepared import PreparedCt
        from wsreg.training.encoder_data import load_encoder_data

        with step("Reading the CT", quiet=self.quiet):
            volume, camera = self._patient()
        with step("Taking it apart", quiet=self.quiet):
            return [load_encoder_data(PreparedCt(volume=volume), camera, config, rois)]

    def _people(self, config: EncoderConfig, rois: tuple[str, ...] | None) -> list[EncoderData]:
        """Return virtual people, made anew from the seed."""
        from wsreg.cohort.presets import PRESETS
        from wsreg.rendering.prepared import PreparedCt
        from wsreg.training.encoder_data import load_encoder_data
        from wsreg.training.people import people_cts

        if (self.ct, self.data, self.specimen, self.ct_details.labels) != (None,) * 4:
            raise InputError("--people stands instead of --ct, --labels and --data")
        count = self.people or 0
        camera = PRESETS["paper"].camera if self.camera is None else self._read_camera(self.camera)
        patients = []
        with progress_bar("Making people", quiet=self.quiet) as progress:
            for volume in people_cts(count, self.seed, self.workers or None):
                patients.append(load_encoder_data(PreparedCt(volume=volume), camera, config, rois))
                progress("people", len(patients), count)
        return patients

    def _patient(self) -> tuple[Volume, Camera]:
        """Return the CT and the camera of its X-rays."""
        if self.data is None:
            if self.ct is None or self.camera is None:
                raise InputError("train encoder needs --ct and --camera, or --data and --specimen")
            return read_ct(self.ct, self.ct_details), self._read_camera(self.camera)
        if self.ct is not None or self.camera is not None or self.specimen is None:
            raise InputError("--data needs --specimen, and stands instead of --ct and --camera")
        from wsreg.datasets.reader import DeepFluoroFile

        with DeepFluoroFile(self.data) as file:
            sample = next(file.samples(self.specimen), None)
            if sample is None:
                return file.volume(self.specimen), file.camera(rot_180_for_up=False)
            return sample.volume, sample.camera

    @staticmethod
    def _read_camera(path: Path) -> Camera:
        from wsreg.geometry.calibration_file import read_camera

        return read_camera(path)

    def _config(self) -> EncoderConfig:
        from wsreg.training.encoder_config import PRESETS, begun_config
        from wsreg.training.pose_sampling import POSE_RANGES

        config = PRESETS[self.preset]()
        loss = self.loss
        settings = {
            "size_px": self.size_px,
            "geodesic_weight": loss.geodesic_weight,
            "roi_weight": loss.roi_weight,
            "image_weight": loss.image_weight,
        }
        if self.begin_with is not None:
            config = begun_config(config)
        of_fit = {
            "steps": self.steps, "batch": self.batch, "learning_rate": self.learning_rate,
        }  # fmt: skip
        return dataclasses.replace(
            config,
            view=self.view,
            poses=POSE_RANGES[self.poses],
            fit=dataclasses.replace(config.fit, seed=self.seed, **_asked(of_fit)),
            **_asked(settings),
        )


def _asked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that differ from the preset's."""
    return {name: value for name, value in settings.items() if value is not None}
