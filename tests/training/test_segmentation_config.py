from __future__ import annotations

import dataclasses
import math

import pytest

from wsreg.errors import InputError
from wsreg.training.config import FitConfig
from wsreg.training.segmentation_config import (
    SegmentationConfig,
    augmented_fraction,
    begun_config,
    paper_config,
    people_config,
    size_at,
    small_config,
)


def of_steps(steps: int, coarse_px: int = 0) -> SegmentationConfig:
    return SegmentationConfig(
        size_px=32, channels=(4, 8), coarse_px=coarse_px, fit=FitConfig(steps=steps)
    )


def test_images_grow_harder_until_half_of_the_training_is_done() -> None:
    fractions = [augmented_fraction(of_steps(100), step) for step in (0, 25, 50, 99)]
    assert fractions == pytest.approx([0.0, 0.25, 0.5, 0.5])


def test_the_first_steps_see_coarser_pixels() -> None:
    assert [size_at(of_steps(9, coarse_px=16), step) for step in range(9)] == [16] * 6 + [32] * 3
    assert size_at(of_steps(9), 0) == 32
    assert small_config().coarse_px == 64
    assert small_config(architecture="medsam").coarse_px == 0


def test_what_begins_with_people_sees_their_pixels_and_x_rays() -> None:
    people, begun = people_config(), begun_config()
    assert people.size_px == begun.size_px == 96
    assert (people.coarse_px, begun.coarse_px) == (64, 0)
    assert people.xray_fraction == 0.0 < begun.xray_fraction
    assert begun.fit.steps < people.fit.steps
    assert begun.fit.learning_rate < people.fit.learning_rate
    assert people_config("medsam").coarse_px == 0


def test_the_papers_settings() -> None:
    paper = paper_config(xrays=20).fit
    assert (paper.optimiser, paper.learning_rate, paper.schedule) == ("adam", 0.1, "constant")
    assert paper.steps == 500 * math.ceil(20 / 8)
    medsam = paper_config(xrays=20, architecture="medsam").fit
    assert (medsam.optimiser, medsam.learning_rate, medsam.steps) == ("adamw", 1e-3, 1200)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="size_px must be a multiple of 32"):
        SegmentationConfig(size_px=100)
    with pytest.raises(InputError, match=r"turned_fraction must be from 0 to 1, got 1\.5"):
        dataclasses.replace(of_steps(9), turned_fraction=1.5)
    with pytest.raises(InputError, match="output of a MedSAM must be sigmoid"):
        dataclasses.replace(of_steps(9), architecture="medsam", output="softmax")
