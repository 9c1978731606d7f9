from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsreg.radiographs.collimation import detect_field

Expose = Callable[..., NDArray[Any]]

ROWS, COLUMNS = np.mgrid[:256, :256]
TURNED_X = (COLUMNS - 128) * np.cos(0.14) + (ROWS - 128) * np.sin(0.14)
TURNED_Y = (ROWS - 128) * np.cos(0.14) - (COLUMNS - 128) * np.sin(0.14)

FIELDS = {
    "rectangle": (abs(ROWS - 120) < 95) & (abs(COLUMNS - 135) < 80),
    "turned": (abs(TURNED_Y) < 100) & (abs(TURNED_X) < 85),
    "one blade": COLUMNS > 60,
    "two blades": (ROWS > 30) & (ROWS < 220),
    "circle": np.hypot(ROWS - 125, COLUMNS - 128) < 124,
    "small circle": np.hypot(ROWS - 134, COLUMNS - 124) < 90,
}

AS_SAVED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "counts": lambda counts: counts,
    "line integral": lambda counts: -np.log((counts + 1) / counts.max()),
    "8-bit bright bone": lambda counts: display(-np.log(counts + 1)),
}


def display(image: NDArray[Any]) -> NDArray[Any]:
    low, high = np.percentile(image, [0.5, 99.5])
    grey: NDArray[Any] = np.round(255 * np.clip((image - low) / (high - low), 0, 1))
    return grey


def detect(image: NDArray[Any], **kwargs: Any) -> NDArray[np.bool_]:
    return detect_field(torch.from_numpy(image.astype(np.float32)), **kwargs).numpy()


def assert_is_inside(found: NDArray[np.bool_], field: NDArray[np.bool_]) -> None:
    """Nothing outside the field but at a turned edge, and a margin of about three pixels inside."""
    assert (found & ~field).sum() <= 0.005 * field.sum()
    assert (found & field).sum() > 0.93 * field.sum()


@pytest.mark.parametrize("saved", AS_SAVED)
@pytest.mark.parametrize("name", FIELDS)
def test_finds_each_collimator(trunk: NDArray[Any], expose: Expose, name: str, saved: str) -> None:
    image = AS_SAVED[saved](expose(trunk, FIELDS[name]))
    assert_is_inside(detect(image), FIELDS[name])


@pytest.mark.parametrize("saved", AS_SAVED)
@pytest.mark.parametrize("crop", [0, 60])
def test_keeps_everything_without_a_collimator(
    trunk: NDArray[Any], expose: Expose, saved: str, crop: int
) -> None:
    image = AS_SAVED[saved](expose(trunk))[:, crop : 256 - crop]
    assert detect(image).all()


@pytest.mark.parametrize("saved", ["noise-free line integral", "noise-free transmission"])
def test_direct_exposure_around_a_body_is_kept(trunk: NDArray[Any], saved: str) -> None:
    image = trunk if saved == "noise-free line integral" else np.exp(-trunk)
    assert detect(image).all()


@pytest.mark.parametrize("saturated", [False, True])
def test_ball_in_air_is_not_a_circular_field(expose: Expose, saturated: bool) -> None:
    chord = 2 * np.sqrt(np.clip(90.0**2 - (ROWS - 128) ** 2 - (COLUMNS - 128) ** 2, 0, None))
    counts = expose(0.02 * chord)
    if saturated:
        counts = np.minimum(counts, 0.8 * np.median(counts[:20]))
    assert detect(counts).all()
    assert detect(0.02 * chord).all()


@pytest.mark.parametrize("padding", [0.0, 255.0])
def test_constant_padding_beside_a_display_image(
    trunk: NDArray[Any], expose: Expose, padding: float
) -> None:
    field = FIELDS["two blades"]
    image = np.where(field, 30 + 0.8 * display(-np.log(expose(trunk) + 1)), padding)
    assert_is_inside(detect(image), field)


def test_opaque_tool_and_table_edge_are_kept(trunk: NDArray[Any], expose: Expose) -> None:
    tool = np.where(abs(TURNED_X) < 4, 6.0, 0.0)
    table = np.where(COLUMNS > 50, 0.6, 0.0)
    assert detect(expose(trunk + tool + table)).all()


def test_known_polarity_decides_where_the_image_cannot(expose: Expose) -> None:
    field = FIELDS["rectangle"]
    flat = expose(2 + 0.0 * ROWS, field)
    assert_is_inside(detect(flat, bright_is_air=True), field)
    assert detect(flat, bright_is_air=False).all()


HALF = np.hypot(ROWS - 125, COLUMNS - 128) < 110
CUTS: dict[str, Any] = {
    "left half": np.s_[:, :128], "right half": np.s_[:, 128:], "lower half": np.s_[128:],
    "quarter": np.s_[:128, 128:], "off centre": np.s_[90:250, 20:200],
}  # fmt: skip


@pytest.mark.parametrize("saved", AS_SAVED)
@pytest.mark.parametrize("cut", CUTS)
def test_part_of_a_round_field(trunk: NDArray[Any], expose: Expose, cut: str, saved: str) -> None:
    image = AS_SAVED[saved](expose(trunk, HALF))
    assert_is_inside(detect(image[CUTS[cut]]), HALF[CUTS[cut]])


@pytest.mark.parametrize("name", ["circle", "rectangle", "turned"])
@pytest.mark.parametrize(("high", "wide"), [(2, 1), (1, 2), (3, 2)])
def test_shapes_are_looked_for_in_millimetres(
    trunk: NDArray[Any], expose: Expose, name: str, high: int, wide: int
) -> None:
    rows, columns = 256 // high * high, 256 // wide * wide

    def binned(image: NDArray[Any]) -> NDArray[Any]:
        blocks = image[:rows, :columns].reshape(rows // high, high, columns // wide, wide)
        means: NDArray[Any] = blocks.mean(axis=(1, 3))
        return means

    image = binned(expose(trunk, FIELDS[name]))
    found = detect(image, pixel_spacing_mm=(0.3 * high, 0.3 * wide))
    # Pixels that are half in the field count as inside.
    assert_is_inside(found, binned(FIELDS[name].astype(float)) >= 0.5)


@pytest.mark.parametrize("turn_deg", [25.0, 40.0])
def test_rectangle_turned_far(trunk: NDArray[Any], expose: Expose, turn_deg: float) -> None:
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    x, y = (COLUMNS - 128) * c + (ROWS - 128) * s, (ROWS - 128) * c - (COLUMNS - 128) * s
    field = (abs(x) < 70) & (abs(y) < 85)
    assert_is_inside(detect(expose(trunk, field)), field)


def test_circle_cut_by_blades(trunk: NDArray[Any], expose: Expose) -> None:
    field = FIELDS["circle"] & (ROWS > 50) & (ROWS < 205)
    assert_is_inside(detect(expose(trunk, field)), field)


@pytest.mark.parametrize("ink", [0.0, 1.0])
@pytest.mark.parametrize("saved", AS_SAVED)
def test_text_beyond_the_field_does_not_count(
    trunk: NDArray[Any], expose: Expose, saved: str, ink: float
) -> None:
    field = FIELDS["small circle"]
    image = AS_SAVED[saved](expose(trunk, field))
    letters = np.random.default_rng(3).random((256, 256)) < 0.5
    corner = (ROWS % 10 < 7) & (COLUMNS % 7 < 5) & ((ROWS < 40) | (ROWS > 236))
    corner &= (COLUMNS < 60) | (COLUMNS > 200)
    image = np.where(letters & corner, image.min() + ink * np.ptp(image), image)
    assert_is_inside(detect(image), field)


def test_field_that_leaves_the_smaller_part(trunk: NDArray[Any], expose: Expose) -> None:
    field = COLUMNS > 150
    assert_is_inside(detect(expose(trunk, field)), field)


def test_size_and_flatness_limits() -> None:
    assert detect_field(torch.rand(20, 300)).all()
    assert detect_field(torch.ones(64, 64)).all()
    assert detect_field(torch.rand(70, 300)).shape == (70, 300)
