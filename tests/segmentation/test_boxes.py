from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from wsreg.errors import InputError
from wsreg.segmentation.boxes import boxes_from_masks, jittered_boxes, read_boxes

NAMES = ("left-femur", "right-femur")


def test_a_box_ends_at_the_outermost_pixel_centres() -> None:
    masks = torch.zeros(2, 8, 10, dtype=torch.bool)
    masks[0, 2:5, 3:9] = True
    boxes = boxes_from_masks(masks)
    assert boxes[0].tolist() == [3.0, 2.0, 8.0, 4.0]
    assert bool(boxes[1].isnan().all())


def test_probabilities_count_from_one_half_on() -> None:
    probabilities = torch.full((1, 4, 4), 0.4)
    probabilities[0, 1, 2] = 0.6
    assert boxes_from_masks(probabilities)[0].tolist() == [2.0, 1.0, 2.0, 1.0]


def test_jitter_moves_sides_no_further_than_asked_and_keeps_their_order() -> None:
    boxes = torch.tensor([[50.0, 50.0, 52.0, 90.0]]).expand(500, 4)
    moved = jittered_boxes(boxes, 10.0, torch.Generator().manual_seed(0))
    assert bool((moved[:, :2] <= moved[:, 2:]).all())
    assert (moved[:, [1, 3]] - boxes[:, [1, 3]]).abs().max() <= 10.0
    assert (moved[:, 3] - 90.0).abs().max() > 9.0


def test_jitter_leaves_absent_regions_absent() -> None:
    boxes = torch.full((1, 4), math.nan)
    assert bool(jittered_boxes(boxes, 10.0, torch.Generator()).isnan().all())


def test_reads_boxes_in_the_order_of_the_regions(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"a": {"right-femur": [1, 2, 3, 4]}}), encoding="utf-8")
    boxes = read_boxes(path, ["a"], NAMES)["a"]
    assert bool(boxes[0].isnan().all())
    assert boxes[1].tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"b": {}}, "lacks a"),
        ({"a": {"skull": [1, 2, 3, 4]}}, "must be of left-femur, right-femur, got skull"),
        ({"a": {"left-femur": [5, 2, 3, 4]}}, "left, top, right, bottom"),
        ({"a": {"left-femur": [1, 2, 3]}}, "left, top, right, bottom"),
        ({"a": 3}, "must name ROIs"),
    ],
)
def test_refuses_boxes_that_make_no_sense(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_boxes(path, ["a"], NAMES)
