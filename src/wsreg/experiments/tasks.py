"""What the tasks of an experiment do, each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.datasets.layout import QUESTIONABLE
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.evaluation.trial import Trial, trial_from_record, trial_to_record
from wsreg.experiments.entries import Entry, Role
from wsreg.experiments.table import ResultTable, write_table
from wsreg.experiments.tables import Scheme, case_study, table_1
from wsreg.files.json_files import read_json, write_json
from wsreg.jobs.task import Place
from wsreg.methods.artefact import Artefact, make_artefact
from wsreg.methods.preset import PRESETS
from wsreg.methods.run import run_specimen
from wsreg.methods.table import METHODS
from wsreg.vocabulary import MethodName, PresetName

TRIALS_FILE = "trials.json"


def train(
    place: Place, *, artefact: Mapping[str, Any], preset: PresetName, settings: Mapping[str, Any]
) -> None:
    """Train an artefact, going on from its last checkpoint.

    Args:
        place: with the data, and the artefacts that it needs.
        artefact: fields of it.
        preset: whose settings are used.
        settings: the same in full, for the key of the task.
    """
    folder = place.work / "artefact"
    make_artefact(Artefact(**artefact), place.files["data"], folder, place.made, PRESETS[preset])
    for path in folder.iterdir():
        path.rename(place.out / path.name)


def register(
    place: Place,
    *,
    method: MethodName,
    specimen: str,
    preset: PresetName,
    xrays: int | None,
    settings: Mapping[str, Any],
) -> None:
    """Register the X-rays of a specimen, going on with those that a journal has not.

    Args:
        place: with the data, and the artefacts of the method.
        method: how.
        specimen: whose.
        preset: how finely.
        xrays: at most so many; all if None.
        settings: the preset's in full, for the key of the task.
    """
    trials = run_specimen(
        METHODS[method], place.files["data"], specimen, place.made, PRESETS[preset],
        place.work / "trials.jsonl", xrays=xrays,
    )  # fmt: skip
    record = {"method": method, "trials": [trial_to_record(trial) for trial in trials]}
    write_json(place.out / TRIALS_FILE, record)


def table_1_tables(place: Place) -> None:
    """Write Table 1 from all trials."""
    with DeepFluoroFile(place.files["data"]) as file:
        doubtful = frozenset() if file.virtual else QUESTIONABLE
    _write(table_1(entries_in(place.made), doubtful), place.out)


def case_study_tables(place: Place) -> None:
    """Write the tables of the case study."""
    _write(case_study([Scheme(entry=entry) for entry in entries_in(place.made)]), place.out)


def entries_in(folders: Mapping[str, Path]) -> list[Entry]:
    """Return methods with their trials, in the order of tables.

    Args:
        folders: of the results of :func:`register`, by name of the task.
    """
    trials: dict[str, list[Trial]] = {}
    for folder in folders.values():
        record = read_json(folder / TRIALS_FILE)
        own = trials.setdefault(record["method"], [])
        own += [trial_from_record(one) for one in record["trials"]]
    return [
        Entry(name=name, title=method.title, role=role_of(name), trials=trials[name])
        for name, method in METHODS.items() if name in trials
    ]  # fmt: skip


def role_of(method: str) -> Role:
    """Return whose a method is."""
    if method.startswith("ours"):
        return "ours"
    return "paper" if method.startswith("wsreg") else "baseline"


def _write(tables: Sequence[ResultTable], folder: Path) -> None:
    for table in tables:
        write_table(table, folder)
