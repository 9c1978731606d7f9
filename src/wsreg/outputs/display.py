"""X-ray-like images as pixels to look at: windows, edges, outlines, differences.

Images are [H,W] float32 arrays, masks [H,W] bool, colours RGB in 0..1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]
Colour = tuple[float, float, float]

DIM = 0.35
"""Brightness left to pixels outside the mask."""

BRIGHTER_FIXED: Colour = (1.0, 0.62, 0.22)
BRIGHTER_MOVING: Colour = (0.25, 0.62, 1.0)
NO_DIFFERENCE: Colour = (0.15, 0.155, 0.165)


def resized(image: Tensor, size: tuple[int, int]) -> Pixels:
    """Resample an image [H,W] to (rows, columns) without aliasing; not finite becomes 0."""
    finite = image.detach().cpu().float().nan_to_num(0.0, 0.0, 0.0)
    scaled = functional.interpolate(finite[None, None], size, mode="bilinear", antialias=True)
    pixels: Pixels = scaled[0, 0].numpy()
    return pixels


def resized_mask(mask: Tensor, size: tuple[int, int]) -> Mask:
    """Return the mask at (rows, columns): pixels that no masked-out pixel bled into."""
    inside: Mask = resized(mask, size) > 0.999
    return inside


def display_window(image: Pixels, mask: Mask) -> tuple[float, float]:
    """Return (low, high) percentiles inside the mask: few extreme pixels do not set the scale."""
    inside = image[mask] if mask.any() else image.ravel()
    low, high = np.percentile(inside, (0.5, 99.5)).tolist()
    return low, max(high, low + 1e-6 * max(1.0, abs(low)))


def grey(image: Pixels, window: tuple[float, float], mask: Mask) -> Pixels:
    """Return [H,W,3], the window as black to white, dimmed outside the mask."""
    low, high = window
    shade = np.clip((image - low) / (high - low), 0.0, 1.0) * np.where(mask, 1.0, DIM)
    return np.stack((shade,) * 3, axis=-1).astype(np.float32)


def brightness_matched(moving: Pixels, fixed: Pixels, mask: Mask) -> Pixels:
    """Return ``gain * moving + offset``, closest to ``fixed`` inside the mask, gain at least 0."""
    if not mask.any():
        return moving
    moving_mean, fixed_mean = moving[mask].mean(), fixed[mask].mean()
    centred = moving[mask] - moving_mean
    power = float(centred @ centred)
    gain = max(float(centred @ (fixed[mask] - fixed_mean)) / power, 0.0) if power > 0 else 0.0
    matched: Pixels = gain * (moving - moving_mean) + fixed_mean
    return matched


def signed_difference(fixed: Pixels, moving: Pixels, mask: Mask, full_scale: float) -> Pixels:
    """Return [H,W,3]: orange where the fixed image is brighter, blue where the moving one is.

    Pixels outside the mask are shown as no difference, dimmed.
    """
    fraction = np.where(mask, np.clip((fixed - moving) / full_scale, -1.0, 1.0), 0.0)[..., None]
    strength = np.abs(fraction) ** 0.8  # faint differences stay visible
    ends = np.where(fraction > 0, np.array(BRIGHTER_FIXED), np.array(BRIGHTER_MOVING))
    colour = (1 - strength) * np.array(NO_DIFFERENCE) + strength * ends
    shown: Pixels = (colour * np.where(mask, 1.0, DIM)[..., None]).astype(np.float32)
    return shown


def edges(image: Pixels, mask: Mask, *, fraction: float = 0.12) -> Pixels:
    """Return [H,W] opacity of one-pixel lines along the strongest gradients.

    This is Canny's way, without linking.

    Args:
        fraction: of the pixels inside the mask, how many may count as strong before thinning.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(image, 1.5)
    down, right = np.gradient(smooth)
    magnitude = np.hypot(down, right)
    inside = ndimage.binary_erosion(mask, iterations=3)
    if not inside.any() or not magnitude[inside].any():
        return np.zeros_like(image)
    strong = float(np.quantile(magnitude[inside], 1 - fraction))
    unit = np.stack((down, right)) / np.maximum(magnitude, 1e-12)
    grid = np.indices(image.shape)
    ridge = inside.copy()
    for side in (1.0, -1.0):
        beside = ndimage.map_coordinates(magnitude, grid + side * unit, order=1, mode="nearest")
        ridge &= magnitude >= beside
    opacity = np.clip(magnitude / max(strong, 1e-12) - 0.5, 0.0, 1.0)
    lines: Pixels = np.where(ridge, opacity, 0.0).astype(np.float32)
    return lines


def outline(path_length_mm: Pixels, *, threshold_mm: float = 4.0) -> Pixels:
    """Return [H,W] opacity of a line around where rays cross over ``threshold_mm`` of a label."""
    slope = np.hypot(*np.gradient(path_length_mm))
    distance_px = np.abs(path_length_mm - threshold_mm) / np.maximum(slope, 1e-6)
    line: Pixels = np.clip(1.5 - distance_px, 0.0, 1.0).astype(np.float32)
    return line


def painted(picture: Pixels, opacity: Pixels, colour: Colour) -> Pixels:
    """Return a picture [H,W,3] with a colour laid over it."""
    layer = opacity[..., None]
    laid: Pixels = picture * (1 - layer) + layer * np.array(colour, dtype=np.float32)
    return laid
