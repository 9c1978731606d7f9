from __future__ import annotations

import math

import pytest

from wsreg.errors import InputError
from wsreg.experiments.dice_tables import DiceScore, Images, table_2
from wsreg.experiments.table import ResultTable


def score(network: str, images: Images, specimen: str, *dice: float) -> DiceScore:
    named = dict(zip(("pelvis", "femur"), dice, strict=True))
    return DiceScore(
        network=network, images=images, specimen=specimen, projection="000", dice=named
    )


SCORES = [
    score("U-Net", "X-rays", "A", 0.8, math.nan),
    score("U-Net", "X-rays", "B", 0.9, 0.7),
    score("U-Net", "rendered", "A", 0.5, 0.7),
]


def texts(table: ResultTable, block: int = 0) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.blocks[block].rows]


def test_a_region_that_is_not_there_is_left_out() -> None:
    assert SCORES[0].mean == 0.8
    assert SCORES[1].mean == pytest.approx(0.8)
    assert math.isnan(score("U-Net", "X-rays", "A", math.nan, math.nan).mean)


def test_table_2_beside_the_papers() -> None:
    table = table_2(SCORES)[0]
    assert [column.title for column in table.columns] == [
        "Images", "U-Net", "U-Net, n", "MedSAM", "MedSAM, n",
    ]  # fmt: skip
    assert texts(table) == [
        ["X-rays", "0.800 ± 0.000", "2", "", ""], ["rendered", "0.600 ± 0.000", "1", "", ""],
    ]  # fmt: skip
    assert texts(table, 1)[0] == ["X-rays", "0.81 ± 0.07", "", "0.85 ± 0.07", ""]


def test_images_without_a_region_are_not_counted() -> None:
    nothing = score("U-Net", "X-rays", "C", math.nan, math.nan)
    assert texts(table_2([*SCORES, nothing])[0]) == texts(table_2(SCORES)[0])


def test_who_is_told_boxes_is_said() -> None:
    told = table_2([*SCORES, score("MedSAM", "X-rays", "A", 0.9, 0.9)])[0].notes
    assert any("boxes around the true masks" in note for note in told)
    assert not any("boxes" in note for note in table_2(SCORES)[0].notes)


def test_folds_and_regions() -> None:
    _, folds, regions = table_2(SCORES)
    assert texts(folds) == [
        ["A", "0.800 ± 0.000", "0.600 ± 0.000"], ["B", "0.800 ± 0.000", "–"],
    ]  # fmt: skip
    assert texts(regions) == [
        ["pelvis", "0.850 ± 0.050", "0.500 ± 0.000"], ["femur", "0.700 ± 0.000", "0.700 ± 0.000"],
    ]  # fmt: skip


def test_without_scores_there_is_no_table() -> None:
    with pytest.raises(InputError, match="at least 1, got none"):
        table_2([])
