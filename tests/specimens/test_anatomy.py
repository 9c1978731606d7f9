from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.specimens.anatomy import LANDMARK_NODES, build_anatomy, surface_distance_mm
from wsreg.specimens.person import Person, person_from_record, person_to_record, sample_person


def test_fourteen_landmarks_in_pairs(mean_person: Person) -> None:
    anatomy = build_anatomy(mean_person)
    names = {name[:-2] for name in anatomy.landmarks_mm}
    assert names == {"ASIS", "FH", "GSN", "IOF", "MOF", "SPS", "IPS"}
    for name in names:
        left, right = anatomy.landmarks_mm[f"{name}-l"], anatomy.landmarks_mm[f"{name}-r"]
        assert left[0] > right[0]
        np.testing.assert_allclose(left * [-1, 1, 1], right, atol=9.0)
    assert len(LANDMARK_NODES) == 12


def test_the_frame_is_that_of_a_supine_patient(mean_person: Person) -> None:
    marks = build_anatomy(mean_person).landmarks_mm
    np.testing.assert_allclose(marks["FH-l"] + marks["FH-r"], 0.0, atol=1e-9)
    spines = marks["ASIS-l"] + marks["ASIS-r"]
    symphysis = marks["SPS-l"] + marks["SPS-r"]
    assert abs(spines[1] - symphysis[1]) < 1e-6  # the anterior pelvic plane is upright
    assert spines[2] > symphysis[2]
    assert spines[1] < 0.0  # in front of the hips


def test_tilt_tips_the_spines_forward(mean_person: Person) -> None:
    level = build_anatomy(mean_person).landmarks_mm
    tipped = build_anatomy(dataclasses.replace(mean_person, pelvic_tilt_deg=10.0)).landmarks_mm
    assert tipped["ASIS-l"][1] < level["ASIS-l"][1] - 5.0


@pytest.mark.parametrize(("bone", "head", "side"), [("left", "FH-l", 1), ("right", "FH-r", -1)])
def test_femurs_hang_from_their_heads_and_turn_about_them(
    mean_person: Person, bone: str, head: str, side: int
) -> None:
    straight = build_anatomy(mean_person)
    knee = _knee(straight.bones[f"{bone}-femur"][0].vertices_mm)
    centre = straight.landmarks_mm[head]
    np.testing.assert_allclose(knee[:2], centre[:2], atol=3.0)
    near = np.linalg.norm(straight.bones[f"{bone}-femur"][0].vertices_mm - centre, axis=1).min()
    # the pit of the ligament dips below the sphere
    np.testing.assert_allclose(near, straight.head_radius_mm, atol=4.0)
    turned: dict[str, Any] = {f"{bone}_femur_deg": (20.0, 10.0, 0.0)}
    bent = build_anatomy(dataclasses.replace(mean_person, **turned))
    np.testing.assert_allclose(bent.landmarks_mm[head], centre)
    away = _knee(bent.bones[f"{bone}-femur"][0].vertices_mm) - knee
    assert away[1] < -100.0  # flexion brings the knee forward
    assert side * away[0] > 40.0  # abduction brings it outward


def test_a_woman_has_a_wider_subpubic_angle(mean_person: Person) -> None:
    def width(person: Person) -> float:
        marks = build_anatomy(person).landmarks_mm
        return float(marks["IOF-l"][0] - marks["IOF-r"][0])

    assert width(dataclasses.replace(mean_person, sex="female")) > width(mean_person) + 1.0


def test_the_spine_stands_on_the_sacrum(mean_person: Person) -> None:
    anatomy = build_anatomy(mean_person)
    spine = np.concatenate([part.vertices_mm for part in anatomy.bones["vertebrae"]])
    sacrum = anatomy.bones["upper-sacrum"][0].vertices_mm
    assert sacrum[:, 2].max() - 25.0 < spine[:, 2].min() < sacrum[:, 2].max()
    assert 100.0 < np.ptp(spine[:, 2]) < 150.0
    assert abs(spine[:, 0].mean()) < 4.0


def test_the_same_generator_draws_the_same_person_and_a_record_keeps_it() -> None:
    people = [sample_person(np.random.default_rng(3), "female") for _ in range(2)]
    assert people[0] == people[1]
    assert person_from_record(json.loads(json.dumps(person_to_record(people[0])))) == people[0]


def test_distance_between_a_surface_and_itself_shifted(mean_person: Person) -> None:
    sacrum = build_anatomy(mean_person).bones["upper-sacrum"]
    shift = np.eye(4)
    shift[2, 3] = 1000.0
    assert surface_distance_mm(sacrum, sacrum) == 0.0
    assert 850.0 < surface_distance_mm(sacrum, [sacrum[0].moved(shift)]) < 1000.0


def _knee(femur: NDArray[np.float64]) -> NDArray[np.float64]:
    below: NDArray[np.float64] = femur[femur[:, 2] < femur[:, 2].min() + 60.0].mean(axis=0)
    return below
