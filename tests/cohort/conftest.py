from __future__ import annotations

import pytest

from wsreg.cohort.presets import person_of
from wsreg.specimens.specimen import Detail, Specimen, build_specimen


@pytest.fixture(scope="session")
def specimen() -> Specimen:
    """A person of the cohorts on a grid that is quick to fill."""
    return build_specimen(person_of("17-1882", 0), Detail(bone_mm=2.0, body_mm=5.0))
