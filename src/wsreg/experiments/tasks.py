"""What the tasks of all experiments share: trainings, registrations, and what is read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.evaluation.trial import Trial, trial_from_record, trial_to_record
from wsreg.experiments.entries import Entry, role_of
from wsreg.experiments.table import ResultTable, table_from_record, table_to_record, write_table
from wsreg.files.json_files import read_json, write_json
from wsreg.files.whole import copy_file
from wsreg.jobs.task import Place
from wsreg.methods.artefact import Artefact, make_artefact
from wsreg.methods.method import Method
from wsreg.methods.preset import PRESETS
from wsreg.methods.run import run_specimen
from wsreg.methods.table import METHODS
from wsreg.methods.variants import CAPTURE_VARIANTS, SIMILARITY_VARIANTS
from wsreg.vocabulary import PresetName

TRIALS_FILE = "trials.json"
TABLES_FILE = "tables.json"

ALL_METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (*METHODS.values(), *SIMILARITY_VARIANTS.values(), *CAPTURE_VARIANTS.values())
}
"""Methods, and those in which one thing is changed, in the order of tables."""


def train(
    place: Place, *, artefact: Mapping[str, Any], preset: PresetName, settings: Mapping[str, Any]
) -> None:
    """Train an artefact, going on from its last checkpoint.

    What was trained stays in the work folder until the result is whole: a kill between does not
    lose it.

    Args:
        place: with the data, and the artefacts that it needs.
        artefact: fields of it.
        preset: whose settings are used.
        settings: the same in full, for the key of the task.
    """
    folder = place.work / "artefact"
    make_artefact(Artefact(**artefact), place.files["data"], folder, place.made, PRESETS[preset])
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        copy_file(path, place.out / path.relative_to(folder))


def register(
    place: Place,
    *,
    method: str,
    specimen: str,
    preset: PresetName,
    xrays: int | None,
    settings: Mapping[str, Any],
) -> None:
    """Register the X-rays of a specimen, going on with those that a journal has not.

    Args:
        place: with the data, and the artefacts of the method.
        method: how, by a name in ``ALL_METHODS``.
        specimen: whose.
        preset: how finely.
        xrays: at most so many; all if None.
        settings: the preset's in full, for the key of the task.
    """
    trials = run_specimen(
        ALL_METHODS[method], place.files["data"], specimen, place.made, PRESETS[preset],
        place.work / "trials.jsonl", xrays=xrays,
    )  # fmt: skip
    record = {"method": method, "trials": [trial_to_record(trial) for trial in trials]}
    write_json(place.out / TRIALS_FILE, record)


def entries_in(folders: Mapping[str, Path]) -> dict[str, Entry]:
    """Return methods with their trials by name, in the order of tables.

    Args:
        folders: of results by name of the task; those that hold no trials are passed over.
    """
    trials: dict[str, list[Trial]] = {}
    for folder in folders.values():
        if not (folder / TRIALS_FILE).exists():
            continue
        record = read_json(folder / TRIALS_FILE)
        own = trials.setdefault(record["method"], [])
        own += [trial_from_record(one) for one in record["trials"]]
    return {
        name: Entry(name=name, title=method.title, role=role_of(name), trials=trials[name])
        for name, method in ALL_METHODS.items() if name in trials
    }  # fmt: skip


def write_tables(tables: Sequence[ResultTable], folder: Path) -> None:
    """Write tables for people, and all of them as a report reads them."""
    for table in tables:
        write_table(table, folder)
    write_json(folder / TABLES_FILE, [table_to_record(table) for table in tables])


def tables_in(folder: Path) -> list[ResultTable]:
    """Return the tables that a task wrote; none if it wrote no tables."""
    if not (folder / TABLES_FILE).exists():
        return []
    return [table_from_record(record) for record in read_json(folder / TABLES_FILE)]
