"""An X-ray in memory: log-converted intensities, which pixels to trust, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.arrays import as_image
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.raw_xray import PixelMeaning

_IMAGES = {"image": torch.float32, "mask": torch.bool, "opposite_polarity": torch.float32}
"""Types of the images, for those who give arrays or nested lists."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiograph:
    """One X-ray, ready for registration.

    Args:
        image: [H,W] float32, attenuation: proportional to the line integral, so bone is bright
            and air is dark; rows and columns as in the camera frame (any flip is undone).  Arrays
            and nested lists become tensors here.
        mask: [H,W] bool, False where pixels carry no anatomy (collimator, burnt-in text);
            if left out, all are used.
        camera: its geometry where known.
        angles: C-arm angles from the header where known.
        notes: sentences saying what was found, assumed, overridden or missing.
        name: what to call it in outputs (the file's stem).
        opposite_polarity: [H,W] the image under the opposite polarity, where nothing tells which of
            the two is right, or the header contradicts the image or itself; registration then
            takes the one that fits the CT.
        polarity_sure: whether the image itself told its polarity clearly; the opposite one is then
            tried only where nothing else fits.
        mirrored: whether left and right were exchanged on reading, as asked.
        meanings: what pixel values were taken for, and what ``opposite_polarity`` takes them for,
            where a file was read; other frames of one camera are then read alike.
    """

    image: Tensor
    mask: Tensor = field(default=None)  # type: ignore[assignment]  # never None from here on
    camera: Camera | None = None
    angles: CArmAngles | None = None
    notes: tuple[str, ...] = ()
    name: str = "xray"
    opposite_polarity: Tensor | None = None
    patient_orientation: tuple[str, str] | None = None
    view_position: str | None = None
    polarity_sure: bool = False
    mirrored: bool = False
    meanings: tuple[PixelMeaning, ...] = ()

    def __post_init__(self) -> None:
        for name, dtype in _IMAGES.items():
            given = getattr(self, name)
            if given is None and name == "mask":
                given = torch.ones_like(self.image, dtype=dtype)
            if given is not None or name == "image":
                object.__setattr__(self, name, as_image(given, dtype, f"radiograph {name}"))
        if self.image.ndim != 2:
            raise InputError(f"radiograph image must be [H,W], got {list(self.image.shape)}")
        for name in ("mask", "opposite_polarity"):
            other = getattr(self, name)
            if other is not None and other.shape != self.image.shape:
                raise InputError(
                    f"radiograph {name} must have the image's shape {list(self.image.shape)}, "
                    f"got {list(other.shape)}"
                )

    def __repr__(self) -> str:
        rows, columns = self.image.shape
        masked = 1.0 - float(self.mask.float().mean())
        geometry = "no camera" if self.camera is None else repr(self.camera)
        return (
            f"Radiograph({self.name}, {rows} rows x {columns} columns, {masked:.0%} masked, "
            f"{geometry})"
        )
