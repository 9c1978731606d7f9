"""One plane of a CT: where it lies and how its values are scaled, from a slice or a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.files import listed
from wsreg.dicom.header import Header, file_header, frame_headers
from wsreg.errors import InputError

CT_STORAGE = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # enhanced CT made of classic slices
)

ORTHONORMAL = 0.02
"""How far directions with few decimals may be from unit vectors at right angles."""

PLANE_TAGS = (
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "Modality",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SOPClassUID",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SharedFunctionalGroupsSequence",
)
"""What is read of every file of a folder."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """Geometry and scale of one plane.

    Args:
        path: the file.
        frame: number of the frame, counted from 0.
        many: whether the file holds several frames.
        size: rows and columns.
        spacing_mm: (row, column).
        axes: [2,3] directions along increasing columns and rows, LPS.
        position_mm: [3] centre of the first pixel, LPS.
        slope, intercept: stored values to Hounsfield units; None where missing or malformed.
        stack: what an enhanced object calls the stack that the frame belongs to.
    """

    path: Path
    frame: int
    many: bool
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    axes: NDArray[np.float64]
    position_mm: NDArray[np.float64]
    slope: float | None
    intercept: float | None
    stack: str

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.axes[0], self.axes[1])

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"frame {self.frame} of {self.path.name}" if self.many else self.path.name


class _UnplacedError(InputError):
    """A file does not say where a plane lies; ``tag`` is what it lacks."""

    def __init__(self, path: Path, tag: str, count: int, got: object) -> None:
        self.tag, self.absent = tag, got is None
        super().__init__(f"{path} must have {count} numbers in the DICOM tag {tag}, got {got!r}")


def is_ct(header: Header) -> bool:
    """Tell whether a header is that of a CT's image, rather than a scout's or a report's."""
    modality, storage = header.word("Modality"), str(header.value("SOPClassUID") or "")
    if "LOCALIZER" in header.words("ImageType"):
        return False
    return modality == "CT" or (not modality and storage in CT_STORAGE)


def planes_of(headers: Mapping[Path, Any], folder: Path, notes: list[str]) -> list[Plane]:
    """Return the planes of all files of a series.

    What lies nowhere and is no slice by its kind (screen captures, reports in colour) is left out
    with a note.

    Args:
        headers: pydicom data sets by file.
        folder: where they lie, for messages.
        notes: added to.

    Raises:
        InputError: slices that do not say where they lie, with the tag and their number.
    """
    planes: list[Plane] = []
    unplaced: dict[Path, _UnplacedError] = {}
    for path, dataset in headers.items():
        try:
            planes += _planes_of_file(path, dataset, notes)
        except _UnplacedError as error:
            unplaced[path] = error
    sizes = {plane.size for plane in planes}
    slices = {
        path: error
        for path, error in unplaced.items()
        if not planes or _may_be_slice(headers[path], sizes)
    }
    if slices:
        raise _lacking(slices, len(headers), folder)
    if unplaced:
        notes.append(
            f"Left out {len(unplaced)} of {len(headers)} CT files, which do not lie anywhere "
            f"(screen captures?): {listed([path.name for path in unplaced])}."
        )
    return planes


def _planes_of_file(path: Path, dataset: Any, notes: list[str]) -> list[Plane]:
    headers = frame_headers(dataset, notes)
    if headers:
        return [
            _plane(path, header, frame=index, many=True)
            for index, header in enumerate(headers)
            if "LOCALIZER" not in header.words("FrameType")
        ]
    header = file_header(dataset, notes)
    if (header.whole("NumberOfFrames") or 1) > 1:
        raise InputError(
            f"{path} holds {header.whole('NumberOfFrames')} frames in one file, but no functional "
            "groups that say where each of them lies"
        )
    return [_plane(path, header, frame=0, many=False)]


def _plane(path: Path, header: Header, *, frame: int, many: bool) -> Plane:
    where = path.parent / f"frame {frame} of {path.name}" if many else path
    rows, columns = (_numbers(where, header, tag, 1)[0] for tag in ("Rows", "Columns"))
    row_spacing_mm, column_spacing_mm = _numbers(where, header, "PixelSpacing", 2)
    axes = _numbers(where, header, "ImageOrientationPatient", 6).reshape(2, 3)
    if min(rows, columns, row_spacing_mm, column_spacing_mm) <= 0:
        raise InputError(
            f"{where} must have positive Rows, Columns and PixelSpacing, got {rows:g}, {columns:g} "
            f"and {row_spacing_mm:g} x {column_spacing_mm:g} mm"
        )
    if np.abs(axes @ axes.T - np.eye(2)).max() > ORTHONORMAL:
        raise InputError(
            f"{where} must have two unit vectors at right angles in ImageOrientationPatient, "
            f"got {axes.ravel().tolist()}"
        )
    return Plane(
        path=path,
        frame=frame,
        many=many,
        size=(int(rows), int(columns)),
        spacing_mm=(float(row_spacing_mm), float(column_spacing_mm)),
        axes=axes,
        position_mm=_numbers(where, header, "ImagePositionPatient", 3),
        slope=header.number("RescaleSlope") or None,  # a slope of 0 says nothing
        intercept=header.number("RescaleIntercept"),
        stack=str(header.value("StackID") or ""),
    )


def _numbers(path: Path, header: Header, tag: str, count: int) -> NDArray[np.float64]:
    quiet = Header(levels=header.levels)  # what is refused needs no note
    values = quiet.numbers(tag, count)
    if values is None:
        raise _UnplacedError(path, tag, count, quiet.value(tag))
    return np.array(values)


def _may_be_slice(dataset: Any, sizes: Iterable[tuple[int, int]]) -> bool:
    """Tell whether a file that lies nowhere may be a slice of the series: of its size and kind."""
    header = file_header(dataset)
    rows, columns = header.whole("Rows"), header.whole("Columns")
    of_size = rows is None or columns is None or (rows, columns) in set(sizes)
    kind = header.words("ImageType")
    captured = header.whole("SamplesPerPixel") == 3 or "SCREEN SAVE" in kind
    storage = str(header.value("SOPClassUID") or CT_STORAGE[0])
    return of_size and not captured and storage in CT_STORAGE


def _lacking(unplaced: Mapping[Path, _UnplacedError], count: int, folder: Path) -> InputError:
    """Return the error that says what slices lack, the tag that most of them lack."""
    by_tag: dict[str, list[Path]] = defaultdict(list)
    for path, error in unplaced.items():
        by_tag[error.tag].append(path)
    tag, paths = max(by_tag.items(), key=lambda found: len(found[1]))
    error = unplaced[paths[0]]
    if len(paths) == 1 or not error.absent:
        return error
    return InputError(
        f"{folder} must hold the slices of a CT series, but {len(paths)} CT slices lack {tag}"
        + ("" if len(paths) == count else f" ({listed([path.name for path in paths])})")
    )
