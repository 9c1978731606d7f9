"""The grey pixels of a PNG or TIFF file, with all their bits, the way up that the file says."""

from __future__ import annotations

import tempfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.pixels import MOST_PIXELS, check_xray_size
from wsreg.errors import InputError
from wsreg.files.memory import in_gigabytes
from wsreg.files.reading_from import FOREIGN_ERRORS, reason_of
from wsreg.radiographs.tiff_tags import TiffTags, stored_tiff

Use = Literal["image", "mask", "labels"]
"""What pixels are: brightness; what is used (not black); or numbers, whatever they look like."""

MOST_BYTES = 8 * MOST_PIXELS
"""A file is no larger than all pixels that an X-ray may have with four channels of 16 bits."""

_GREY_MODES = ("L", "I;16", "I;16B", "I;16L", "I", "F")
"""Pillow's names for one channel of 8, 16 or 32 bits."""

_CHANNEL_MODES = ("LA", "La", "RGB", "RGBA", "RGBa", "RGBX")
_PALETTE_MODES = ("P", "PA")
_PNG_GREY_ALPHA, _PNG_RGBA = 4, 6
_PNG_START = b"\x89PNG\r\n\x1a\n"
_EXIF_ORIENTATION = 274
_DEEP_BITS = 16


class Raster(NamedTuple):
    """Pixels [H,W] of a file, and sentences on what was done to them."""

    pixels: NDArray[Any]
    notes: tuple[str, ...] = ()


def read_picture(path: Path, use: Use) -> Raster:
    """Read a PNG or TIFF file.

    Equal colour channels are grey, and a palette of greys is; an alpha channel must be opaque.

    Raises:
        InputError: the file is damaged, holds several images, is in colour, is no picture of
            brightness (1 bit), or has a tag that cannot be followed.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        pixels, tags, notes = _as_in_file(path, use)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        tiff = stored_tiff(_content(path))
        said = (
            f": TIFF values of {tiff[1].bits} bits of its kind are not supported (save whole "
            "numbers of 8 or 16 bits, or floating point of 32)"
            if tiff
            else ""
        )
        raise InputError(f"{path} is not a readable PNG or TIFF image{said}") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is larger than any X-ray: {error}") from error
    except FOREIGN_ERRORS as error:
        raise InputError(f"{path} is damaged or truncated: {reason_of(error)}") from error
    if tags.min_is_white and use != "labels":
        pixels = _inverted(pixels, tags, path)
        notes.append("Small numbers are white in the file (PhotometricInterpretation 0): inverted.")
    if 2 <= tags.orientation <= 8:
        notes.append(f"Turned as the file's Orientation tag ({tags.orientation}) says.")
        pixels = _turned(pixels, tags.orientation)
    elif tags.orientation != 1:
        notes.append(f"The file's Orientation tag {tags.orientation} is not 1 to 8: ignored.")
    return Raster(np.ascontiguousarray(pixels), tuple(notes))


def _as_in_file(path: Path, use: Use) -> tuple[NDArray[Any], TiffTags, list[str]]:
    """Return the pixels as they lie in the file, its tags, and what was done to them."""
    from PIL import Image

    data = _content(path)
    stored = stored_tiff(data)
    data, tags = (data, _png_tags(data)) if stored is None else stored
    if tags.width and tags.height:
        check_xray_size(tags.height, tags.width, path)
    with Image.open(BytesIO(data)) as picture:
        check_xray_size(picture.height, picture.width, path)
        pages = getattr(picture, "n_frames", 1)
        if pages > 1:
            raise InputError(f"{path} must hold one image, it holds {pages}")
        if stored is None:
            tags = tags._replace(orientation=picture.getexif().get(_EXIF_ORIENTATION, 1))
        pixels, notes = _grey(picture, data, tags, use, path)
    return pixels, tags, notes


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than any X-ray, {in_gigabytes(path.stat().st_size)}")
    return path.read_bytes()


def _png_tags(data: bytes) -> TiffTags:
    """Return the same of a PNG file, from its first chunk; what is neither says nothing."""
    if not data.startswith(_PNG_START) or len(data) < 26:
        return TiffTags()
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(data[25], 1)
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    return TiffTags(bits=data[24], samples=samples, width=width, height=height)


def _grey(
    picture: Any, data: bytes, tags: TiffTags, use: Use, path: Path
) -> tuple[NDArray[Any], list[str]]:
    """Return the pixels of one channel as stored, and what was done."""
    if tags.samples > 1 and tags.bits == _DEEP_BITS and picture.mode in _CHANNEL_MODES:
        return _one_channel(_deep_channels(data, path), path)
    if picture.mode in _PALETTE_MODES:
        if use == "labels":
            indices = np.array(picture)
            return indices[..., 0] if indices.ndim == 3 else indices, []
        grey, _ = _one_channel(np.array(picture.convert("RGBA")), path)
        return grey, ["The grey values of the file's palette were read."]
    if picture.mode in _CHANNEL_MODES:
        return _one_channel(np.array(picture), path)
    if picture.mode == "1" and use != "image":
        return np.array(picture), []
    if picture.mode not in _GREY_MODES:
        raise InputError(
            f"{path} must be a grey image of 8, 16 or 32 bits, it is in mode {picture.mode} "
            f"({'1 bit a pixel' if picture.mode == '1' else 'colour'}); export it in grey"
        )
    return _as_stored(np.array(picture), tags, use), []


def _deep_channels(data: bytes, path: Path) -> NDArray[Any]:
    """Read channels [H,W,C] of 16 bits, of which Pillow keeps 8, through SimpleITK."""
    import SimpleITK

    if data.startswith(_PNG_START) and data[25] == _PNG_GREY_ALPHA:
        return _grey_alpha_channels(data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ("picture.png" if data.startswith(_PNG_START) else "picture.tif")
        file.write_bytes(data)
        channels: NDArray[Any] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))
    if channels.ndim != 3 or channels.dtype != np.uint16:
        raise InputError(f"{path} must hold one grey image, its 16-bit channels cannot be read")
    return channels


def _grey_alpha_channels(data: bytes) -> NDArray[Any]:
    """Read the channels [H,W,2] of 16 bits of a PNG file, which neither library reads.

    Four channels of 8 bits lie in a file in the very same way.
    """
    from PIL import Image

    head = b"IHDR" + data[16:24] + bytes([8, _PNG_RGBA]) + data[26:29]
    other = data[:12] + head + zlib.crc32(head).to_bytes(4, "big") + data[33:]
    with Image.open(BytesIO(other)) as picture:
        return np.ascontiguousarray(picture).view(">u2").astype(np.uint16)


def _one_channel(channels: NDArray[Any], path: Path) -> tuple[NDArray[Any], list[str]]:
    """Return the channel [H,W] that all colour channels of [H,W,C] are equal to."""
    count = channels.shape[-1]
    has_alpha = count in (2, 4)
    if has_alpha and (channels[..., -1] != np.iinfo(channels.dtype).max).any():
        raise InputError(
            f"{path} must be opaque, some of its pixels are transparent (alpha channel); "
            "export it in grey without alpha"
        )
    colours = channels[..., : count - has_alpha]
    differ = (colours != colours[..., :1]).any(axis=-1)
    if differ.any():
        raise InputError(
            f"{path} must be grey, its colour channels differ in {differ.mean():.1%} of its "
            "pixels; export it in grey, with all its bits"
        )
    return colours[..., 0], [f"Its {count} channels{' (one alpha)' * has_alpha} were read as grey."]


def _as_stored(pixels: NDArray[Any], tags: TiffTags, use: Use) -> NDArray[Any]:
    """Undo what Pillow does to numbers of few bits, signed bytes and unsigned 32 bits."""
    if tags.signed and pixels.dtype == np.uint8:
        return pixels.view(np.int8)
    if not tags.signed and tags.bits == 32 and pixels.dtype == np.int32:
        return pixels.view(np.uint32)
    if use == "labels" and tags.bits in (2, 4):  # spread over 0..255, as brightness may be
        return pixels // np.uint8(255 // (2**tags.bits - 1))
    return pixels


def _inverted(pixels: NDArray[Any], tags: TiffTags, path: Path) -> NDArray[Any]:
    if pixels.dtype.kind == "b":
        black: NDArray[Any] = np.logical_not(pixels)
        return black
    if pixels.dtype.kind != "u":
        raise InputError(
            f"{path} must have a PhotometricInterpretation other than 0 (small numbers are white), "
            "which for signed and real numbers has no meaning"
        )
    highest = pixels.dtype.type(2 ** max(tags.bits, 8) - 1)
    inverted: NDArray[Any] = highest - pixels
    return inverted


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return stored pixels [H,W] as they are shown: the tag says where row 0 and column 0 are."""
    # 1 top left, 2 top right, 3 bottom right, 4 bottom left: rows are rows;
    # 5 left top, 6 right top, 7 right bottom, 8 left bottom: rows become columns.
    if orientation >= 5:
        pixels = pixels.T
        orientation -= 4
    if orientation in (2, 3):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4):
        pixels = pixels[::-1]
    return pixels
