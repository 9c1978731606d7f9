from __future__ import annotations

import pytest

from wsreg.cohort.presets import PRESETS, SPECIMENS, person_of
from wsreg.errors import InputError


def test_the_paper_preset_is_that_of_the_data_set() -> None:
    paper = PRESETS["paper"]
    assert sum(paper.xrays.values()) == 366
    assert paper.xrays["17-1882"] == 111
    assert paper.ct_mm == 1.0
    camera = paper.camera
    assert (camera.rows, camera.columns) == (1536, 1536)
    assert camera.pixel_spacing_mm == pytest.approx((0.194, 0.194))
    assert camera.source_to_detector_mm == 1020.0


def test_small_images_cover_the_same_detector() -> None:
    small, paper = PRESETS["small"].camera, PRESETS["paper"].camera
    assert small.rows * small.pixel_spacing_mm[0] == pytest.approx(
        paper.rows * paper.pixel_spacing_mm[0]
    )


def test_people_differ_between_specimens_and_seeds_and_are_the_same_again() -> None:
    people = [person_of(name, 0) for name in SPECIMENS]
    assert len({person.scores for person in people}) == 6
    assert {person.sex for person in people} == {"male", "female"}
    assert person_of("17-1882", 0) == people[0]
    assert person_of("17-1882", 1) != people[0]


def test_an_unknown_specimen_is_refused_with_a_list() -> None:
    with pytest.raises(InputError, match=r"one of 17-1882, .*got '17-1883'"):
        person_of("17-1883", 0)
