from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.radiographs.orientation import Orientation

DETECTOR = np.array([[1, 2, 3], [4, 5, 6]])


def test_clockwise_rotation_by_hand() -> None:
    stored = np.array([[4, 1], [5, 2], [6, 3]])  # the left column has become the top row
    assert (Orientation(rotation_deg=90).undone(stored) == DETECTOR).all()


def test_flip_follows_the_rotation() -> None:
    stored = np.array([[1, 4], [2, 5], [3, 6]])  # rotated as above, then mirrored left to right
    undone = Orientation(rotation_deg=90, flipped=True).undone(stored)
    assert (undone == DETECTOR).all()


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("flipped", [False, True])
def test_undoes_what_the_standard_describes(rotation_deg: int, flipped: bool) -> None:
    stored = np.rot90(DETECTOR, -rotation_deg // 90)
    stored = np.fliplr(stored) if flipped else stored
    orientation = Orientation(rotation_deg=rotation_deg, flipped=flipped)
    assert (orientation.undone(stored) == DETECTOR).all()


def test_spacing_turns_with_the_image() -> None:
    assert Orientation(rotation_deg=270).undone_spacing((0.2, 0.3)) == (0.3, 0.2)
    assert Orientation(rotation_deg=180, flipped=True).undone_spacing((0.2, 0.3)) == (0.2, 0.3)


def test_other_angles_are_refused() -> None:
    with pytest.raises(InputError, match="0, 90, 180 or 270 degrees, got 45"):
        Orientation(rotation_deg=45)


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("flipped", [False, True])
def test_directions_turn_with_the_pixels(rotation_deg: int, flipped: bool) -> None:
    """Seen, columns run to L and rows to F: pixels count L and F, and are stored turned."""
    towards_f, towards_l = np.mgrid[:3, :4]
    orientation = Orientation(rotation_deg=rotation_deg, flipped=flipped)

    def stored(seen: Any) -> Any:
        turned = np.rot90(seen, -rotation_deg // 90)
        return np.fliplr(turned) if flipped else turned

    def direction(axis: int) -> str:
        """What grows along an axis of the stored image, and how."""
        for letters, counts in (("LR", stored(towards_l)), ("FH", stored(towards_f))):
            step = np.diff(counts, axis=axis)
            if np.abs(step).max():
                return letters[int(step.flat[0] < 0)]
        raise AssertionError

    assert orientation.undone_directions((direction(1), direction(0))) == ("L", "F")
