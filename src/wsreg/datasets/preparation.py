"""From a stored projection to a radiograph: the preparation that DeepFluoro's users share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.datasets.layout import OPEN_BEAM
from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.radiographs.collimation import detect_field
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.resample import crop_border, resize_radiograph


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Settings, for images of any size.

    Args:
        crop: fraction of the width cut off at each side, where the collimator's edge is; 50 of
            1536 pixels by default.
        blur: standard deviation of the smoothing as a fraction of the width; 1 of 1536 pixels.
        size_px: rows and columns afterwards; as they are if None.
        field: whether to look for a collimator and mask it.
    """

    crop: float = 50 / 1536
    blur: float = 1 / 1536
    size_px: int | None = None
    field: bool = True


def prepared(pixels: Tensor, camera: Camera, name: str, settings: Preparation) -> Radiograph:
    """Blur, take logarithms, crop and resample.

    Args:
        pixels: [rows,columns] detector reading, bright where little is in the way.
        camera: its geometry.
        name: what to call it.
        settings: how.

    Raises:
        InputError: a pixel is not finite, or the crop leaves nothing.
    """
    from scipy.ndimage import gaussian_filter

    if not bool(torch.isfinite(pixels).all()):
        raise InputError(f"projection {name} must be finite, some pixels are NaN or infinite")
    reading = pixels.to(torch.float32)
    mask = torch.ones(reading.shape, dtype=torch.bool)
    if settings.field:
        mask = detect_field(reading, bright_is_air=True, pixel_spacing_mm=camera.pixel_spacing_mm)
    sigma_px = settings.blur * camera.columns
    if sigma_px > 0.3:
        reading = torch.from_numpy(gaussian_filter(reading.numpy(), sigma_px, truncate=2.0))
    # Readings above I0 are noise or saturation; a reading of 0 would be infinitely dense.
    attenuation = torch.log(OPEN_BEAM / reading.clamp(min=1.0, max=OPEN_BEAM))
    radiograph = Radiograph(image=attenuation, mask=mask, camera=camera, name=name)
    radiograph = crop_border(radiograph, crop_px(camera, settings))
    if settings.size_px is None:
        return radiograph
    assert radiograph.camera is not None
    return resize_radiograph(radiograph, radiograph.camera, settings.size_px, settings.size_px)


def prepared_labels(labels: Tensor, camera: Camera, settings: Preparation) -> Tensor:
    """Return the [rows,columns] labels, cropped and resampled (nearest) like the radiograph."""
    crop = crop_px(camera, settings)
    inner = labels[crop : labels.shape[0] - crop, crop : labels.shape[1] - crop]
    if settings.size_px is None:
        return inner.contiguous()
    size = (settings.size_px, settings.size_px)
    resized = torch.nn.functional.interpolate(inner[None, None].float(), size, mode="nearest-exact")
    return resized[0, 0].to(labels.dtype)


def prepared_pixels(points_px: Tensor, camera: Camera, settings: Preparation) -> Tensor:
    """Return where pixels [...,2] (column,row) of the stored image are in the prepared one."""
    crop = crop_px(camera, settings)
    inner = points_px - crop
    if settings.size_px is None:
        return inner
    old = torch.tensor([camera.columns - 2 * crop, camera.rows - 2 * crop], dtype=torch.float64)
    return (inner + 0.5) * (settings.size_px / old) - 0.5


def crop_px(camera: Camera, settings: Preparation) -> int:
    """Return how many pixels are cut off at each side."""
    return round(settings.crop * camera.columns)
