from __future__ import annotations

import math

from wsreg.experiments.dice_comparisons import dice_medians, dice_tests
from wsreg.experiments.dice_tables import DiceScore, Images
from wsreg.experiments.table import ResultTable


def score(network: str, number: int, dice: float, images: Images = "X-rays") -> DiceScore:
    return DiceScore(
        network=network, images=images, specimen="AB"[number % 2], projection=f"{number:03d}",
        dice={"pelvis": dice},
    )  # fmt: skip


def texts(table: ResultTable) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.blocks[0].rows]


SCORES = [
    *(score("U-Net", number, 0.8 + 0.01 * number) for number in range(7)),
    *(score("MedSAM", number, 0.7 + 0.01 * number) for number in range(6)),
    score("MedSAM", 6, math.nan),
    score("U-Net", 0, 0.5, "rendered"),
]


def test_medians_are_of_images_that_have_a_dice() -> None:
    first, second, third = texts(dice_medians(SCORES))
    assert first[:3] == ["X-rays", "U-Net", "7"]
    assert first[3].startswith("0.830 [0.8")
    assert second[:3] == ["X-rays", "MedSAM", "6"]
    assert second[3].startswith("0.725 [0.7")
    assert third == ["rendered", "U-Net", "1", "0.500 [0.500, 0.500]"]


def test_networks_are_compared_on_the_same_images() -> None:
    (row,) = texts(dice_tests(SCORES))
    assert row[:7] == ["X-rays", "MedSAM", "U-Net", "6", "0", "6", "−0.100"]
    assert row[7:] == ["0.031", "0.031"]  # 2 of the 64 signs of six differences


def test_one_network_alone_has_nothing_to_be_compared_with() -> None:
    assert texts(dice_tests([one for one in SCORES if one.network == "U-Net"])) == []
