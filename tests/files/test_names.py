from __future__ import annotations

from pathlib import Path

import pytest

from wsreg.files.names import stem


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
