"""NIfTI's header and stored numbers, whose sizes are looked at before anything is read."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.files.memory import check_fits
from wsreg.files.packed import MOST_AFTER, unpacked
from wsreg.files.reading_from import reading_from

RULE = "is not a readable NIfTI file"
_OFFSETS = {348: (108, "f"), 540: (168, "q")}
"""By the size of a header, which tells its version: where it says where voxels begin, and how."""

COPIES = 2
"""What the numbers of a file take while they become those of a CT, in their own size."""
SMALLER = "crop the CT to what the X-rays show, or resample it to larger voxels"
"""What to do about one that does not fit into memory."""


def open_nifti(path: Path) -> Any:
    """Return nibabel's image of a file, of which the header alone was read.

    Raises:
        InputError: it is damaged, or is none.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    packing = _wrong_packing(path)
    if packing:
        raise InputError(f"{path} {RULE}: {packing}")
    with reading_from(path, RULE, ImageFileError, HeaderDataError):
        _check_offset(path)
        return nibabel.load(path)


def stored_numbers(image: Any, path: Path) -> NDArray[Any]:
    """Return the numbers of an image as they are stored, [x,y,z,...], x next to each other.

    Raises:
        InputError: colours or complex numbers, a file that is cut short or damaged, or more than
            fits into memory.
    """
    dtype, shape = image.get_data_dtype(), image.shape
    if dtype.kind not in "iuf":
        raise InputError(f"{path} must hold one number per voxel, got {dtype}")
    offset, count = int(image.dataobj.offset), math.prod(shape)
    size = count * dtype.itemsize
    check_fits(
        COPIES * size, path, f"{' x '.join(map(str, shape))} voxels of {dtype.name}", SMALLER
    )
    file = Path(image.file_map["image"].filename or path)
    with reading_from(path, RULE):
        if file.name.lower().endswith(".gz"):
            numbers = np.frombuffer(unpacked(file, size, skip=offset), dtype)
        else:
            present = file.stat().st_size - offset
            if present < size:
                raise InputError(
                    f"{path} {RULE}: {file.name} is truncated, it has {max(0, present)} of {size} "
                    "bytes of voxels"
                )
            numbers = np.fromfile(file, dtype, count, offset=offset)
        return numbers.reshape(shape, order="F")


def scaled(numbers: NDArray[Any], image: Any) -> NDArray[Any]:
    """Apply an image's slope and intercept; nibabel would do so in float64, which takes twice."""
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if (slope, intercept) == (1.0, 0.0):
        return numbers
    small_whole = numbers.dtype.kind in "iu" and numbers.itemsize <= 2
    if small_whole and slope == 1 and intercept.is_integer() and abs(intercept) < 2**30:
        whole: NDArray[Any] = np.add(numbers, int(intercept), dtype=np.int32)
        return whole
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
        found = numbers.astype(np.float32)
        found *= np.float32(slope)
        found += np.float32(intercept)
    return found


def _wrong_packing(path: Path) -> str:
    """Return a sentence where a name says the opposite of whether its content is compressed."""
    with reading_from(path, RULE), path.open("rb") as stream:
        start = stream.read(2)
    packed, said = start == b"\x1f\x8b", path.name.lower().endswith(".gz")
    if not start or packed == said:
        return ""
    return "its content is " + ("compressed, name it .nii.gz" if packed else "not compressed")


def _check_offset(path: Path) -> None:
    """Refuse a header after which voxels begin so late that it hides something else.

    nibabel reads all that lies between as extensions.
    """
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
        start = stream.read(max(_OFFSETS))
    for order in "<>":
        kind = struct.unpack_from(f"{order}i", start)[0] if len(start) >= min(_OFFSETS) else 0
        if kind in _OFFSETS and len(start) >= kind:
            place, number = _OFFSETS[kind]
            begin = struct.unpack_from(order + number, start, place)[0]
            if not abs(begin) <= MOST_AFTER + kind:  # nor NaN
                raise InputError(f"{path} {RULE}: its voxels begin at byte {begin:g}")
