"""The task of telling a CT's pose from an X-ray of it (:func:`wsreg.training.fit.fit`)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.files.hashes import sha256_of
from wsreg.files.plans import plain_plan
from wsreg.files.tensor_file import write_tensors
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.rigid import perturb
from wsreg.networks.checkpoint import (
    WEIGHTS_FILE,
    ModelCard,
    load_weights,
    read_card,
    read_weights,
)
from wsreg.networks.generic import encoder_folder
from wsreg.networks.normalisation import normalised
from wsreg.networks.pose_encoder import KIND, PoseEncoder
from wsreg.segmentation.rendered import soft_masks
from wsreg.segmentation.segmenter import Segmenter
from wsreg.training.encoder_config import EncoderConfig, reach
from wsreg.training.encoder_data import (
    HELD_OUT,
    EncoderBatch,
    EncoderData,
    encoder_batch,
    render_compared,
)
from wsreg.training.encoder_pictures import PICTURE_FILE, SHOWN, write_pictures
from wsreg.training.fit import Batch
from wsreg.training.pose_losses import (
    double_geodesic_mm,
    multiscale_ncc,
    negative_log_likelihood,
    roi_dice,
    se3_geodesic_mm,
)

FAILED_FILE = "failed-step.safetensors"
NINETY = 1.6449
"""Deviations of a normal distribution within which 90 % of it lie."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderTask:
    """Find poses; a :class:`wsreg.training.fit.Task`.

    Args:
        network: with its first weights.
        config: settings.
        patients: the CT to learn, or those of many people, with the same regions.
        folder: of the training, where a step that fails leaves its poses.
        begin_with: sha256 of the weights read; empty without any.
        segmenter: finds the regions in both images, frozen, as in the paper, on the device of the
            network; None renders the labels.
        segmenter_sha256: of its weights.
    """

    network: nn.Module
    config: EncoderConfig
    patients: tuple[EncoderData, ...]
    folder: Path
    begin_with: str = ""
    segmenter: Segmenter | None = None
    segmenter_sha256: str = ""

    @property
    def origin(self) -> Mapping[str, Any]:
        """Return what a run that goes on must share besides the settings."""
        return {
            "begin_with": self.begin_with,
            "ct": _sha256_of_all(self.patients),
            "camera": camera_record(self.patients[0].frame.camera),
            "rois": self.patients[0].regions,
            "pivots_mm": self.pivots_mm.tolist(),
            "bodies": [
                [(body.name, list(body.labels)) for body in data.layers.bodies]
                for data in self.patients
            ],
            "segmenter": self.segmenter_sha256,
        }

    @cached_property
    def pivots_mm(self) -> Tensor:
        """Return [P,3] float64, the pivot of each patient (CT, LPS mm)."""
        return torch.stack([data.frame.pivot for data in self.patients])

    @cached_property
    def middles(self) -> Tensor:
        """Return [P,4,4] float64, the middle pose of each patient."""
        return torch.stack([data.frame.middle for data in self.patients])

    def poses(self, numbers: Tensor, who: Tensor) -> Tensor:
        """Return [B,4,4] float64 poses of numbers [B,6] of patients [B], on the numbers' device."""
        twist = numbers.double() * self.patients[0].frame.units.to(numbers.device)
        who = who.cpu()
        return perturb(self.middles[who].to(numbers.device), twist, self.pivots_mm[who])

    def batch(self, step: int, number: int) -> Batch:
        """Return an :class:`EncoderBatch`."""
        done = step / self.config.fit.steps
        fraction = self.config.augmented_fraction * min(1.0, 2.0 * done)  # clean ones first
        return encoder_batch(self.patients, self.config, number, fraction, reach(self.config, step))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the scalar loss of a batch; one that is not finite leaves the poses of its step.

        Raises:
            InputError: the loss is not finite.
        """
        seen = EncoderBatch(*batch)
        found, log_variance = network(normalised(seen.images, seen.valid))
        estimated, true = self.poses(found, seen.who), self.poses(seen.numbers, seen.who)
        finite = bool(torch.isfinite(found).all())
        loss = self.pose_loss(estimated, true, seen) if finite else found.sum()
        errors = (found - seen.numbers).detach().float()
        loss = loss + self.config.sureness_weight * negative_log_likelihood(errors, log_variance)
        if not bool(torch.isfinite(loss).all()):
            path = self.folder / FAILED_FILE
            kept = {"true": true, "estimated": estimated, "images": seen.images}
            write_tensors(path, kept, {})
            raise InputError(
                f"training diverged: the loss is not finite any more; the poses and images of the "
                f"step are in {path}; lower the learning rate"
            )
        return loss.mean()

    def pose_loss(self, estimated: Tensor, true: Tensor, seen: EncoderBatch) -> Tensor:
        """Return [B] b1 L_GEO + b2 (1 - L_ROI) + 1 - L_mNCC."""
        config, camera = self.config, self.patients[0].frame.camera
        loss = torch.zeros(len(true), device=true.device)
        if config.geodesic_weight:
            asked = (
                estimated, true, self.pivots_mm[seen.who.cpu()], camera.source_to_detector_mm,
            )  # fmt: skip
            distance_mm = double_geodesic_mm(*asked) + se3_geodesic_mm(*asked)
            loss = loss + config.geodesic_weight * distance_mm.float()
        if config.image_weight or config.roi_weight:
            moving, fixed = self.rendered(estimated, seen.who), seen.compared
            if config.image_weight:
                ncc = multiscale_ncc(fixed[:, 0], moving[:, 0], config.window_px)
                loss = loss + config.image_weight * (1.0 - ncc)
            if config.roi_weight:
                loss = loss + config.roi_weight * self._roi_loss(fixed, moving)
        return loss

    def _roi_loss(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Return [B] 1 - L_ROI of [B,1+R,h,w]; its mean is that of the images looked at."""
        count = self.config.roi_images or len(fixed)
        dice = roi_dice(self._masks(fixed[:count]), self._masks(moving[:count]))
        lacking = (1.0 - dice) * (len(fixed) / len(dice))
        return torch.cat((lacking, lacking.new_zeros(len(fixed) - len(dice))))

    def rendered(self, poses: Tensor, who: Tensor) -> Tensor:
        """Return [B,1+R,h,w] of each patient's CT at poses [B,4,4], differentiable."""
        who, at = who.cpu(), poses.cpu()
        parts = [
            render_compared(self.patients[index], self.config, at[who == index])
            for index in who.unique_consecutive().tolist()
        ]
        return torch.cat(parts).to(poses.device)

    def _masks(self, images: Tensor) -> Tensor:
        """Return [B,R,h,w] probabilities of the regions in what was rendered [B,1+R,h,w]."""
        if self.segmenter is None:
            return soft_masks(images[:, 1:], self.patients[0].sharpness_per_mm)
        return self.segmenter.probabilities(images[:, :1])

    def validate(self, network: nn.Module, step: int) -> dict[str, float]:
        """Return errors on images that are not learnt from, and how sure the encoder may say it is.

        Some are drawn to validation.png, above what is rendered at their true and estimated poses.

        ``calibration`` is what stated deviations must be multiplied with for 90 % of the errors of
        half of the images to lie within 1.64 of them, and ``coverage`` the fraction that then does
        of the other half.
        """
        seen, found, log_variance = self._held_out(network)
        estimated, true = self.poses(found, seen.who), self.poses(seen.numbers, seen.who)
        config = dataclasses.replace(self.config, image_weight=1.0)  # whatever the loss compares
        of_first = (seen.who == seen.who[0]).nonzero()[:SHOWN, 0]
        shown = [
            render_compared(self.patients[int(seen.who[0])], config, poses[of_first])[:, 0]
            for poses in (true, estimated)
        ]
        write_pictures(self.folder / PICTURE_FILE, [seen.images[of_first, 0], *shown])
        distance_mm = torch.cat(
            [
                mtre_3d_mm(self.patients[index].points_mm, estimated[own], true[own])
                for index, own in ((i, seen.who == i) for i in seen.who.unique().tolist())
            ]
        )
        errors = ((found - seen.numbers) * self.patients[0].frame.units).abs()
        ratio = (found - seen.numbers).abs() / torch.exp(0.5 * log_variance)
        calibration = torch.quantile(ratio[::2], 0.9) / NINETY
        covered = (ratio[1::2] <= NINETY * calibration).double().mean()
        return {
            "error_mm": float(distance_mm.median()),
            "error_95_mm": float(torch.quantile(distance_mm, 0.95)),
            "rotation_deg": float(torch.rad2deg(errors[:, :3].norm(dim=1)).median()),
            "shift_mm": float(errors[:, 3:5].norm(dim=1).median()),
            "depth_mm": float(errors[:, 5].median()),
            "calibration": float(calibration),
            "coverage": float(covered),
        }

    def _held_out(self, network: nn.Module) -> tuple[EncoderBatch, Tensor, Tensor]:
        """Return held-out images, numbers found and log variances [N,6] float64, on the CPU."""
        device = next(network.parameters()).device
        config, batches, parts = self.config, [], []
        for index in range(-(-config.validated // config.fit.batch)):
            seen = encoder_batch(
                self.patients, config, HELD_OUT + 1 + index, config.augmented_fraction
            )
            found = network(normalised(seen.images.to(device), seen.valid.to(device)))
            batches.append(seen)
            parts.append([part.cpu().double() for part in found])
        found, log_variance = map(torch.cat, zip(*parts, strict=True))
        return EncoderBatch(*map(torch.cat, zip(*batches, strict=True))), found, log_variance

    def card(self, step: int, metrics: Mapping[str, float]) -> ModelCard:
        """Return what a checkpoint says of itself."""
        frame, config = self.patients[0].frame, self.config
        return ModelCard(
            kind=KIND,
            config=plain_plan(
                {
                    "network": dataclasses.asdict(config.network),
                    "frame": {**vars(frame), "camera": camera_record(frame.camera)},
                    "poses": dataclasses.asdict(config.poses),
                    "calibration": metrics.get("calibration", 1.0),
                    "people": len(self.patients),
                }
            ),
            roi_names=tuple(name for name, _ in self.patients[0].regions),
            size_px=config.size_px,
            data_sha256=_sha256_of_all(self.patients),
            step=step,
            wsreg=version("wsreg"),
            metrics=dict(metrics),
        )


def encoder_task(
    patients: EncoderData | Sequence[EncoderData],
    config: EncoderConfig,
    folder: Path,
    *,
    begin_with: Path | None = None,
    segmenter: Segmenter | None = None,
    segmenter_sha256: str = "",
) -> EncoderTask:
    """Make a task with a new network, or one that goes on with another encoder's weights.

    Args:
        patients: the CT to learn, or those of many people, with the same regions.
        config: settings; the seed is of the weights too.
        folder: of the training.
        begin_with: folder of an encoder trained before, of this patient or of others; ``generic``
            is the one that comes with this package.
        segmenter: finds regions in images, instead of their labels in the CT.
        segmenter_sha256: of its weights.

    Raises:
        InputError: the encoder to begin with does not fit.
    """
    torch.manual_seed(config.fit.seed)  # of the weights, which torch draws globally
    network = PoseEncoder(config.network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if begin_with is not None:
        begin_with = check_begun(begin_with, config)
        load_weights(network, read_weights(begin_with), begin_with)
    return EncoderTask(
        network=network,
        config=config,
        patients=(patients,) if isinstance(patients, EncoderData) else tuple(patients),
        folder=folder,
        begin_with="" if begin_with is None else sha256_of(begin_with / WEIGHTS_FILE),
        segmenter=segmenter,
        segmenter_sha256=segmenter_sha256,
    )


def check_begun(begin_with: Path, config: EncoderConfig) -> Path:
    """Return the folder of an encoder to begin with, which must be of the same sizes.

    Raises:
        InputError: it is none, or of others.
    """
    folder = encoder_folder(begin_with)
    card = read_card(folder)
    if card.kind != KIND:
        raise InputError(f"model {folder} must be a {KIND} to begin with, got a {card.kind}")
    found, wanted = card.config.get("network"), dataclasses.asdict(config.network)
    if found != wanted:
        raise InputError(
            f"model {begin_with} does not fit its architecture: the network to begin with must be "
            f"{wanted}, it is {found} (--preset small and people have the same)"
        )
    return folder


def _sha256_of_all(patients: Sequence[EncoderData]) -> str:
    """Return the hash of a CT, or of the hashes of many."""
    if len(patients) == 1:
        return patients[0].sha256
    return hashlib.sha256("".join(data.sha256 for data in patients).encode()).hexdigest()
