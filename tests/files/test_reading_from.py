"""The door: what libraries throw comes out as one sentence, what is ours as it is."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.memory import check_fits, free_bytes
from wsreg.files.reading_from import naming, read_bytes, read_text, reading_from
from wsreg.files.xml_files import parse_xml


class TheirsError(Exception):
    """Of a library's own."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (struct.error("unpack requires 4 bytes"), "unpack requires 4 bytes"),
        (zlib.error("Error -3"), "Error -3"),
        (MemoryError(), "it does not fit into the memory of this machine"),
        (KeyError("pixels"), "it lacks 'pixels'"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (AssertionError(), "AssertionError"),
        (TheirsError("one\ntwo"), "one"),
        (RuntimeError("Exception in ITK\nITK ERROR: X(0x1): no pixels"), "ITK ERROR: X.*no pixels"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "invalid start byte"),
    ],
)
def test_one_sentence(error: Exception, reason: str) -> None:
    with (
        pytest.raises(
            InputError, match=rf"^a\.bin is none: .*{reason}.*; save it again$"
        ) as caught,
        reading_from(Path("a.bin"), "is none", TheirsError, hint="save it again"),
    ):
        raise error
    assert "\n" not in str(caught.value)


def test_what_is_ours_passes() -> None:
    with pytest.raises(InputError, match=r"^as it is$"), reading_from("a", "is none"):
        raise InputError("as it is")
    with pytest.raises(TheirsError), reading_from("a", "is none"):
        raise TheirsError


def test_endless_files_are_not_read_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/dev/zero cannot be read: it is longer than 1 MiB"):
        read_bytes(Path("/dev/zero"), "cannot be read", 1 << 20)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"a\.txt cannot be read: .*utf-8"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"b\.txt does not exist"):
        read_text(tmp_path / "b.txt")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_text(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_text(Path("a\0b"))


def test_entities_of_xml_are_not_followed() -> None:
    grows = '<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;">]><a>&d;</a>'
    with pytest.raises(InputError, match=r"^x must be XML without entities"):
        parse_xml(grows, "x")
    with pytest.raises(InputError, match="x must be valid XML"):
        parse_xml("<a>", "x")
    assert parse_xml("<!DOCTYPE a><a>1</a>", "x").text == "1"


def test_memory_is_foreseen() -> None:
    assert 1 << 20 < free_bytes() < 1 << 50
    check_fits(1, "a.nii", "one voxel")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with pytest.raises(
        InputError, match=r"a\.nii must fit into memory: .* all of it.* GB are free"
    ):
        check_fits(2 * pages, "a.nii", "all of it")


def test_what_a_file_holds_is_told_with_its_name_once() -> None:
    path = Path("films") / "cine.dcm"
    with pytest.raises(InputError, match=r"^films/cine\.dcm: frame 3 is empty$"), naming(path):
        raise InputError("frame 3 is empty")
    with pytest.raises(InputError, match=r"^cine\.dcm is empty$"), naming(path), naming(path):
        raise InputError("cine.dcm is empty")
