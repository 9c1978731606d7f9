"""X-rays from arrays in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from wsreg import Radiograph, read_camera, read_pose, read_radiograph, read_volume
from wsreg.errors import InputError

ROWS: Any = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (ROWS[::-1], [[4, 5, 6], [1, 2, 3]]),
        (ROWS[:, ::-1], [[3, 2, 1], [6, 5, 4]]),
        (ROWS.T, [[1, 4], [2, 5], [3, 6]]),
        (ROWS.astype(">f4"), [[1, 2, 3], [4, 5, 6]]),
        (ROWS.astype(">u2")[::-1], [[4, 5, 6], [1, 2, 3]]),
        (ROWS.astype(np.longdouble), [[1, 2, 3], [4, 5, 6]]),
        (ROWS.astype("uint64"), [[1, 2, 3], [4, 5, 6]]),
        (ROWS.tolist(), [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_arrays_in_any_layout_are_taken_as_they_read(image: Any, expected: Any) -> None:
    found = Radiograph(image=image)
    assert found.image.dtype == torch.float32
    assert found.image.tolist() == expected
    assert found.mask.dtype == torch.bool
    assert bool(found.mask.all())
    assert found.mask.shape == found.image.shape
    mask: Any = np.asarray(expected)[::-1, ::-1] > 3
    assert Radiograph(image=image, mask=mask).mask.tolist() == mask.tolist()


@pytest.mark.parametrize("image", [None, "x.png", [["a"]], [[1], [2, 3]], [[1j]], {"a": 1}])
def test_what_is_no_image_is_one_sentence(image: Any) -> None:
    with pytest.raises(InputError, match="radiograph image must be an array of numbers, got"):
        Radiograph(image=image)
    mask: Any = "m.png" if image is None else image
    with pytest.raises(InputError, match="radiograph mask must be an array of numbers, got"):
        Radiograph(image=ROWS, mask=mask)


def test_readers_of_files_name_what_is_no_path() -> None:
    for read, name in ((read_radiograph, "X-ray"), (read_pose, "pose"), (read_camera, "camera"),
                       (read_volume, "CT")):  # fmt: skip
        with pytest.raises(InputError, match=f"{name} must be the path of a file, got ndarray"):
            read(ROWS)
