"""How far one image lies off another, to hundredths of a pixel: grey values against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError

FloatArray = NDArray[np.float64]

FINEST_PX, COARSEST_PX = 1.0, 6.0
"""Standard deviations of the two Gaussians whose difference is compared: without what is wide
(scatter, soft tissue, beam hardening) and without noise."""
OUTLIER = 4.0
"""Residuals beyond so many robust standard deviations count nothing: tools, what has moved on its
own (Tukey's biweight)."""
LEAST_DEVIATION = 0.25
"""The robust standard deviation is at least this fraction of the image's own, as the median
residual of masks, which are flat nearly everywhere, says nothing."""
ITERATIONS = 12
FEWEST_PIXELS = 100


def image_shift_px(image: Tensor, reference: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return how far an image's content lies off a reference's, by robust least squares.

    Both are band-passed; then gain and displacement are sought that take the reference to the
    image (Lucas and Kanade, with the mean of both gradients).  Meant for displacements of up to
    about two pixels.

    Args:
        image: [H,W], for instance the attenuation in an X-ray.
        reference: [H,W], for instance the rendering of the CT at the true pose.
        valid: [H,W] bool, pixels that count; all by default.

    Returns:
        [2] float64 (column, row): content of ``reference`` at p lies in ``image`` at p + shift.

    Raises:
        InputError: the sizes differ, or fewer than 100 pixels are left inside of the border.
    """
    from scipy.ndimage import binary_erosion, shift

    valid = torch.ones_like(image, dtype=torch.bool) if valid is None else valid
    if image.ndim != 2 or image.shape != reference.shape or valid.shape != image.shape:
        raise InputError(
            f"image, reference and valid must have one size [H,W], got {list(image.shape)}, "
            f"{list(reference.shape)} and {list(valid.shape)}"
        )
    border = round(2.0 * COARSEST_PX)
    inner = binary_erosion(valid.numpy(), iterations=border)
    if np.count_nonzero(inner) < FEWEST_PIXELS:
        raise InputError(
            f"image must have {FEWEST_PIXELS} valid pixels that are {border} px inside of the "
            f"border, got {np.count_nonzero(inner)}"
        )
    fixed, moving = (_band_passed(x, valid) for x in (image, reference))
    found = np.zeros(2)  # (row, column) as arrays are
    for _ in range(ITERATIONS):
        moved = shift(moving, found, order=3, mode="nearest")
        step = _step(fixed, moved, inner)
        found = np.clip(found + step, -border / 2.0, border / 2.0)
        if np.abs(step).max() < 1e-4:
            break
    return torch.from_numpy(found[::-1].copy())


def _step(fixed: FloatArray, moved: FloatArray, inner: NDArray[np.bool_]) -> FloatArray:
    """Return [2] (row, column) by which ``moved`` has to go on."""
    gradients = np.gradient(0.5 * (fixed + moved))
    columns = np.stack([x[inner] for x in (-gradients[0], -gradients[1], moved)], axis=1)
    target = fixed[inner]
    weights = np.ones(len(target))
    least = LEAST_DEVIATION * float(np.sqrt(np.mean(target**2))) + 1e-12
    for _ in range(4):
        solution = np.linalg.lstsq(columns * weights[:, None], target * weights, rcond=None)[0]
        residual = np.abs(target - columns @ solution)
        limit = OUTLIER * max(1.4826 * float(np.median(residual)), least)
        weights = np.maximum(1.0 - (residual / limit) ** 2, 0.0)
    gain = solution[2] if abs(solution[2]) > 1e-6 else 1.0
    result: FloatArray = np.clip(solution[:2] / gain, -1.0, 1.0)
    return result


def _band_passed(image: Tensor, valid: Tensor) -> FloatArray:
    """Return [H,W] less its surroundings; pixels that are not valid have no part in it."""
    from scipy.ndimage import gaussian_filter

    weight = valid.numpy().astype(np.float64)
    values = np.where(valid.numpy(), image.to(torch.float64).numpy(), 0.0)

    def smooth(sigma_px: float) -> Any:
        return gaussian_filter(values, sigma_px) / np.maximum(
            gaussian_filter(weight, sigma_px), 1e-6
        )

    result: FloatArray = np.asarray(smooth(FINEST_PX) - smooth(COARSEST_PX), dtype=np.float64)
    return result
