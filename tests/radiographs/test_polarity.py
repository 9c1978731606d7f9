from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsreg.radiographs.polarity import (
    centre_contrast,
    edge_correlation,
    look,
    pocket_skewness,
    polarity_of,
    ranks,
)

Expose = Callable[..., NDArray[Any]]
ROWS, COLUMNS = np.mgrid[:100, :100].astype(float)
EVERYWHERE = np.ones((100, 100), dtype=bool)


def polarity_log_odds(pixels: NDArray[Any], field: NDArray[np.bool_] | None = None) -> float:
    image = torch.from_numpy(pixels.astype(np.float32))
    inside = torch.ones_like(image, dtype=torch.bool) if field is None else torch.from_numpy(field)
    return polarity_of(image, inside, blocked=~inside).log_odds


def test_centre_contrast_by_hand() -> None:
    levels = np.zeros((40, 40))
    levels[8:-8, 8:-8] = 1.0
    whole = np.ones((40, 40), dtype=bool)
    assert centre_contrast(levels, whole) == pytest.approx(1.0)
    assert centre_contrast(1 - levels, whole) == pytest.approx(-1.0)
    assert centre_contrast(np.zeros_like(levels), whole) == 0.0


def test_ranks_by_hand() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 7.0, 3.0])).tolist() == [3.0, 1.0, 3.0, 5.0, 3.0]


def test_edges_of_a_round_body_are_steep_where_it_is_thin() -> None:
    chord = np.sqrt(np.clip(60.0**2 - (COLUMNS - 49.5) ** 2, 0, None)) / 60
    assert edge_correlation(chord, EVERYWHERE) < -0.9
    assert edge_correlation(1 - chord, EVERYWHERE) > 0.9
    assert edge_correlation(0 * chord, EVERYWHERE) == 0.0


def test_pockets_of_air_are_deep() -> None:
    pocket = np.exp(-((COLUMNS - 50) ** 2 + (ROWS - 40) ** 2) / (2 * 6.0**2))
    assert pocket_skewness(1 - pocket, EVERYWHERE) < -0.5
    assert pocket_skewness(pocket, EVERYWHERE) > 0.5
    assert pocket_skewness(0 * pocket, EVERYWHERE) == 0.0


def test_every_sign_turns_with_the_polarity(trunk: NDArray[Any], expose: Expose) -> None:
    counts = expose(trunk)[::2, ::2]
    field = np.hypot(*(np.mgrid[:128, :128] - 60)) < 58
    assert look(counts, field).log_odds == pytest.approx(-look(-counts, field).log_odds, rel=1e-3)


@pytest.mark.parametrize(
    "cut",
    [
        np.s_[:, :], np.s_[:, :128], np.s_[:, 128:], np.s_[128:], np.s_[:128, :128],
        np.s_[40:200, 60:240],
    ],
)  # fmt: skip
def test_polarity_does_not_depend_on_the_cut_or_the_scale(
    trunk: NDArray[Any], expose: Expose, cut: Any
) -> None:
    counts = expose(trunk)[cut]
    logarithm = np.log(counts + 1)
    for pixels in (counts, np.sqrt(counts), logarithm):
        assert polarity_log_odds(pixels) < 0 or pixels is logarithm
        assert polarity_log_odds(-pixels) > 0 or pixels is logarithm
        assert polarity_log_odds(pixels) < 2.0  # at most unsure


def test_shadow_of_a_collimator_is_dense_but_a_drawn_frame_is_not() -> None:
    draw = np.random.default_rng(0)
    field = np.hypot(ROWS - 50, COLUMNS - 50) < 40
    image = np.where(field, draw.normal(100, 5, (100, 100)), draw.normal(10, 5, (100, 100)))
    assert polarity_log_odds(image, field) < -4
    assert polarity_log_odds(-image, field) > 4
    drawn = np.where(field, image, 0.0)
    assert abs(polarity_log_odds(drawn, field)) < 2.0


def test_nothing_to_see() -> None:
    draw = np.random.default_rng(0)
    assert polarity_log_odds(np.full((50, 50), 3.0)) == 0.0
    assert polarity_log_odds(draw.normal(5, 1, (4, 4))) == 0.0
    assert abs(polarity_log_odds(draw.normal(5, 1, (128, 128)))) < 2.0
