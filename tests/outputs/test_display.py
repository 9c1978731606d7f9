from __future__ import annotations

import numpy as np
import pytest
import torch

from wsreg.outputs import display

ALL = np.ones((20, 20), dtype=bool)


def ramp() -> np.ndarray:
    return np.tile(np.arange(20, dtype=np.float32), (20, 1))


def test_window_ignores_what_is_masked_out() -> None:
    image, mask = ramp(), ALL.copy()
    image[0], mask[0] = 1e9, False
    low, high = display.display_window(image, mask)
    assert low == pytest.approx(0, abs=0.2)
    assert high == pytest.approx(19, abs=0.2)


def test_window_of_a_constant_image_is_not_empty() -> None:
    low, high = display.display_window(np.full((20, 20), 5.0, dtype=np.float32), ALL)
    assert low == 5.0 < high


def test_bright_stays_bright_and_masked_is_dim() -> None:
    mask = ALL.copy()
    mask[10:] = False
    shown = display.grey(ramp(), (0.0, 19.0), mask)
    assert shown.shape == (20, 20, 3)
    assert shown[0, 0].tolist() == [0, 0, 0]
    assert shown[0, 19] == pytest.approx([1, 1, 1])
    assert shown[15, 19] == pytest.approx([display.DIM] * 3)


def test_resized_mask_drops_pixels_with_any_masked_part() -> None:
    mask = torch.ones(20, 20, dtype=torch.bool)
    mask[:, :5] = False
    small = display.resized_mask(mask, (10, 10))
    assert not small[:, :3].any()
    assert small[:, 4:].all()


def test_resized_keeps_the_mean_and_drops_nan() -> None:
    image = torch.from_numpy(ramp()).clone()
    assert display.resized(image, (5, 5)).mean() == pytest.approx(9.5)
    image[0, 0] = torch.nan
    assert np.isfinite(display.resized(image, (40, 40))).all()


def test_brightness_is_matched_linearly_inside_the_mask() -> None:
    mask = ALL.copy()
    mask[:, 0] = False
    fixed = 3 * ramp() + 2
    fixed[:, 0] = 1e6
    matched = display.brightness_matched(ramp(), fixed, mask)
    assert matched[:, 1:] == pytest.approx(fixed[:, 1:], abs=1e-4)


@pytest.mark.parametrize("moving", [-ramp(), np.zeros((20, 20), dtype=np.float32)])
def test_an_unlike_image_is_not_inverted_but_flattened(moving: np.ndarray) -> None:
    matched = display.brightness_matched(moving, ramp(), ALL)
    assert matched == pytest.approx(np.full((20, 20), 9.5))


def test_difference_is_orange_where_the_xray_is_brighter() -> None:
    zero = np.zeros((1, 4), dtype=np.float32)
    fixed = np.array([[1.0, -1.0, 0.0, 1.0]], dtype=np.float32)
    mask = np.array([[True, True, True, False]])
    shown = display.signed_difference(fixed, zero, mask, full_scale=0.5)[0]
    assert shown[0] == pytest.approx(display.BRIGHTER_FIXED)
    assert shown[1] == pytest.approx(display.BRIGHTER_MOVING)
    assert shown[2] == pytest.approx(display.NO_DIFFERENCE)
    assert shown[3] == pytest.approx(np.multiply(display.NO_DIFFERENCE, display.DIM))


def square(height: float = 1.0) -> np.ndarray:
    image = np.zeros((40, 40), dtype=np.float32)
    image[12:28, 12:28] = height
    return image


def test_edges_run_along_the_border_of_a_square() -> None:
    lines = display.edges(square(), np.ones((40, 40), dtype=bool)) > 0
    assert lines[20, 11:13].any()
    assert lines[20, 27:29].any()
    assert not lines[18:22, 15:25].any()
    assert not lines[:6].any()


def test_no_edges_in_nothing_nor_outside_the_mask() -> None:
    mask = np.ones((40, 40), dtype=bool)
    assert not display.edges(np.zeros((40, 40), dtype=np.float32), mask).any()
    assert not display.edges(square(), ~mask).any()
    mask[:, 20:] = False
    assert not display.edges(square(), mask)[:, 20:].any()


def test_outline_follows_the_threshold() -> None:
    line = display.outline(square(height=30.0)) > 0.5
    assert line[20, 11:13].any()
    assert not line[15:25, 15:25].any()
    assert not line[:8].any()
    assert not display.outline(square(height=1.0)).any()


def test_paint_mixes_by_opacity() -> None:
    picture = np.zeros((1, 2, 3), dtype=np.float32)
    painted = display.painted(picture, np.array([[0.0, 0.5]], dtype=np.float32), (1.0, 0.5, 0.0))
    assert painted[0].tolist() == [[0, 0, 0], [0.5, 0.25, 0]]
