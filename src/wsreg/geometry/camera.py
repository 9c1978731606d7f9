"""The X-ray camera: a point source and a flat detector.

Frame: origin at the source, +x along increasing columns, +y along increasing rows, +z from the
source to the detector, millimetres.  Pixels are (column, row) with centres at whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real

import torch
from torch import Tensor

from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Geometry of one X-ray projection.

    Args:
        source_to_detector_mm: distance from the source to the detector plane.
        rows, columns: image size in pixels.
        pixel_spacing_mm: (row spacing, column spacing) at the detector, DICOM's order.
        principal_point_px: (column, row) where the optical axis meets the detector;
            the image centre if left out.
        from_focal_lengths: whether it was made of OpenCV's K: then the focal lengths in pixels,
            distance over spacing, are what is known, and hold when one of the two is replaced.
    """

    source_to_detector_mm: float
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    principal_point_px: tuple[float, float] | None = None
    from_focal_lengths: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            value = getattr(self, name)
            if not _is_number(value) or value != int(value) or value < 1:
                raise InputError(
                    f"camera {name} must be a whole number of at least 1, got {value!r}"
                )
            object.__setattr__(self, name, int(value))
        distance = self.source_to_detector_mm
        if not _is_number(distance) or distance <= 0:
            raise InputError(
                f"camera source_to_detector_mm must be positive and finite, got {distance!r}"
            )
        spacing = self.pixel_spacing_mm
        if not _is_pair(spacing) or min(spacing) <= 0:
            raise InputError(
                "camera pixel_spacing_mm must be two positive numbers [row spacing, column spacing]"
                f", got {spacing!r}"
            )
        point = self.principal_point_px
        if point is None:
            point = ((self.columns - 1) / 2, (self.rows - 1) / 2)
        if not _is_pair(point):
            raise InputError(
                f"camera principal_point_px must be two finite numbers [column, row], got {point!r}"
            )
        object.__setattr__(self, "source_to_detector_mm", float(distance))
        object.__setattr__(self, "pixel_spacing_mm", (float(spacing[0]), float(spacing[1])))
        object.__setattr__(self, "principal_point_px", (float(point[0]), float(point[1])))

    def __repr__(self) -> str:
        (row_mm, column_mm), (column, row) = self.pixel_spacing_mm, self.centre_px
        return (
            f"Camera({self.rows} rows x {self.columns} columns, pixels {row_mm:g} x {column_mm:g} "
            f"mm, source to detector {self.source_to_detector_mm:g} mm, principal point column "
            f"{column:g}, row {row:g})"
        )

    @property
    def centre_px(self) -> tuple[float, float]:
        """Return the principal point (column, row), never None."""
        assert self.principal_point_px is not None  # set in __post_init__
        return self.principal_point_px

    @property
    def intrinsic_matrix(self) -> Tensor:
        """Return the [3,3] float64 matrix K: pixel ~ K @ p_camera."""
        row_spacing, column_spacing = self.pixel_spacing_mm
        column, row = self.centre_px
        return torch.tensor(
            [
                [self.source_to_detector_mm / column_spacing, 0.0, column],
                [0.0, self.source_to_detector_mm / row_spacing, row],
                [0.0, 0.0, 1.0],
            ],
            dtype=torch.float64,
        )

    def resized(self, rows: int, columns: int) -> Camera:
        """Return the camera of the same detector area sampled by another number of pixels."""
        row_scale, column_scale = self.rows / rows, self.columns / columns
        column, row = self.centre_px
        return Camera(
            source_to_detector_mm=self.source_to_detector_mm,
            rows=rows,
            columns=columns,
            pixel_spacing_mm=(
                self.pixel_spacing_mm[0] * row_scale,
                self.pixel_spacing_mm[1] * column_scale,
            ),
            principal_point_px=(
                (column + 0.5) / column_scale - 0.5,
                (row + 0.5) / row_scale - 0.5,
            ),
        )

    def project(self, points_camera: Tensor) -> Tensor:
        """Return pixels (column, row) [...,2] of points [...,3] in the camera frame, mm.

        Points at or behind the source have no projection and come out as NaN.
        """
        x, y, z = points_camera.unbind(-1)
        row_spacing, column_spacing = self.pixel_spacing_mm
        column, row = self.centre_px
        depth = torch.where(z > 0, z, torch.nan)
        return torch.stack(
            (
                self.source_to_detector_mm / column_spacing * x / depth + column,
                self.source_to_detector_mm / row_spacing * y / depth + row,
            ),
            dim=-1,
        )

    def detector_points(self, pixels: Tensor) -> Tensor:
        """Return detector points [...,3] (camera frame, mm) of pixels (column, row) [...,2]."""
        row_spacing, column_spacing = self.pixel_spacing_mm
        column, row = self.centre_px
        x = (pixels[..., 0] - column) * column_spacing
        y = (pixels[..., 1] - row) * row_spacing
        return torch.stack((x, y, torch.full_like(x, self.source_to_detector_mm)), dim=-1)


def _is_number(value: object) -> bool:
    """Tell whether a value is a real number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value))
