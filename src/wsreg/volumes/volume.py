"""A CT in memory: Hounsfield units on a voxel grid, where that grid lies, and its labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError

WATER_ATTENUATION_PER_MM = 0.02
"""Linear attenuation of water near 65 keV, the effective energy of a common C-arm spectrum."""

AIR_HU = -900.0
"""What counts as air in a scanned CT: noise up to here is no signal."""


def _as_tensor(voxels: Any) -> Tensor | None:
    """Return an array or nested lists as a tensor of a type that volumes have."""
    if voxels is None or isinstance(voxels, Tensor):
        return voxels
    array = np.ascontiguousarray(voxels)
    if array.dtype in (np.uint8, np.int16, np.float32):
        return torch.from_numpy(array)
    whole = array.dtype.kind in "biu" and array.size and abs(array).max() <= np.iinfo(np.int16).max
    return torch.from_numpy(array.astype(np.int16 if whole else np.float32))


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
        object.__setattr__(self, "hu", _as_tensor(self.hu))
        object.__setattr__(self, "labels", _as_tensor(self.labels))
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise InputError(f"volume hu must be [D,H,W] and not empty, got {list(self.hu.shape)}")
        if self.hu.is_floating_point() and not bool(torch.isfinite(self.hu).all()):
            raise InputError("volume hu must be finite, it holds NaN or infinity")
        affine = torch.as_tensor(self.ct_from_voxel, dtype=torch.float64)
        if affine.shape != (4, 4) or not bool(torch.isfinite(affine).all()):
            raise InputError("volume ct_from_voxel must be a finite 4x4 matrix")
        if abs(float(torch.linalg.det(affine[:3, :3]))) < 1e-9:
            raise InputError("volume ct_from_voxel must be invertible, its determinant is 0")
        object.__setattr__(self, "ct_from_voxel", affine)
        if not self.air_hu >= -1000.0:
            raise InputError(f"volume air_hu must be at least -1000 HU, got {self.air_hu}")
        if self.labels is not None and self.labels.shape != self.hu.shape:
            raise InputError(
                f"volume labels must have the CT's shape {list(self.hu.shape)}, "
                f"got {list(self.labels.shape)}"
            )

    def __repr__(self) -> str:
        depth, height, width = self.hu.shape
        spacing = " x ".join(f"{mm:.3g}" for mm in self.spacing_mm)
        labels = "no labels" if self.labels is None else f"labels ({len(self.label_names)} names)"
        return f"Volume({width} x {height} x {depth} voxels of {spacing} mm, {labels})"

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
