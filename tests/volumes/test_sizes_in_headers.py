"""What headers of images tell of is held against their files and memory before it is allocated."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.volumes.image_files import read_image_file

VOXELS = np.random.default_rng(0).integers(-900, 900, (4, 5, 6)).astype("<i2")
NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: {sizes}
space directions: (2,0,0) (0,2,0) (0,0,2)
endian: little
encoding: {encoding}
space origin: (0,0,0)

"""
META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = {packed}
CompressedDataSize = {size}
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 2 2 2
DimSize = {sizes}
ElementType = MET_SHORT
ElementDataFile = {file}
"""


def nifti(shape: tuple[int, ...], content: bytes, offset: float = 352) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    header["magic"], header["vox_offset"] = b"n+1", offset
    return bytes(header.binaryblock) + bytes(4) + content


def nrrd(sizes: str, encoding: str, content: bytes) -> bytes:
    return NRRD.format(sizes=sizes, encoding=encoding).encode() + content


def meta(sizes: str, content: bytes, *, packed: bool = True) -> bytes:
    head = META.format(sizes=sizes, packed=packed, size=len(content), file="LOCAL")
    return head.encode() + content


PLAIN = VOXELS.tobytes()
WHOLE = {
    "a.nii": nifti((6, 5, 4), PLAIN),
    "a.nii.gz": gzip.compress(nifti((6, 5, 4), PLAIN)),
    "a.nrrd": nrrd("6 5 4", "gzip", gzip.compress(PLAIN)),
    "b.nrrd": nrrd("6 5 4", "raw", PLAIN),
    "a.mha": meta("6 5 4", zlib.compress(PLAIN)),
    "b.mha": meta("6 5 4", PLAIN, packed=False),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_read_and_shorter_ones_are_not(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE[name])
    np.testing.assert_array_equal(read_image_file(path).voxels, VOXELS)
    path.write_bytes(WHOLE[name][:-20])
    with pytest.raises(InputError, match=rf"{name}.* (is truncated|is not a readable)"):
        read_image_file(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_no_flipped_bit_of_packed_voxels_is_read_as_other_voxels(tmp_path: Path, name: str) -> None:
    """Flips in the voxels' half of the file; an old checksum would tell of all of them."""
    generator = np.random.default_rng(3)
    path = tmp_path / name
    for at in generator.integers(len(WHOLE[name]) // 2 + 100, len(WHOLE[name]) - 8, size=40):
        changed = bytearray(WHOLE[name])
        changed[at] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        with pytest.raises(InputError, match=name):
            read_image_file(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii", nifti((32000, 32000, 32000), PLAIN), r"memory: .* 131072\.0 GB .*; crop the CT"),
        ("a.nii", nifti((1300, 1300, 13), PLAIN), r"it has 240 of 43940000 bytes of voxels"),
        ("a.nii", nifti((6, 5, 4), PLAIN, 3e9), "its voxels begin at byte 3e"),
        ("a.nii", nifti((6, 5, 4), PLAIN, float("nan")), "its voxels begin at byte nan"),
        ("a.nii.gz", gzip.compress(nifti((1300, 1300, 13), PLAIN)), "cannot hold them"),
        ("a.nii.gz", gzip.compress(nifti((6, 5, 4), bytes(2 << 20))), "holds more than the"),
        ("a.nrrd", nrrd("1300 1300 13", "gzip", gzip.compress(PLAIN)), "cannot hold them"),
        ("a.nrrd", nrrd("1300 1300 13", "raw", PLAIN), "240 of 43940000 bytes"),
        ("a.nrrd", nrrd("9999999 9999999 9999", "raw", PLAIN), "must fit into memory"),
        ("a.nrrd", nrrd("6 -5 4", "raw", PLAIN), "whole numbers as sizes"),
        ("a.mha", meta("1300 1300 13", zlib.compress(PLAIN)), "cannot hold them"),
        ("a.mha", meta("1300 1300 13", PLAIN, packed=False), "240 of 43940000 bytes"),
        ("a.mha", meta("6 five 4", PLAIN, packed=False), "whole numbers as DimSize"),
    ],
)  # fmt: skip
def test_sizes_that_the_file_does_not_hold(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}.*{message}"):
        read_image_file(tmp_path / name)


@pytest.mark.parametrize("said", ["", "CompressedDataSize = 30\n", "CompressedDataSize = ten\n"])
def test_a_wrong_count_of_packed_bytes_gives_no_other_voxels(tmp_path: Path, said: str) -> None:
    """ITK would return what happens to lie in memory."""
    content = WHOLE["a.mha"]
    begin = content.index(b"CompressedDataSize")
    end = content.index(b"\n", begin) + 1
    (tmp_path / "a.mha").write_bytes(content[:begin] + said.encode() + content[end:])
    with pytest.raises(InputError, match=r"a\.mha (is truncated|must have whole numbers as Comp)"):
        read_image_file(tmp_path / "a.mha")


def test_short_voxels_beside_a_header_are_told_of_by_us_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mhd"
    path.write_text(META.format(sizes="6 5 4", packed=False, size=0, file="a.raw"))
    (tmp_path / "a.raw").write_bytes(PLAIN[:100])
    with pytest.raises(InputError, match=r"a\.mhd is truncated: a\.raw has 100 of 240 bytes"):
        read_image_file(path)
    assert capfd.readouterr().err == ""


def test_a_unit_that_the_header_says_is_named_where_it_must_be_wrong(tmp_path: Path) -> None:
    from wsreg.volumes.reading import read_volume

    image = nibabel.Nifti1Image(np.zeros((150, 100, 120), np.int16), np.diag([2.0, 2, 2, 1]))
    image.header["xyzt_units"] = 3
    nibabel.save(image, tmp_path / "a.nii")
    said = r"got 0\.3 x 0\.2 x 0\.24 mm \(millimetres\? 300 x 200 x 240 mm .* says micrometres\)"
    with pytest.raises(InputError, match=said):
        read_volume(tmp_path / "a.nii")
