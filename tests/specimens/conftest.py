from __future__ import annotations

import numpy as np
import pytest

from wsreg.specimens.person import MODES, Person
from wsreg.specimens.specimen import Detail, Specimen, build_specimen
from wsreg.specimens.surface import Surface


@pytest.fixture(scope="session")
def mean_person() -> Person:
    """The mean of the shape model, lying straight."""
    return Person(
        sex="male",
        scores=(0.0,) * MODES,
        pelvic_tilt_deg=0.0,
        lordosis=1.0,
        vertebra_scale=1.0,
        left_femur_deg=(0.0, 0.0, 0.0),
        right_femur_deg=(0.0, 0.0, 0.0),
        bone_density=1.0,
        cortex=1.0,
        fat_mm=15.0,
        muscle_mm=30.0,
        tissue_seed=7,
    )


@pytest.fixture(scope="session")
def specimen(mean_person: Person) -> Specimen:
    """The mean person on a grid that is quick to fill."""
    return build_specimen(mean_person, Detail(bone_mm=1.5, body_mm=4.0))


@pytest.fixture
def cube() -> Surface:
    """The cube from (10,10,10) to (20,20,20) mm."""
    corners = np.array([[x, y, z] for x in (10, 20) for y in (10, 20) for z in (10, 20)], float)
    quads = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return Surface(vertices_mm=corners, triangles=np.array(triangles))
