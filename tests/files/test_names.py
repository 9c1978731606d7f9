from __future__ import annotations

from pathlib import Path

import pytest

from wsreg.files.names import different, file_name, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hip.png", "hip"),
        ("a.b.dcm", "a.b"),
        ("hip.nii.gz", "hip"),
        ("HIP.NII.GZ", "HIP"),
        ("x", "x"),
    ],
)
def test_endings_go(name: str, expected: str) -> None:
    assert stem(Path("some.folder") / name) == expected


def test_names_that_come_again_get_a_number() -> None:
    names = ["knee", "knee", "knee-2", "hip", "knee"]
    assert different(names) == ["knee", "knee-2", "knee-2-2", "hip", "knee-3"]
    assert different(["Knee", "knee", "KNEE-2"]) == ["Knee", "knee-2", "KNEE-2-2"]


def test_what_no_file_should_be_called_becomes_a_line() -> None:
    assert file_name("../AP view: 1") == ".._AP_view_1"
    assert file_name("Hüfte-2.b_c") == "Hüfte-2.b_c"
