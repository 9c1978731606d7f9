from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsreg.errors import InputError
from wsreg.radiographs.picture_files import read_picture
from wsreg.radiographs.raster import read_mask
from wsreg.radiographs.reading import read_radiograph

GREY = (np.arange(15, dtype=np.uint16).reshape(3, 5) * 4369) ^ 0x5A5A
"""[3,5], every pixel different in both of its bytes."""

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def write_png(path: Path, channels: NDArray[Any]) -> Path:
    """Write channels [H,W,C] of 8 or 16 bits, by the specification."""
    rows, columns, count = channels.shape
    big = channels.astype(channels.dtype.newbyteorder(">"))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(
        ">IIBBBBB", columns, rows, 8 * channels.itemsize, COLOUR_TYPES[count], 0, 0, 0
    )
    body = b"".join(b"\0" + row.tobytes() for row in big)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )  # fmt: skip
    return path


def write_tiff(
    path: Path, pixels: NDArray[Any], order: Literal["<", ">"] = "<", big: bool = False, **tags: int
) -> Path:
    """Write pixels [H,W] or [H,W,C], uncompressed in one strip, by the specification."""
    rows, columns = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    word, start = ("Q", 16) if big else ("I", 8)
    kinds = {"u": 1, "i": 2, "f": 3}
    entries: dict[int, tuple[str, list[int]]] = {
        256: ("I", [columns]),
        257: ("I", [rows]),
        258: ("H", [8 * pixels.itemsize] * samples),
        259: ("H", [1]),
        262: ("H", [tags.get("photometric", 1 if samples < 3 else 2)]),
        273: ("I", [start]),
        277: ("H", [samples]),
        278: ("I", [rows]),
        279: ("I", [len(body)]),
        339: ("H", [kinds[pixels.dtype.kind]] * samples),
    }
    if "orientation" in tags:
        entries[274] = ("H", [tags["orientation"]])
    if samples in (2, 4):
        entries[338] = ("H", [2])
    inline = 8 if big else 4
    ifd_at = start + len(body) + len(body) % 2
    size = struct.calcsize(order + ("Q" if big else "H")) + len(entries) * (4 + 2 * inline)
    more_at = ifd_at + size + inline
    ifd, more = struct.pack(order + ("Q" if big else "H"), len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(order + kind * len(values), *values)
        if len(packed) > inline:
            place, more = struct.pack(order + word, more_at + len(more)), more + packed
        else:
            place = packed.ljust(inline, b"\0")
        ifd += struct.pack(order + "HH" + word, tag, {"H": 3, "I": 4}[kind], len(values)) + place
    name = b"II" if order == "<" else b"MM"
    head = name + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, ifd_at) if big else struct.pack(order + "I", ifd_at)
    body = body.ljust(ifd_at - start, b"\0")
    path.write_bytes(head + body + ifd + struct.pack(order + word, 0) + more)
    return path


def shown(orientation: int) -> list[list[int]]:
    """Return what the stored picture 1 2 3 / 4 5 6 looks like, by the specification."""
    return {
        1: [[1, 2, 3], [4, 5, 6]],
        2: [[3, 2, 1], [6, 5, 4]],
        3: [[6, 5, 4], [3, 2, 1]],
        4: [[4, 5, 6], [1, 2, 3]],
        5: [[1, 4], [2, 5], [3, 6]],
        6: [[4, 1], [5, 2], [6, 3]],
        7: [[6, 3], [5, 2], [4, 1]],
        8: [[3, 6], [2, 5], [1, 4]],
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_is_turned_as_its_tag_says(
    tmp_path: Path, orientation: int, dtype: str, order: Literal["<", ">"], big: bool
) -> None:
    stored = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    path = write_tiff(tmp_path / "x.tif", stored, order, big, orientation=orientation)
    raster = read_picture(path, "image")
    assert raster.pixels.tolist() == shown(orientation)
    assert raster.pixels.flags.c_contiguous
    assert (f"tag ({orientation})" in "".join(raster.notes)) == (orientation != 1)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_compressed_tiff_is_turned_too(
    tmp_path: Path, orientation: int, compression: str | None
) -> None:
    stored = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    tags = stored.getexif()
    tags[274] = orientation
    stored.save(tmp_path / "x.tif", exif=tags, compression=compression)
    assert read_picture(tmp_path / "x.tif", "image").pixels.tolist() == shown(orientation)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_png_is_turned_as_its_exif_says(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    tags = stored.getexif()
    tags[274] = orientation
    stored.save(tmp_path / "x.png", exif=tags)
    assert read_picture(tmp_path / "x.png", "image").pixels.tolist() == shown(orientation)


def test_an_orientation_that_there_is_not_is_ignored_and_told(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", GREY, orientation=9)
    raster = read_picture(path, "image")
    np.testing.assert_array_equal(raster.pixels, GREY)
    assert raster.notes == ("The file's Orientation tag 9 is not 1 to 8: ignored.",)


ALL_CHANNELS = [(kind, count, bits) for kind in ("png", "tif") for count in (1, 2, 3, 4)
                for bits in (8, 16)]  # fmt: skip
ALL_CHANNELS.remove(("tif", 2, 16))  # which no library here reads: refused, see below


@pytest.mark.parametrize(("kind", "count", "bits"), ALL_CHANNELS)
def test_equal_channels_are_grey_with_all_bits(
    tmp_path: Path, kind: str, count: int, bits: int
) -> None:
    grey = GREY if bits == 16 else (GREY >> 8).astype(np.uint8)
    channels = np.repeat(grey[..., None], count, axis=-1)
    if count in (2, 4):
        channels[..., -1] = 2**bits - 1
    if kind == "png":
        path = write_png(tmp_path / "x.png", channels)
    else:
        path = write_tiff(tmp_path / "x.tif", channels[..., 0] if count == 1 else channels)
    raster = read_picture(path, "image")
    assert raster.pixels.dtype == grey.dtype
    np.testing.assert_array_equal(raster.pixels, grey)
    assert bool(raster.notes) == (count > 1)


def test_a_tiff_of_16_bit_grey_and_alpha_is_refused(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", np.full((3, 4, 2), 65535, np.uint16))
    with pytest.raises(InputError, match=r"x\.tif is not a readable"):
        read_picture(path, "image")


def test_a_turned_tiff_of_16_bit_colour_channels(tmp_path: Path) -> None:
    channels = np.repeat(GREY[..., None], 3, axis=-1)
    path = write_tiff(tmp_path / "x.tif", channels, orientation=6)
    np.testing.assert_array_equal(read_picture(path, "image").pixels, np.rot90(GREY, -1))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_single_pixel_of_another_colour_or_clear_is_refused(tmp_path: Path, bits: int) -> None:
    channels = np.full((4, 5, 4), 2**bits - 1, f"u{bits // 8}")
    clear = channels.copy()
    clear[1, 2, 3] -= 1
    with pytest.raises(InputError, match=r"x\.png must be opaque"):
        read_picture(write_png(tmp_path / "x.png", clear), "image")
    channels[1, 2, 1] -= 1  # of the 16 bits the last one
    with pytest.raises(InputError, match=r"x\.png must be grey, .* differ in 5\.0% of its pixels"):
        read_picture(write_png(tmp_path / "x.png", channels), "image")


def test_palettes_are_greys_in_images_and_numbers_in_labels(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    picture = Image.fromarray(indices).convert("P")
    for name, palette in (("grey", [9, 9, 9, 70, 70, 70, 200, 200, 200]),
                          ("red", [9, 9, 9, 250, 0, 0, 0, 0, 250])):  # fmt: skip
        picture.putpalette(palette)
        picture.save(tmp_path / f"{name}.png")
        assert read_picture(tmp_path / f"{name}.png", "labels").pixels.tolist() == indices.tolist()
    grey = read_picture(tmp_path / "grey.png", "image")
    assert grey.pixels.tolist() == [[9, 70, 200], [200, 70, 9]]
    with pytest.raises(InputError, match=r"must be grey, .* differ in 66\.7%"):
        read_picture(tmp_path / "red.png", "image")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_small_numbers_that_are_white_are_inverted_but_in_labels(
    tmp_path: Path, dtype: type
) -> None:
    stored: NDArray[Any] = np.array([[0, 1, 2], [3, 4, 5]], dtype)
    path = write_tiff(tmp_path / "x.tif", stored, photometric=0)
    raster = read_picture(path, "image")
    assert raster.pixels.dtype == dtype
    assert raster.pixels.tolist() == (np.iinfo(dtype).max - stored.astype(int)).tolist()
    assert "PhotometricInterpretation 0" in raster.notes[0]
    assert read_picture(path, "labels").pixels.tolist() == stored.tolist()
    with pytest.raises(InputError, match="PhotometricInterpretation other than 0"):
        read_picture(write_tiff(path, stored.astype("f4"), photometric=0), "image")


def test_one_bit_is_a_mask_and_no_image(tmp_path: Path) -> None:
    values = np.array([[True, False, True], [False, False, True]])
    Image.fromarray(values).save(tmp_path / "x.png")
    Image.fromarray(values).save(tmp_path / "x.tif")
    for name in ("x.png", "x.tif"):
        assert read_mask(tmp_path / name, (2, 3)).tolist() == values.tolist()
        with pytest.raises(InputError, match=rf"{name} must be a grey image .*1 bit a pixel"):
            read_picture(tmp_path / name, "image")


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("i1", [-7, 0, 100]), ("i2", [-700, 0, 30000]), ("u4", [0, 7, 4_000_000_000]),
     ("f4", [-0.5, 0.25, 1e9])],
)  # fmt: skip
def test_numbers_of_other_kinds_keep_their_values(
    tmp_path: Path, dtype: str, values: list[float]
) -> None:
    path = write_tiff(tmp_path / "x.tif", np.array([values, values[::-1]], dtype))
    assert read_picture(path, "image").pixels.tolist() == [values, values[::-1]]


def test_labels_of_four_bits_are_not_spread(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 4, 1, 4, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0\x01\x2f")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    (tmp_path / "x.png").write_bytes(data)
    assert read_picture(tmp_path / "x.png", "labels").pixels.tolist() == [[0, 1, 2, 15]]


def test_a_colour_picture_in_another_space_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 3)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif must be a grey image .* mode CMYK"):
        read_picture(tmp_path / "x.tif", "image")


def test_a_radiograph_says_what_was_done_and_masks_are_turned_alike(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(100, 60000, (40, 60)).astype(np.uint16)
    used = np.ones((40, 60), np.uint8)
    used[:10] = 0
    xray = write_tiff(tmp_path / "x.tif", pixels, orientation=6)
    mask = write_tiff(tmp_path / "m.tif", used, orientation=6)
    read = read_radiograph(xray, mask=mask, intensity="attenuation", collimation="none")
    np.testing.assert_array_equal(read.mask.numpy(), np.rot90(used, -1) != 0)
    assert read.image.shape == (60, 40)
    assert read.notes[0] == "Turned as the file's Orientation tag (6) says."


@pytest.mark.parametrize("bits", [16, 64])
def test_floating_point_of_other_depths_is_told(bits: int, tmp_path: Path) -> None:
    path = tmp_path / "odd.tif"
    Image.fromarray(np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)).save(path)
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<HHI", 258, 3, 1)) + 8  # BitsPerSample
    content[place : place + 2] = struct.pack("<H", bits)
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"TIFF values of {bits} bits .* not supported"):
        read_picture(path, "image")
