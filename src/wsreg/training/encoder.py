"""The task of telling a CT's pose from an X-ray of it (:func:`wsreg.training.fit.fit`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
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
from wsreg.networks.checkpoint import (
    WEIGHTS_FILE,
    ModelCard,
    load_weights,
    read_card,
    read_weights,
)
from wsreg.networks.normalisation import normalised
from wsreg.networks.pose_encoder import PoseEncoder
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import soft_masks
from wsreg.segmentation.segmenter import Segmenter
from wsreg.training.encoder_config import EncoderConfig, reach
from wsreg.training.encoder_data import HELD_OUT, EncoderData, encoder_batch
from wsreg.training.encoder_pictures import PICTURE_FILE, SHOWN, write_pictures
from wsreg.training.fit import Batch
from wsreg.training.pose_losses import (
    double_geodesic_mm,
    multiscale_ncc,
    negative_log_likelihood,
    roi_dice,
    se3_geodesic_mm,
)

KIND = "pose-encoder"
FAILED_FILE = "failed-step.safetensors"
NINETY = 1.6449
"""Deviations of a normal distribution within which 90 % of it lie."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderTask:
    """Find poses; a :class:`wsreg.training.fit.Task`.

    Args:
        network: with its first weights.
        config: settings.
        data: the CT to learn.
        folder: of the training, where a step that fails leaves its poses.
        begin_with: sha256 of the weights read; empty without any.
        segmenter: finds the regions in both images, frozen, as in the paper; None renders the
            labels.
    """

    network: nn.Module
    config: EncoderConfig
    data: EncoderData
    folder: Path
    begin_with: str = ""
    segmenter: Segmenter | None = None

    @property
    def origin(self) -> Mapping[str, Any]:
        """Return what a run that goes on must share besides the settings."""
        return {
            "begin_with": self.begin_with,
            "ct": self.data.sha256,
            "camera": camera_record(self.data.frame.camera),
            "rois": self.data.regions,
            "segmenter": "" if self.segmenter is None else self.segmenter.card.data_sha256,
        }

    def batch(self, step: int, number: int) -> Batch:
        """Return (images [B,1,S,S], valid alike bool, numbers [B,6] float64)."""
        done = step / self.config.fit.steps
        fraction = self.config.augmented_fraction * min(1.0, 2.0 * done)  # clean ones first
        return encoder_batch(self.data, self.config, number, fraction, reach(self.config, step))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the scalar loss of a batch; one that is not finite leaves the poses of its step.

        Raises:
            InputError: the loss is not finite.
        """
        images, valid, numbers = batch
        found, log_variance = network(normalised(images, valid))
        estimated, true = self.data.frame.pose(found), self.data.frame.pose(numbers)
        finite = bool(torch.isfinite(found).all())
        loss = self._pose_loss(estimated, true) if finite else found.sum()
        errors = (found - numbers).detach().float()
        loss = loss + self.config.sureness_weight * negative_log_likelihood(errors, log_variance)
        if not bool(torch.isfinite(loss).all()):
            path = self.folder / FAILED_FILE
            write_tensors(path, {"true": true, "estimated": estimated, "images": images}, {})
            raise InputError(
                f"training diverged: the loss is not finite any more; the poses and images of the "
                f"step are in {path}; lower the learning rate"
            )
        return loss.mean()

    def _pose_loss(self, estimated: Tensor, true: Tensor) -> Tensor:
        """Return [B] b1 L_GEO + b2 (1 - L_ROI) + 1 - L_mNCC."""
        config, frame = self.config, self.data.frame
        loss = torch.zeros(len(true), device=true.device)
        if config.geodesic_weight:
            asked = (estimated, true, frame.pivot, frame.camera.source_to_detector_mm)
            distance_mm = double_geodesic_mm(*asked) + se3_geodesic_mm(*asked)
            loss = loss + config.geodesic_weight * distance_mm.float()
        if config.image_weight or config.roi_weight:
            moving, fixed = self._rendered(estimated), self._rendered(true)
            moving, fixed = moving.to(loss.device), fixed.to(loss.device)
            if config.image_weight:
                ncc = multiscale_ncc(fixed[:, 0], moving[:, 0], config.window_px)
                loss = loss + config.image_weight * (1.0 - ncc)
            if config.roi_weight:
                dice = roi_dice(self._masks(fixed), self._masks(moving))
                loss = loss + config.roi_weight * (1.0 - dice)
        return loss

    def _rendered(self, poses: Tensor) -> Tensor:
        """Return [B,1+R,h,w] of the CT at poses, differentiable; on the CPU."""
        camera = self.data.frame.camera.resized(self.config.loss_px, self.config.loss_px)
        rois = [labels for _, labels in self.data.regions]
        return render(self.data.compared, camera, poses.cpu(), rois=rois)

    def _masks(self, images: Tensor) -> Tensor:
        """Return [B,R,h,w] probabilities of the regions in what was rendered [B,1+R,h,w]."""
        if self.segmenter is None:
            return soft_masks(images[:, 1:], self.data.sharpness_per_mm)
        return self.segmenter.probabilities(images[:, :1].cpu()).to(images.device)

    def validate(self, network: nn.Module, step: int) -> dict[str, float]:
        """Return errors on images that are not learnt from, and how sure the encoder may say it is.

        Some are drawn to validation.png, above what is rendered at their true and estimated poses.

        ``calibration`` is what stated deviations must be multiplied with for 90 % of the errors of
        half of the images to lie within 1.64 of them, and ``coverage`` the fraction that then does
        of the other half.
        """
        images, found, log_variance, numbers = self._held_out(network)
        frame = self.data.frame
        estimated, true = frame.pose(found), frame.pose(numbers)
        shown = [self._rendered(poses[:SHOWN])[:, 0] for poses in (true, estimated)]
        write_pictures(self.folder / PICTURE_FILE, [images[:, 0], *shown])
        distance_mm = mtre_3d_mm(self.data.points_mm, estimated, true)
        errors = ((found - numbers) * frame.units).abs()
        ratio = (found - numbers).abs() / torch.exp(0.5 * log_variance)
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

    def _held_out(self, network: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (images [N,1,S,S], numbers found, log variances, true numbers [N,6] float64)."""
        device = next(network.parameters()).device
        parts = []
        for index in range(-(-self.config.validated // self.config.fit.batch)):
            images, valid, numbers = encoder_batch(
                self.data, self.config, HELD_OUT + 1 + index, self.config.augmented_fraction
            )
            found = network(normalised(images.to(device), valid.to(device)))
            parts.append((images, *(part.cpu().double() for part in found), numbers))
        images, found, log_variance, numbers = map(torch.cat, zip(*parts, strict=True))
        return images, found, log_variance, numbers

    def card(self, step: int, metrics: Mapping[str, float]) -> ModelCard:
        """Return what a checkpoint says of itself."""
        frame, config = self.data.frame, self.config
        return ModelCard(
            kind=KIND,
            config=plain_plan(
                {
                    "network": dataclasses.asdict(config.network),
                    "frame": dataclasses.asdict(frame),
                    "poses": dataclasses.asdict(config.poses),
                    "calibration": metrics.get("calibration", 1.0),
                }
            ),
            roi_names=tuple(name for name, _ in self.data.regions),
            size_px=config.size_px,
            data_sha256=self.data.sha256,
            step=step,
            wsreg=version("wsreg"),
            metrics=dict(metrics),
        )


def encoder_task(
    data: EncoderData,
    config: EncoderConfig,
    folder: Path,
    *,
    begin_with: Path | None = None,
    segmenter: Segmenter | None = None,
) -> EncoderTask:
    """Make a task with a new network, or one that goes on with another encoder's weights.

    Args:
        data: the CT to learn.
        config: settings; the seed is of the weights too.
        folder: of the training.
        begin_with: folder of an encoder trained before, of this patient or of others.
        segmenter: finds regions in images, instead of their labels in the CT.

    Raises:
        InputError: the encoder to begin with does not fit.
    """
    torch.manual_seed(config.fit.seed)  # of the weights, which torch draws globally
    network = PoseEncoder(config.network)
    if begin_with is not None:
        kind = read_card(begin_with).kind
        if kind != KIND:
            raise InputError(f"model {begin_with} must be a {KIND} to begin with, got a {kind}")
        load_weights(network, read_weights(begin_with), begin_with)
    return EncoderTask(
        network=network,
        config=config,
        data=data,
        folder=folder,
        begin_with="" if begin_with is None else sha256_of(begin_with / WEIGHTS_FILE),
        segmenter=segmenter,
    )
