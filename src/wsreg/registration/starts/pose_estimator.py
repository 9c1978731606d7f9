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
from wsreg.files.reading_from import reason_of
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_from_record
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.networks.checkpoint import ModelCard, load_network, read_card
from wsreg.networks.generic import encoder_folder
from wsreg.networks.normalisation import normalised
from wsreg.networks.pose_encoder import KIND, PoseEncoder, PoseEncoderConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.resample import seen_by
from wsreg.registration.bodies import middle_of
from wsreg.registration.states import HALF_TURN
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.region_names import labels_of_region
from wsreg.volumes.volume import Volume

HIPS = ("left-hemipelvis", "right-hemipelvis")
PIVOT_FROM_HIPS_MM = (0.0, 8.0, 23.0)
"""From the middle of both hip bones to that of pelvis, sacrum and lowest vertebrae, about which an
encoder turns (LPS mm; mean of 12 virtual people, 4 mm either way)."""
LOST = 0.7
"""An encoder as unsure as this has learnt no such X-ray; a search helps out."""
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

    @property
    def lost(self) -> bool:
        """Tell whether the X-ray is like nothing that was learnt."""
        return self.unsure >= LOST


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseEstimator:
    """Finds poses of a patient's CT.

    Args:
        card: of the checkpoint.
        network: readings [B,2,S,S] to (numbers, log variances) [B,6].
        frame: what the numbers mean.
        calibration: what stated deviations are multiplied with.
        generic: whether it has learnt many people instead of one patient.
        bound: whether it was readied for a CT (:meth:`for_ct`).
    """

    card: ModelCard
    network: Callable[[Tensor], tuple[Tensor, Tensor]]
    frame: PoseFrame
    calibration: float = 1.0
    generic: bool = False
    bound: bool = False

    def estimates(
        self, radiograph: Radiograph, camera: Camera
    ) -> tuple[PoseEstimate, PoseEstimate]:
        """Return the poses of an X-ray read upright and upside down; a pose has one of the two.

        Raises:
            InputError: the X-ray covers next to nothing of what the encoder sees.
        """
        ways = ((radiograph, camera), _turned(radiograph, camera))
        seen = [seen_by(image, through, self.frame.camera) for image, through in ways]
        covered = max(float(one.mask.float().mean()) for one in seen)
        if covered < LEAST_SEEN:
            raise InputError(
                f"X-ray {radiograph.name} must cover the field of {self.frame.camera} that the "
                f"encoder was trained with, it covers {covered:.0%} of it"
            )
        images = torch.stack([one.image for one in seen])[:, None]
        valid = torch.stack([one.mask for one in seen])[:, None]
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

    def for_ct(self, ct: PreparedCt, *, other_patient: bool = False) -> PoseEstimator:
        """Return the encoder as it serves a CT.

        A CT that it was not trained on is turned about the same point of the pelvis.

        Raises:
            InputError: it was trained on another CT, and ``other_patient`` does not ask for it; or
                another CT has no labels of the hip bones.
        """
        volume = ct.volume
        found = ct.keep(("sha256",), lambda: ct_sha256(volume))
        if found == self.card.data_sha256:
            return dataclasses.replace(self, bound=True)
        if not self.generic and not other_patient:
            raise InputError(
                f"the encoder must be of this CT, it was trained on another one "
                f"(sha256 {self.card.data_sha256[:12]}, this one {found[:12]}); --other-patient "
                "tries it all the same"
            )
        x, y, z = ct.keep(("pivot of an encoder",), lambda: _pivot_mm(volume)).tolist()
        frame = dataclasses.replace(self.frame, pivot_mm=(x, y, z))
        return dataclasses.replace(self, frame=frame, bound=True)


def _pivot_mm(volume: Volume) -> Tensor:
    """Return [3] float64 about what an encoder of others turns a CT (LPS mm)."""
    labels = [label for name in HIPS for label in labels_of_region(name, volume)]
    if not labels:
        raise InputError(
            "an encoder of other people needs the labels of both hip bones in the CT (--labels), "
            "it has none; train one on this CT, or use --init search"
        )
    return middle_of(volume, labels) + torch.tensor(PIVOT_FROM_HIPS_MM, dtype=torch.float64)


def _turned(radiograph: Radiograph, camera: Camera) -> tuple[Radiograph, Camera]:
    """Return an X-ray and its camera turned by half a turn about the optical axis."""
    column, row = camera.centre_px
    turned = dataclasses.replace(
        camera, principal_point_px=(camera.columns - 1 - column, camera.rows - 1 - row)
    )
    image, mask = radiograph.image.flip(0, 1), radiograph.mask.flip(0, 1)
    whole = dataclasses.replace(
        radiograph, image=image, mask=mask, camera=turned, opposite_polarity=None
    )
    return whole, turned


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
        network = load_network(
            lambda: PoseEncoder(PoseEncoderConfig(**card.config["network"])), folder
        )
        frame = _frame(card.config["frame"], f"model {folder}")
        calibration = float(card.config["calibration"])
        generic = int(card.config.get("people", 1)) > 1
    except (KeyError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        raise InputError(
            f"model {folder} has a config that is no {KIND}'s: {reason_of(error)}"
        ) from None
    return PoseEstimator(
        card=card, network=network, frame=frame, calibration=calibration, generic=generic
    )


def _frame(record: dict[str, Any], name: str) -> PoseFrame:
    if (len(record["pivot_mm"]), len(record["scale"])) != (3, 6):
        raise ValueError("pivot_mm must be 3 numbers and scale 6")
    return PoseFrame(
        camera=camera_from_record(record["camera"], name),
        view=str(record["view"]),
        pivot_mm=tuple(map(float, record["pivot_mm"])),  # type: ignore[arg-type]
        depth_mm=float(record["depth_mm"]),
        scale=tuple(map(float, record["scale"])),  # type: ignore[arg-type]
    )
