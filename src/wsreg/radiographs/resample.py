"""Resample and crop radiographs so that image and camera stay in exact agreement."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph


def resize_radiograph(
    radiograph: Radiograph, camera: Camera, rows: int, columns: int
) -> Radiograph:
    """Sample the same detector area by another number of pixels, antialiased.

    Each new pixel is the mean of the valid old ones that it covers, weighted by the exact area of
    overlap; it is valid if at least half of what it covers is, and zero if none of it is.

    Args:
        radiograph: what to resample.
        camera: its geometry, of the image's size.
        rows, columns: the wanted size.

    Returns:
        The radiograph [rows, columns] with ``camera.resized(rows, columns)``.

    Raises:
        InputError: if the camera is not of the image's size.
    """
    height, width = radiograph.image.shape
    if (camera.rows, camera.columns) != (height, width):
        raise InputError(
            f"camera rows and columns must be those of the image, {height} x {width}, "
            f"got {camera.rows} x {camera.columns}"
        )
    image, mask = radiograph.image.float(), radiograph.mask
    if bool(mask.all()):
        resized = area_mean(image, rows, columns)
        covered = torch.ones_like(resized)
    else:
        weighted = area_mean(torch.where(mask, image, 0.0), rows, columns)
        covered = area_mean(mask.float(), rows, columns)
        resized = torch.where(covered > 0, weighted / covered, 0.0)
    # Half of the area must count although float32 weights may sum to a little less.
    valid = covered >= 0.5 - 1e-5
    other = radiograph.opposite_polarity
    return dataclasses.replace(
        radiograph,
        image=resized,
        mask=valid,
        camera=camera.resized(rows, columns),
        opposite_polarity=None if other is None else area_mean(other.float(), rows, columns),
    )


def seen_by(radiograph: Radiograph, camera: Camera, other: Camera) -> Radiograph:
    """Return the X-ray as another detector before the same source would have it.

    Rays stay what they are, so a pose of the one is a pose of the other.  What the X-ray does not
    show is not valid, and zero.

    Args:
        radiograph: what to resample.
        camera: its geometry, of the image's size.
        other: the wanted one; its distance, spacing, size and principal point may be others.
    """
    pixel, wanted = (
        [spacing / one.source_to_detector_mm for spacing in one.pixel_spacing_mm]
        for one in (camera, other)
    )
    # Averaged to pixels of about the wanted size first, so that nothing aliases.
    sizes = zip((camera.rows, camera.columns), pixel, wanted, strict=True)
    rows, columns = (max(1, round(size * min(1.0, a / b))) for size, a, b in sizes)
    small = resize_radiograph(radiograph, camera, rows, columns)
    assert small.camera is not None
    grid = _pixels_of_rays(small.camera, other)
    weight = small.mask.float()
    stack = torch.stack((small.image * weight, weight))[None]
    # Zero beyond the border: an edge pixel's outer half has its neighbour inside alone.
    image, covered = torch.nn.functional.grid_sample(
        stack, grid[None].float(), padding_mode="zeros", align_corners=False
    )[0]
    valid = covered >= 0.5 - 1e-5
    return dataclasses.replace(
        radiograph,
        image=torch.where(valid, image / covered.clamp(min=1e-6), 0.0),
        mask=valid,
        camera=other,
        opposite_polarity=None,
    )


def _pixels_of_rays(camera: Camera, other: Camera) -> Tensor:
    """Return [H,W,2] where another camera's pixels lie in this one's image, from -1 to 1."""
    row, column = torch.meshgrid(
        torch.arange(other.rows, dtype=torch.float64),
        torch.arange(other.columns, dtype=torch.float64),
        indexing="ij",
    )
    points = other.detector_points(torch.stack((column, row), dim=-1))
    size = torch.tensor([camera.columns, camera.rows], dtype=torch.float64)
    return 2.0 * (camera.project(points) + 0.5) / size - 1.0


def crop_border(radiograph: Radiograph, pixels: int) -> Radiograph:
    """Cut the outermost ``pixels`` rows and columns off a radiograph, on each side.

    Raises:
        InputError: if ``pixels`` is negative or nothing would be left.
    """
    height, width = radiograph.image.shape
    if not 0 <= 2 * pixels < min(height, width):
        raise InputError(
            f"crop_border pixels must be at least 0 and leave a part of the {height} x {width} "
            f"image, got {pixels}"
        )
    inside = (slice(pixels, height - pixels), slice(pixels, width - pixels))
    camera = radiograph.camera
    if camera is not None:
        column, row = camera.centre_px
        camera = dataclasses.replace(
            camera,
            rows=camera.rows - 2 * pixels,
            columns=camera.columns - 2 * pixels,
            principal_point_px=(column - pixels, row - pixels),
        )
    other = radiograph.opposite_polarity
    return dataclasses.replace(
        radiograph,
        image=radiograph.image[inside],
        mask=radiograph.mask[inside],
        camera=camera,
        opposite_polarity=None if other is None else other[inside],
    )


def area_mean(image: Tensor, rows: int, columns: int) -> Tensor:
    """Return the mean of ``image`` [H,W] over each cell of a rows x columns grid over its area."""
    height, width = image.shape
    if (height, width) == (rows, columns):
        return image
    # torch's "area" mode rounds the cells outwards to whole pixels, which shifts and blurs
    # whenever the ratio is not a whole number, hence the explicit overlaps.
    array = image.detach().cpu().numpy()
    array = _overlap_weights(height, rows) @ array
    array = (_overlap_weights(width, columns) @ array.T).T
    return torch.from_numpy(array.copy()).to(image.device)


def reduced_shape(
    image: Tensor, longer_side: int, pixel_spacing_mm: tuple[float, float] = (1.0, 1.0)
) -> tuple[int, int]:
    """Return rows and columns of ``image`` [H,W] shrunk to square pixels and a longer side.

    No pixel gets smaller than its longer side was.  An image more than twice as long as wide keeps
    more pixels, up to twice the longer side.

    Args:
        image: [H,W].
        longer_side: in pixels.
        pixel_spacing_mm: (row spacing, column spacing), of which only the ratio counts.
    """
    lengths = [n * spacing for n, spacing in zip(image.shape, pixel_spacing_mm, strict=True)]
    long, short = max(lengths), min(lengths)
    pixel = max(*pixel_spacing_mm, min(long, 2 * short) / longer_side, long / (2 * longer_side))
    height, width = (max(1, round(length / pixel)) for length in lengths)
    return height, width


@lru_cache(maxsize=16)
def _overlap_weights(size_in: int, size_out: int) -> Any:
    """Return sparse [size_out, size_in] float32: how much of an output cell an input cell fills."""
    from scipy.sparse import csr_array

    edges = np.arange(size_out + 1) * (size_in / size_out)
    start = np.arange(size_in)
    upper = np.minimum(edges[1:, None], start + 1)
    lower = np.maximum(edges[:-1, None], start)
    overlap = np.clip(upper - lower, 0, None) * (size_out / size_in)
    return csr_array(overlap.astype(np.float32))
