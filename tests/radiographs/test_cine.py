from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.radiographs.cine import open_cine

WriteDicom = Callable[..., Path]
FRAMES = np.arange(3 * 8 * 8, dtype=np.uint16).reshape(3, 8, 8)


def enhanced(*groups: dict[str, float]) -> list[Any]:
    """Functional groups of frames: a positioner's or a table's values in each."""
    from pydicom.dataset import Dataset

    found = []
    for values in groups:
        group, macro = Dataset(), Dataset()
        for keyword, value in values.items():
            setattr(macro, keyword, value)
        group.PositionerPositionSequence = [macro]
        found.append(group)
    return found


def test_frames_of_a_camera_that_stands_still(write_dicom: WriteDicom) -> None:
    cine = open_cine(write_dicom(FRAMES, PositionerPrimaryAngleIncrement=[0.0, 0.01, 0.0]))
    assert cine.frames == 3
    assert [float(cine.raw(number).pixels[0, 0]) for number in range(3)] == [0.0, 64.0, 128.0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"PositionerPrimaryAngleIncrement": [0.0, 1.5, 3.0]}, "AngleIncrement goes from 0 to 3"),
        ({"TableLateralIncrement": [0.0, 0.0, 12.0]}, "TableLateralIncrement goes from 0 to 12"),
        ({"PositionerMotion": "DYNAMIC"}, "C-arm moves"),
        ({"TableMotion": "DYNAMIC"}, "table moves"),
    ],
)
def test_a_camera_that_moved_is_refused(
    write_dicom: WriteDicom, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        open_cine(write_dicom(FRAMES, **fields))
    assert "register its frames one by one, with --frame" in str(refused.value)


def test_groups_of_frames_may_say_that_it_moved(write_dicom: WriteDicom) -> None:
    still = enhanced(*[{"PositionerPrimaryAngle": 10.0, "TableTopLateralPosition": 1.0}] * 3)
    assert open_cine(write_dicom(FRAMES, PerFrameFunctionalGroupsSequence=still)).frames == 3
    moved = enhanced(*({"PositionerPrimaryAngle": 10.0 + n} for n in range(3)))
    with pytest.raises(InputError, match="PositionerPrimaryAngle goes from 10 to 12"):
        open_cine(write_dicom(FRAMES, PerFrameFunctionalGroupsSequence=moved))
