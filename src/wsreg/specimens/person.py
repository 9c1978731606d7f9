"""What makes one person different from another, drawn first and applied afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Sex = Literal["female", "male"]

MODES = 26
MAX_SCORE = 2.0
SEX_SCORE = 0.7
"""How many standard deviations a woman's or man's subpubic angle lies from the model's mean."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person.  Angles in degrees, lengths in mm.

    Args:
        sex: shifts the shape towards a wider or narrower subpubic angle.
        scores: of the shape model's modes, in standard deviations.
        pelvic_tilt_deg: how far the front of the pelvis tips down from upright.
        lordosis: 1 is the mean curve of the lumbar spine.
        vertebra_scale: size of the vertebrae relative to the mean.
        left_femur_deg, right_femur_deg: (flexion, abduction, outward rotation) about the head.
        bone_density: of trabecular bone, 1 is a healthy adult.
        cortex: thickness of cortical bone, 1 is a healthy adult.
        fat_mm: thickness of the layer under the skin at the front.
        muscle_mm: thickness of muscle around the hips.
        tissue_seed: of texture, bowel and CT noise.
    """

    sex: Sex
    scores: tuple[float, ...]
    pelvic_tilt_deg: float
    lordosis: float
    vertebra_scale: float
    left_femur_deg: tuple[float, float, float]
    right_femur_deg: tuple[float, float, float]
    bone_density: float
    cortex: float
    fat_mm: float
    muscle_mm: float
    tissue_seed: int


def sample_person(generator: np.random.Generator, sex: Sex) -> Person:
    """Draw a person of the age and habits of orthopaedic patients."""
    scores = np.clip(generator.standard_normal(MODES), -MAX_SCORE, MAX_SCORE)
    stature = 0.97 if sex == "female" else 1.03

    def femur() -> tuple[float, float, float]:
        return tuple(generator.normal((4.0, 3.0, 5.0), (4.0, 3.0, 8.0)).tolist())

    return Person(
        sex=sex,
        scores=tuple(scores.tolist()),
        pelvic_tilt_deg=generator.normal(4.0, 4.0),
        lordosis=generator.normal(1.0, 0.15),
        vertebra_scale=stature * generator.normal(1.0, 0.03),
        left_femur_deg=femur(),
        right_femur_deg=femur(),
        bone_density=generator.uniform(0.65, 1.15),
        cortex=generator.uniform(0.8, 1.2),
        fat_mm=generator.uniform(14.0, 32.0) if sex == "female" else generator.uniform(10.0, 26.0),
        muscle_mm=generator.uniform(26.0, 38.0),
        tissue_seed=int(generator.integers(2**31)),
    )


def person_to_record(person: Person) -> dict[str, Any]:
    """Return the person as plain values that JSON can hold."""
    return dataclasses.asdict(person)


def person_from_record(record: Mapping[str, Any]) -> Person:
    """Return the person of a record, also after a way through JSON."""
    tuples = ("scores", "left_femur_deg", "right_femur_deg")
    return Person(**{**record, **{name: tuple(record[name]) for name in tuples}})
