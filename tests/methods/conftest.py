from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset as CohortPreset
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.methods.artefact import make_artefact
from wsreg.methods.preset import PRESETS, Preset
from wsreg.methods.run import artefacts_of
from wsreg.methods.table import METHODS
from wsreg.specimens.specimen import Detail

SPECIMEN, OTHER = "17-1882", "18-1109"
COARSE = CohortPreset(
    name="coarse",
    xrays={SPECIMEN: 2, OTHER: 1},
    ct_mm=6.0,
    image_px=48,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, with two X-rays and one."""
    path = tmp_path_factory.mktemp("cohort") / "cohort.h5"
    build_cohort(path, COARSE, 0, (SPECIMEN, OTHER), workers=1)
    return path


@pytest.fixture(scope="session")
def sample(cohort: Path) -> Sample:
    with DeepFluoroFile(cohort) as file:
        return next(file.samples(SPECIMEN))


@pytest.fixture(scope="session")
def tiny() -> Preset:
    return PRESETS["tiny"]


@pytest.fixture(scope="session")
def folders(
    cohort: Path, tiny: Preset, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Path]:
    """Everything that any method trains for the specimen, after two steps."""
    root = tmp_path_factory.mktemp("artefacts")
    made: dict[str, Path] = {}
    for method in METHODS.values():
        for artefact in artefacts_of(method, (SPECIMEN,)):
            made[artefact.name] = root / artefact.name
            make_artefact(artefact, cohort, made[artefact.name], made, tiny)
    return made
