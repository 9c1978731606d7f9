"""A CT stored as a DICOM series: one file a slice, ordered and placed by its headers alone.

Slices are stacked along the line through their ImagePositionPatient, so a series taken with a
tilted gantry keeps its shear in the affine instead of being resampled or refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.image_files import last_line
from wsreg.volumes.voxel_image import VoxelImage, check_affine

GAP_TOLERANCE = 0.05
"""Fraction of the usual slice distance by which one distance may differ."""

LEAST_GAP_MM = 1e-3
"""Slices closer than this lie at the same position."""

LINE_TOLERANCE = 0.1
"""Fraction of the usual slice distance by which a slice may lie off the evenly divided line."""

_TAGS = (
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "Modality",
    "NumberOfFrames",
    "PixelSpacing",
    "Rows",
    "SeriesInstanceUID",
)


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """Geometry of one slice: rows and columns, spacing (row, column) mm, axes, corner (LPS mm)."""

    path: Path
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    axes: NDArray[np.float64]
    position_mm: NDArray[np.float64]

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.axes[0], self.axes[1])


def is_dicom(path: Path) -> bool:
    """Tell whether a file carries DICOM's preamble."""
    from pydicom.misc import is_dicom as has_preamble

    try:
        return path.is_file() and bool(has_preamble(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def read_dicom_series(path: Path, series_uid: str | None = None) -> VoxelImage:
    """Read one CT series from a folder, or the series that a given file belongs to.

    Other files in the folder (reports, localisers, other modalities) are left alone; subfolders
    are not searched.  Rescale slope and intercept are applied.

    Raises:
        InputError: no CT, several series and no ``series_uid``, missing, doubled or unlike
            slices, missing tags, or damaged files.
    """
    folder = path if path.is_dir() else path.parent
    series = _find_ct_series(folder)
    if series_uid is None and path.is_file():
        series_uid = str(_read_header(path).SeriesInstanceUID)
    headers = _choose_series(series, series_uid, folder)
    slices = [_parse_slice(file, header) for file, header in headers.items()]
    _check_alike(slices, folder)
    normal = slices[0].normal
    slices.sort(key=lambda s: float(s.position_mm @ normal))
    ct_from_voxel = _stack_affine(slices, folder)
    check_affine(ct_from_voxel, folder)
    return VoxelImage(_read_pixels(slices), ct_from_voxel)


def _find_ct_series(folder: Path) -> dict[str, dict[Path, Any]]:
    """Read the headers of the CT slices in a folder, by series and file."""
    series: dict[str, dict[Path, Any]] = defaultdict(dict)
    modalities: Counter[str] = Counter()
    for file in sorted(folder.iterdir()):
        if file.name == "DICOMDIR" or not is_dicom(file):
            continue
        header = _read_header(file)
        modalities[str(header.Modality)] += 1
        if header.Modality == "CT" and "LOCALIZER" not in (header.get("ImageType") or ()):
            series[str(header.SeriesInstanceUID)][file] = header
    # screen captures (dose reports, 3D views) are CT by modality too, but lie nowhere
    placed = {
        uid: headers
        for uid, headers in series.items()
        if any("ImagePositionPatient" in header for header in headers.values())
    }
    if not placed:
        found = ", ".join(f"{n} of {name}" for name, n in modalities.items()) or "none"
        raise InputError(
            f"{folder} must hold the slices of a CT series, got these DICOM files: {found} "
            "(subfolders are not searched)"
        )
    return placed


def _read_header(file: Path) -> Any:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
    except (InvalidDicomError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{file} is not a readable DICOM file: {error}") from error
    # pydicom returns what it got of a cut file, even half a value; every image has rows
    whole = len(header.get("Modality") or "") > 1 and "SeriesInstanceUID" in header
    if not whole or (header.Modality == "CT" and "Rows" not in header):
        raise InputError(f"{file} is damaged, its DICOM header is cut short")
    return header


def _choose_series(
    series: dict[str, dict[Path, Any]], series_uid: str | None, folder: Path
) -> dict[Path, Any]:
    listing = ", ".join(f"{uid} ({len(headers)} slices)" for uid, headers in series.items())
    if series_uid is None and len(series) > 1:
        raise InputError(
            f"{folder} holds {len(series)} CT series, choose one with series_uid: {listing}"
        )
    if series_uid is not None and series_uid not in series:
        raise InputError(f"series_uid must be a CT series of {folder}: {listing}, got {series_uid}")
    return series[series_uid] if series_uid is not None else next(iter(series.values()))


def _parse_slice(file: Path, header: Any) -> _Slice:
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise InputError(
            f"{file} must be a single slice, got {header.NumberOfFrames} frames in one file "
            "(an enhanced CT: convert it to NIfTI first)"
        )
    rows, columns = _numbers(file, header, "Rows", 1), _numbers(file, header, "Columns", 1)
    row_spacing_mm, column_spacing_mm = _numbers(file, header, "PixelSpacing", 2)
    return _Slice(
        path=file,
        size=(int(rows[0]), int(columns[0])),
        spacing_mm=(row_spacing_mm, column_spacing_mm),
        axes=_numbers(file, header, "ImageOrientationPatient", 6).reshape(2, 3),
        position_mm=_numbers(file, header, "ImagePositionPatient", 3),
    )


def _numbers(file: Path, header: Any, tag: str, count: int) -> NDArray[np.float64]:
    try:
        value = header.get(tag)
        numbers = np.array([] if value is None else value, dtype=np.float64).reshape(-1)
    except ValueError as error:
        raise InputError(f"{file} has a damaged DICOM tag {tag}: {error}") from error
    if len(numbers) != count:
        raise InputError(f"{file} must have {count} numbers in the DICOM tag {tag}, got {value!r}")
    return numbers


def _check_alike(slices: list[_Slice], folder: Path) -> None:
    first = slices[0]
    if len(slices) < 2:
        raise InputError(f"{folder} must hold at least 2 slices of a CT, got only {first.path}")
    for other in slices[1:]:
        same = (
            other.size == first.size
            and np.allclose(other.spacing_mm, first.spacing_mm, atol=1e-4)
            and np.allclose(other.axes, first.axes, atol=1e-4)
        )
        if not same:
            raise InputError(
                "slices of one series must agree in size, pixel spacing and orientation, "
                f"got {first.path} and {other.path} which differ"
            )


def _stack_affine(slices: list[_Slice], folder: Path) -> NDArray[np.float64]:
    """Return the [4,4] ct_from_voxel of slices sorted along their normal."""
    first = slices[0]
    positions_mm = np.stack([s.position_mm for s in slices])
    heights_mm = positions_mm @ first.normal
    gap_mm = _usual_gap_mm(heights_mm, folder)
    step_mm = (positions_mm[-1] - positions_mm[0]) / (len(slices) - 1)
    on_line_mm = positions_mm[0] + np.arange(len(slices))[:, None] * step_mm
    off_mm = np.linalg.norm(positions_mm - on_line_mm, axis=1)
    if off_mm.max() > LINE_TOLERANCE * gap_mm:
        raise InputError(
            f"{folder} must hold slices along one straight line, got one at "
            f"{heights_mm[off_mm.argmax()]:.2f} mm that lies {off_mm.max():.2f} mm off it"
        )
    row_spacing_mm, column_spacing_mm = first.spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = first.axes[0] * column_spacing_mm
    affine[:3, 1] = first.axes[1] * row_spacing_mm
    affine[:3, 2] = step_mm
    affine[:3, 3] = first.position_mm
    return affine


def _usual_gap_mm(heights_mm: NDArray[np.float64], folder: Path) -> float:
    """Return the distance between neighbouring slices, which must be about the same for all."""
    gaps_mm = np.diff(heights_mm)
    usual_mm = float(np.median(gaps_mm))
    for height, gap in zip(heights_mm, gaps_mm, strict=False):
        if gap < LEAST_GAP_MM:
            raise InputError(
                f"{folder} must hold one slice for each position, got two at {height:.2f} mm "
                "(several phases in one series?)"
            )
        if abs(gap - usual_mm) > GAP_TOLERANCE * usual_mm:
            raise InputError(
                f"{folder} must hold evenly spaced slices, {usual_mm:.2f} mm apart, got "
                f"{gap:.2f} mm after the slice at {height:.2f} mm (missing slices?)"
            )
    return usual_mm


def _read_pixels(slices: list[_Slice]) -> NDArray[Any]:
    """Read [D,H,W] rescaled values, by SimpleITK because it decodes compressed slices by itself."""
    import SimpleITK

    planes = []
    for one in slices:
        try:
            plane = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(one.path)))
        except RuntimeError as error:
            raise InputError(f"{one.path} has no readable pixels: {last_line(error)}") from error
        if plane.shape != (1, *one.size):
            raise InputError(
                f"{one.path} must hold {one.size[0]}x{one.size[1]} single numbers, "
                f"got an array of {list(plane.shape)}"
            )
        planes.append(plane)
    return np.concatenate(planes)
