"""The Hounsfield units of a CT's planes: decoded, rescaled, with declared padding as air."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import listed, read_dataset
from wsreg.dicom.pixels import PixelFormat, ShortPixelsError, decode_frame, pixel_format
from wsreg.errors import InputError
from wsreg.volumes.dicom_planes import Plane

AIR_HU = -1000

TISSUE_HU = (-900.0, 3000.0)
"""Padding that would be rescaled into these is believed only where it reaches the corners."""

WORSE_FIT = 2.0
"""Two neighbours are refused whose own scales fit so many times worse than a common one."""

LEAST_MISFIT_HU = 10.0
"""Rounding may make neighbours in air fit worse than that by less than this."""


class StoredPlane(NamedTuple):
    """Stored values [rows, columns] of a plane, and how its file stores them."""

    plane: Plane
    values: NDArray[Any]
    form: PixelFormat

    @property
    def padding(self) -> NDArray[np.bool_]:
        """Return [rows, columns] where the header declares padding."""
        return self.form.is_padding(self.values)


def read_stored(planes: Sequence[Plane], folder: Path, notes: list[str]) -> list[StoredPlane]:
    """Decode planes, each file once.

    Raises:
        InputError: files that hold too few bytes, all of them named, or cannot be decoded.
    """
    by_path: dict[Path, list[Plane]] = {}
    for plane in planes:
        by_path.setdefault(plane.path, []).append(plane)
    decoded: dict[Plane, StoredPlane] = {}
    short: list[ShortPixelsError] = []
    for path, of_file in by_path.items():
        dataset = read_dataset(path)
        form = pixel_format(dataset, path, notes)
        try:
            for plane in of_file:
                values = decode_frame(dataset, form, plane.frame, path)
                decoded[plane] = StoredPlane(plane, values, form)
        except ShortPixelsError as error:
            short.append(error)
    if len(short) == 1:
        raise short[0]
    if short:
        files = [f"{error.path.name} ({error.shortage})" for error in short]
        raise InputError(f"{folder} has {len(short)} truncated slices: {listed(files)}")
    return [decoded[plane] for plane in planes]


def without_copies(
    places: Sequence[Sequence[StoredPlane]], folder: Path, notes: list[str]
) -> list[StoredPlane]:
    """Return one plane of each place; what equals it in every value drops out with a note.

    Raises:
        InputError: two different slices at one place.
    """
    kept, copies = [], []
    for first, *others in places:
        kept.append(first)
        for other in others:
            if not _are_equal(first, other):
                height_mm = float(first.plane.position_mm @ first.plane.normal)
                raise InputError(
                    f"{folder} must hold one slice for each position, got two different ones at "
                    f"{height_mm:.2f} mm, {first.plane.name} and {other.plane.name} "
                    "(several phases in one series?)"
                )
            copies.append(f"{other.plane.name} (of {first.plane.name})")
    if copies:
        notes.append(f"Left out {len(copies)} equal copies of slices: {listed(copies)}.")
    return kept


def _are_equal(one: StoredPlane, other: StoredPlane) -> bool:
    scales = [(stored.plane.slope, stored.plane.intercept) for stored in (one, other)]
    return scales[0] == scales[1] and np.array_equal(one.values, other.values)


def hounsfield(stack: Sequence[StoredPlane], folder: Path, notes: list[str]) -> NDArray[Any]:
    """Return [D,H,W] rescaled values, int16 or int32 where they are whole, else float32.

    Raises:
        InputError: slices without a slope or intercept that others have, or with one that makes
            them unlike their neighbours.
    """
    slopes = _scales(stack, "slope", 1.0, folder)
    intercepts = _scales(stack, "intercept", 0.0, folder)
    _check_neighbours(stack, slopes, intercepts, notes)
    voxels = np.empty((len(stack), *stack[0].values.shape), _kind(stack, slopes, intercepts))
    for index, stored in enumerate(stack):
        voxels[index] = _rescaled(stored.values, slopes[index], intercepts[index])
    if any(stored.form.padding is not None for stored in stack):
        scaled = any(stored.plane.intercept is not None for stored in stack)
        _fill_padding(voxels, stack, scaled, notes)
    return voxels


def _scales(stack: Sequence[StoredPlane], name: str, default: float, folder: Path) -> list[float]:
    values = [getattr(stored.plane, name) for stored in stack]
    lacking = [
        stored.plane.name for stored, value in zip(stack, values, strict=True) if value is None
    ]
    if lacking and len(lacking) < len(stack):
        raise InputError(
            f"{folder} must hold slices that are all scaled alike, but of {len(stack)} slices "
            f"{len(lacking)} have no valid Rescale{name.capitalize()}: {listed(lacking)}"
        )
    return [default if value is None else value for value in values]


def _check_neighbours(
    stack: Sequence[StoredPlane],
    slopes: Sequence[float],
    intercepts: Sequence[float],
    notes: list[str],
) -> None:
    """Refuse neighbours whose own scales fit worse than a common one; others may differ."""
    scales = list(zip(slopes, intercepts, strict=True))
    counts = Counter(scales)
    for index in range(len(stack) - 1):
        if scales[index] == scales[index + 1]:
            continue
        pair = sorted((index, index + 1), key=lambda one: counts[scales[one]])
        odd, usual = (stack[one] for one in pair)
        own, common = (scales[one] for one in pair)
        own_hu = _apart_hu(odd, own, usual, common)
        common_hu = min(_apart_hu(odd, one, usual, one) for one in (own, common))
        if own_hu > max(WORSE_FIT * common_hu, LEAST_MISFIT_HU):
            raise InputError(
                f"{odd.plane.path.parent} must hold slices that are all scaled alike, but "
                f"{odd.plane.name} has RescaleSlope {own[0]:g} and RescaleIntercept {own[1]:g}, "
                f"{usual.plane.name} beside it {common[0]:g} and {common[1]:g}, and with one scale "
                "the two fit better"
            )
    if len(set(scales)) > 1:
        notes.append(f"Slices are scaled one by one, by {len(set(scales))} different scales.")


def _apart_hu(
    one: StoredPlane,
    scale: tuple[float, float],
    other: StoredPlane,
    other_scale: tuple[float, float],
) -> float:
    """Return the mean distance of two planes, each under a scale."""
    used = ~(one.padding | other.padding)
    apart = _rescaled(one.values, *scale) - _rescaled(other.values, *other_scale)
    return float(np.abs(apart[used]).mean()) if used.any() else 0.0


def _kind(
    stack: Sequence[StoredPlane], slopes: Sequence[float], intercepts: Sequence[float]
) -> type[np.generic]:
    """Return the smallest of int16, int32 and float32 that holds the rescaled values."""
    whole = all(slope == 1 for slope in slopes) and all(
        float(intercept).is_integer() and abs(intercept) < 2**30 for intercept in intercepts
    )
    if not whole or any(stored.values.itemsize > 2 for stored in stack):
        return np.float32
    limits = np.iinfo(np.int16)
    fits = all(
        limits.min <= int(stored.values.min()) + intercept
        and int(stored.values.max()) + intercept <= limits.max
        for stored, intercept in zip(stack, intercepts, strict=True)
    )
    return np.int16 if fits else np.int32


def _rescaled(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    if slope == 1 and float(intercept).is_integer() and stored.itemsize <= 2:
        return stored.astype(np.int32) + int(intercept)
    scaled: NDArray[Any] = stored * float(slope) + float(intercept)
    return scaled


def _fill_padding(
    voxels: NDArray[Any], stack: Sequence[StoredPlane], scaled: bool, notes: list[str]
) -> None:
    """Put air where the header declares padding."""
    padding = np.stack([stored.padding for stored in stack])
    if not padding.any() or padding.all():
        return
    low, high = TISSUE_HU
    corners = padding[:, [0, 0, -1, -1], [0, -1, 0, -1]].any(axis=1).mean()
    value = float(voxels[padding].flat[0])
    if scaled and low < value < high and corners < 0.5:
        notes.append(
            f"Warning: ignored PixelPaddingValue, it is {value:g} HU, which the body has too, and "
            "most slices have no padding in their corners."
        )
        return
    # without a scale nothing says which number is air, but nothing is less than air
    voxels[padding] = AIR_HU if scaled else voxels[~padding].min()
    notes.append(
        f"{padding.mean():.1%} of the voxels are declared padding (PixelPaddingValue) and taken "
        "for air."
    )
