"""A CT in memory: Hounsfield units on a voxel grid, where that grid lies, and its labels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.arrays import as_float64

WATER_ATTENUATION_PER_MM = 0.02
"""Linear attenuation of water near 65 keV, the effective energy of a common C-arm spectrum."""

AIR_HU = -900.0
"""What counts as air in a scanned CT: noise up to here is no signal."""


LARGEST_HU = 1e5
"""No CT holds more, nor less than minus this: metal on extended scales reaches 65535."""

LARGEST_LABEL = np.iinfo(np.int16).max


def _voxels(given: Any, name: str) -> Tensor:
    """Return voxels, a tensor, an array or nested lists, in a type that volumes have.

    Raises:
        InputError: they are no real numbers.
    """
    try:
        tensor = given if isinstance(given, Tensor) else _tensor_of(np.asarray(given))
    except (TypeError, ValueError):
        tensor = None
    if tensor is None or tensor.is_complex():
        raise InputError(f"volume {name} must be an array of real numbers, got {type(given)}")
    if tensor.dtype in (torch.uint8, torch.int16, torch.float32):
        return tensor
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8)
    whole = not tensor.is_floating_point()
    if whole and tensor.numel() and int(tensor.abs().max()) > LARGEST_LABEL:
        whole = False
    return tensor.to(torch.int16 if whole else torch.float32)


def _tensor_of(array: NDArray[Any]) -> Tensor | None:
    """Return an array that torch can take: its own byte order, rows one after the other."""
    if array.dtype.kind not in "biuf":
        return None
    wide = array.dtype.kind == "u" and array.itemsize > 1
    own = array.astype(np.int64 if wide else array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.ascontiguousarray(own))


def _labels(labels: Tensor) -> Tensor:
    """Return labels as whole numbers that are not negative.

    Raises:
        InputError: they are not.
    """
    whole = labels.to(torch.int16) if labels.is_floating_point() else labels
    if not torch.equal(whole.to(labels.dtype), labels) or (whole.numel() and int(whole.min()) < 0):
        raise InputError(f"volume labels must be whole numbers in 0..{LARGEST_LABEL}")
    return whole


def _check_range(low: float, high: float) -> None:
    """Raise InputError for what no Hounsfield units are."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("volume hu must be finite, it holds NaN or infinity")
    if max(-low, high) > LARGEST_HU:
        raise InputError(
            f"volume hu must be Hounsfield units within {-LARGEST_HU:g}..{LARGEST_HU:g}, "
            f"got {low:g}..{high:g}"
        )


def _affine(given: Any) -> Tensor:
    """Return [4,4] float64 that takes a grid to where it lies.

    Raises:
        InputError: it is none.
    """
    affine = as_float64(given)
    if affine is None or affine.shape != (4, 4) or not bool(torch.isfinite(affine).all()):
        raise InputError("volume ct_from_voxel must be a finite 4x4 matrix")
    if affine[3].tolist() != [0.0, 0.0, 0.0, 1.0]:
        raise InputError(
            f"volume ct_from_voxel must end in the row 0 0 0 1, got {affine[3].tolist()}"
        )
    if abs(float(torch.linalg.det(affine[:3, :3]))) < 1e-9:
        raise InputError("volume ct_from_voxel must be invertible, its determinant is 0")
    return affine


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """A CT volume.  Compared and hashed by identity, so that prepared forms can be cached for it.

    Args:
        hu: [D,H,W] = (z,y,x) Hounsfield units, int16 or float32, a tensor or an array.
        ct_from_voxel: [4,4] float64 affine, voxel index (x,y,z) -> LPS patient millimetres.
        labels: [D,H,W] uint8 or int16 label of each voxel (0 is background), or None.
        label_names: name of each label value.
        air_hu: voxels at or below this attenuate nothing.
        notes: sentences on what was found, assumed or left out when it was read.
    """

    hu: Tensor
    ct_from_voxel: Tensor
    labels: Tensor | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    air_hu: float = AIR_HU
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "hu", _voxels(self.hu, "hu"))
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise InputError(f"volume hu must be [D,H,W] and not empty, got {list(self.hu.shape)}")
        if self.hu.is_floating_point():
            _check_range(*self.range_hu)
        object.__setattr__(self, "ct_from_voxel", _affine(self.ct_from_voxel))
        if not self.air_hu >= -1000.0:
            raise InputError(f"volume air_hu must be at least -1000 HU, got {self.air_hu}")
        if self.labels is not None:
            labels = _labels(_voxels(self.labels, "labels"))
            object.__setattr__(self, "labels", labels)
            if labels.shape != self.hu.shape:
                raise InputError(
                    f"volume labels must have the CT's shape {list(self.hu.shape)}, "
                    f"got {list(labels.shape)}"
                )

    def __repr__(self) -> str:
        depth, height, width = self.hu.shape
        spacing = " x ".join(f"{mm:.3g}" for mm in self.spacing_mm)
        labels = "no labels" if self.labels is None else f"labels ({len(self.label_names)} names)"
        return f"Volume({width} x {height} x {depth} voxels of {spacing} mm, {labels})"

    @cached_property
    def range_hu(self) -> tuple[float, float]:
        """Return the smallest and the largest Hounsfield unit."""
        low, high = torch.aminmax(self.hu)
        return float(low), float(high)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Return the voxel size along (x,y,z) of the grid."""
        x, y, z = torch.linalg.norm(self.ct_from_voxel[:3, :3], dim=0).tolist()
        return x, y, z

    @cached_property
    def centre_mm(self) -> Tensor:
        """Return [3] float64, the grid's centre in CT coordinates (LPS mm), the usual pivot."""
        depth, height, width = self.hu.shape
        index = torch.tensor(
            [(width - 1) / 2, (height - 1) / 2, (depth - 1) / 2], dtype=torch.float64
        )
        return self.ct_from_voxel[:3, :3] @ index + self.ct_from_voxel[:3, 3]

    @cached_property
    def corners_mm(self) -> Tensor:
        """Return [8,3] float64, the outer corners of the grid in CT coordinates (LPS mm)."""
        depth, height, width = self.hu.shape
        ends = [torch.tensor([-0.5, n - 0.5], dtype=torch.float64) for n in (width, height, depth)]
        index = torch.cartesian_prod(*ends)
        return index @ self.ct_from_voxel[:3, :3].T + self.ct_from_voxel[:3, 3]

    @cached_property
    def attenuation(self) -> Tensor:
        """Return [D,H,W] float32 linear attenuation in 1/mm."""
        return self.attenuation_of(self.hu)

    def attenuation_of(self, hu: Tensor) -> Tensor:
        """Return float32 linear attenuation (1/mm) of Hounsfield units of any shape, as here."""
        scaled = hu.to(torch.float32, copy=True)
        scaled.add_(1000.0).mul_(WATER_ATTENUATION_PER_MM / 1000.0)
        return scaled.masked_fill_(hu <= self.air_hu, 0.0)

    @cached_property
    def label_values(self) -> tuple[int, ...]:
        """Return the label values present, without background."""
        if self.labels is None:
            return ()
        present: set[int] = set()
        for plane in self.labels.numpy():  # sorting all of them would take ten times as long
            present.update(np.bincount(plane.ravel()).nonzero()[0].tolist())
        return tuple(sorted(present - {0}))

    def restricted_to(self, labels: Iterable[int]) -> Volume:
        """Return the same CT with everything outside the given labels turned into air."""
        wanted = tuple(labels)
        missing = sorted(set(wanted) - set(self.label_values))
        if not wanted or missing:
            raise InputError(
                f"labels must name labels of the volume {list(self.label_values)}, "
                f"got {list(wanted)}"
            )
        assert self.labels is not None
        keep = torch.isin(self.labels, torch.tensor(wanted, dtype=self.labels.dtype))
        return dataclasses.replace(self, hu=torch.where(keep, self.hu, -1000))
