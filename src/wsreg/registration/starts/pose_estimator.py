"""A trained pose encoder as everything else uses it: an X-ray in, a pose and how sure it is out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_from_record
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.networks.checkpoint import ModelCard, load_weights, read_card, read_weights
from wsreg.networks.generic import encoder_folder
from wsreg.networks.normalisation import normalised
from wsreg.networks.pose_encoder import PoseEncoder, PoseEncoderConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.resample import seen_by
from wsreg.registration.bodies import middle_of
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.bodies import labels_of_bodies
from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.volume import Volume

KIND = "pose-encoder"
HALF_TURN = torch.diag(torch.tensor((-1.0, -1.0, 1.0, 1.0), dtype=torch.float64))
"""Of the camera about its optical axis."""
LEAST_SEEN = 0.1
"""An X-ray that covers less than this of the encoder's image is of another camera altogether."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseEstimate:
    """A pose found in one X-ray.

    Args:
        camera_from_ct: [4,4] float64.
        deviations: [6] float64 standard deviations of its pose parameters (rad, mm).
        turned: whether the X-ray was read upside down.
        unsure: how large the deviations are against those of all poses that were learnt, their
            root mean square; about 1 where the X-ray tells nothing.
    """

    camera_from_ct: Tensor
    deviations: Tensor
    turned: bool
    unsure: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseEstimator:
    """Finds poses of one patient's CT.

    Args:
        card: of the checkpoint.
        network: readings [B,2,S,S] to (numbers, log variances) [B,6].
        frame: what the numbers mean.
        calibration: what stated deviations are multiplied with.
    """

    card: ModelCard
    network: Callable[[Tensor], tuple[Tensor, Tensor]]
    frame: PoseFrame
    calibration: float = 1.0

    def estimates(
        self, radiograph: Radiograph, camera: Camera
    ) -> tuple[PoseEstimate, PoseEstimate]:
        """Return the poses of an X-ray read upright and upside down; a pose has one of the two.

        Raises:
            InputError: the X-ray covers next to nothing of what the encoder sees.
        """
        seen = seen_by(radiograph, camera, self.frame.camera)
        covered = float(seen.mask.float().mean())
        if covered < LEAST_SEEN:
            raise InputError(
                f"X-ray {radiograph.name} must cover the field of {self.frame.camera} that the "
                f"encoder was trained with, it covers {covered:.0%} of it"
            )
        images = torch.stack((seen.image, seen.image.flip(0, 1)))[:, None]
        valid = torch.stack((seen.mask, seen.mask.flip(0, 1)))[:, None]
        with torch.no_grad():
            numbers, log_variance = self.network(normalised(images, valid))
        poses = self.frame.pose(numbers)
        units = torch.exp(0.5 * log_variance.double()) * self.calibration
        upright, turned = (
            PoseEstimate(
                camera_from_ct=HALF_TURN @ pose if number else pose,
                deviations=unit * self.frame.units,
                turned=bool(number),
                unsure=float(unit.square().mean().sqrt()),
            )
            for number, (pose, unit) in enumerate(zip(poses, units, strict=True))
        )
        return upright, turned

    def estimate(self, radiograph: Radiograph, camera: Camera) -> PoseEstimate:
        """Return the pose of the two readings that is the surer."""
        return min(self.estimates(radiograph, camera), key=lambda one: one.unsure)

    @property
    def generic(self) -> bool:
        """Tell whether it has learnt many people instead of one patient."""
        return int(self.card.config.get("people", 1)) > 1

    def for_ct(self, ct: PreparedCt, *, other_patient: bool = False) -> PoseEstimator:
        """Return the encoder as it serves a CT.

        A CT that it was not trained on is turned about the same bones, or about its middle where
        the pelvis has no labels.

        Raises:
            InputError: it was trained on another CT, and ``other_patient`` does not ask for it.
        """
        volume = ct.volume
        if not self.generic and not other_patient:
            self._check_patient(ct.keep(("sha256",), lambda: ct_sha256(volume)))
            return self
        x, y, z = ct.keep(("middle of the first body",), lambda: _middle(volume)).tolist()
        return dataclasses.replace(self, frame=dataclasses.replace(self.frame, pivot_mm=(x, y, z)))

    def _check_patient(self, found: str) -> None:
        """Raise InputError unless the encoder was trained on the CT of this hash."""
        if found != self.card.data_sha256:
            raise InputError(
                f"the encoder must be of this CT, it was trained on another one "
                f"(sha256 {self.card.data_sha256[:12]}, this one {found[:12]}); --other-patient "
                "tries it all the same"
            )


def _middle(volume: Volume) -> Tensor:
    """Return [3] float64 the middle of what moves first, or of the CT (LPS mm)."""
    groups = labels_of_bodies(volume, "auto")
    labels = next(iter(groups.values()), ())
    return middle_of(volume, labels) if labels else volume.centre_mm


def load_pose_estimator(folder: Path) -> PoseEstimator:
    """Read an encoder written by ``wsreg train encoder``.

    Args:
        folder: where it is; ``generic`` is the one that comes with this package.

    Raises:
        InputError: there is none, it is of another kind, or its card or weights do not fit.
    """
    folder = encoder_folder(folder)
    card = read_card(folder)
    if card.kind != KIND:
        raise InputError(f"model {folder} must be of the kind {KIND}, got {card.kind!r}")
    try:
        network = PoseEncoder(PoseEncoderConfig(**card.config["network"]))
        frame = _frame(card.config["frame"], f"model {folder}")
        calibration = float(card.config["calibration"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"model {folder} has a config that is no {KIND}'s: {error}") from None
    load_weights(network, read_weights(folder), folder)
    network.eval().requires_grad_(False)
    return PoseEstimator(card=card, network=network, frame=frame, calibration=calibration)


def _frame(record: dict[str, Any], name: str) -> PoseFrame:
    return PoseFrame(
        camera=camera_from_record(record["camera"], name),
        view=str(record["view"]),
        pivot_mm=tuple(map(float, record["pivot_mm"])),  # type: ignore[arg-type]
        depth_mm=float(record["depth_mm"]),
        scale=tuple(map(float, record["scale"])),  # type: ignore[arg-type]
    )
