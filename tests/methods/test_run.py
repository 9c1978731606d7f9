from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import pytest

from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial
from wsreg.methods.diffdrr import DiffDrr
from wsreg.methods.preset import Preset
from wsreg.methods.run import (
    artefacts_of,
    check_specimens,
    held_trials,
    missing_artefacts,
    run_specimen,
)
from wsreg.methods.table import METHODS
from wsreg.registration.result import RegistrationResult

SPECIMEN = "17-1882"


class Counted(DiffDrr):
    """DiffDRR that counts what it registers."""

    def registrar(
        self, folders: Mapping[str, Path], preset: Preset
    ) -> Callable[[Sample], RegistrationResult]:
        run = super().registrar(folders, preset)

        def counted(sample: Sample) -> RegistrationResult:
            REGISTERED.append(sample.projection)
            return run(sample)

        return counted


REGISTERED: list[str] = []


def test_a_run_goes_on_where_it_was(cohort: Path, tiny: Preset, tmp_path: Path) -> None:
    REGISTERED.clear()
    journal, seen = tmp_path / "trials.jsonl", list[Trial]()
    first = run_specimen(Counted(), cohort, SPECIMEN, {}, tiny, journal, xrays=1)
    both = run_specimen(Counted(), cohort, SPECIMEN, {}, tiny, journal, progress=seen.append)
    again = run_specimen(Counted(), cohort, SPECIMEN, {}, tiny, journal)
    assert REGISTERED == ["000", "001"]
    assert [trial.projection for trial in both] == ["000", "001"]
    assert [trial.errors for trial in both] == [trial.errors for trial in again]
    assert first[0].errors == both[0].errors
    assert seen == both
    held = held_trials(Counted(), cohort, SPECIMEN, {}, tiny, journal)
    assert list(held) == [(SPECIMEN, "000"), (SPECIMEN, "001")]


def test_a_journal_is_of_one_method(cohort: Path, tiny: Preset, tmp_path: Path) -> None:
    journal = tmp_path / "trials.jsonl"
    run_specimen(DiffDrr(), cohort, SPECIMEN, {}, tiny, journal, xrays=1)
    with pytest.raises(InputError, match="differs in method"):
        run_specimen(METHODS["ours"], cohort, SPECIMEN, {}, tiny, journal, xrays=1)


def test_what_is_missing(
    cohort: Path, tiny: Preset, folders: Mapping[str, Path], tmp_path: Path
) -> None:
    needed = artefacts_of(METHODS["wsreg-unet"], (SPECIMEN,))
    assert missing_artefacts(needed, cohort, folders, tiny) == ()
    empty = {one.name: tmp_path / one.name for one in needed}
    assert missing_artefacts(needed, cohort, empty, tiny) == needed


@pytest.fixture
def broken(cohort: Path, tmp_path: Path) -> Path:
    """The cohort, whose second specimen has lost a group."""
    path = tmp_path / "broken.h5"
    shutil.copy(cohort, path)
    with h5py.File(path, "r+") as file:
        del file["18-1109/vol-landmarks"]
    return path


def test_whole_files_pass(cohort: Path) -> None:
    with DeepFluoroFile(cohort) as file:
        assert check_specimens(file, (), learnt=True) == (SPECIMEN, "18-1109")
        assert check_specimens(file, (SPECIMEN,), learnt=False) == (SPECIMEN,)
        with pytest.raises(InputError, match="no specimen '18-2800', it has 17-1882, 18-1109"):
            check_specimens(file, ("18-2800",), learnt=False)


def test_it_is_told_what_lacks_and_what_can_be_run(broken: Path) -> None:
    with DeepFluoroFile(broken) as file:
        assert check_specimens(file, (SPECIMEN,), learnt=False) == (SPECIMEN,)
        message = (
            "specimen 18-1109 cannot be used: .* must have the group vol-landmarks, which is "
            "missing; --specimen 17-1882 can still be run$"
        )
        with pytest.raises(InputError, match=message):
            check_specimens(file, (), learnt=False)
        with pytest.raises(
            InputError, match="--specimen 17-1882 can still be run by methods that "
        ):
            check_specimens(file, (SPECIMEN,), learnt=True)


def test_specimens_are_registered_once_in_the_order_of_the_file(cohort: Path) -> None:
    with DeepFluoroFile(cohort) as file:
        named = ("18-1109", SPECIMEN, "18-1109")
        assert check_specimens(file, named, learnt=True) == (SPECIMEN, "18-1109")
        assert check_specimens(file, named[:1] * 2, learnt=False) == ("18-1109",)


def test_those_registered_need_landmarks(cohort: Path, tmp_path: Path) -> None:
    path = tmp_path / "bare.h5"
    shutil.copy(cohort, path)
    with h5py.File(path, "r+") as file:
        for name in list(file["18-1109/vol-landmarks"]):
            del file[f"18-1109/vol-landmarks/{name}"]
    with DeepFluoroFile(path) as opened:
        with pytest.raises(InputError, match="18-1109 cannot be used: it must have landmarks"):
            check_specimens(opened, (), learnt=False)
        assert check_specimens(opened, (SPECIMEN,), learnt=True) == (SPECIMEN,)


def test_nobody_is_left_to_learn_from(cohort: Path, tmp_path: Path) -> None:
    path = tmp_path / "alone.h5"
    shutil.copyfile(cohort, path)
    with h5py.File(path, "a") as file:
        del file["18-1109"]
    with DeepFluoroFile(path) as file:
        assert check_specimens(file, (), learnt=False) == (SPECIMEN,)
        with pytest.raises(InputError, match=r"at least 2 specimens.*got 17-1882 alone; methods"):
            check_specimens(file, (), learnt=True)
