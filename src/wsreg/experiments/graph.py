"""The paper's tables as graphs of tasks: what is trained, what is registered, what is tabulated.

Methods share what they train, and each is tried on a specimen that its networks of regions have not
seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError
from wsreg.experiments.published import CASE_STUDY
from wsreg.experiments.tasks import case_study_tables, register, table_1_tables, train
from wsreg.jobs.task import Task
from wsreg.methods.artefact import Artefact, needs
from wsreg.methods.preset import PRESETS, Preset
from wsreg.methods.run import artefacts_of, xrays_of
from wsreg.methods.table import METHODS
from wsreg.vocabulary import ExperimentName, MethodName, PresetName

TABLE_1: tuple[MethodName, ...] = (
    "diffdrr", "psss", "diffpose", "wsreg-unet", "wsreg-medsam",
    "ours-search", "ours-encoder", "ours",
)  # fmt: skip
SCHEMES: tuple[MethodName, ...] = ("wsreg-unet", "wsreg-medsam", "wsreg-mixed")

TRAINING_SECONDS = {"unet": 2400.0, "medsam": 1200.0, "encoder": 900.0}
"""Of the small preset on one core, until one is done and tells better."""
XRAY_SECONDS = {"ours": 4.0, "ours-search": 2.0, "ours-encoder": 2.0}
ADAM_XRAY_SECONDS = 30.0


def graph(
    what: ExperimentName,
    data: Path,
    specimens: Sequence[str],
    preset: PresetName,
    xrays: int | None = None,
) -> list[Task]:
    """Return the tasks that make an experiment.

    Args:
        what: which.
        data: DeepFluoro's file or a cohort.
        specimens: those to register.
        preset: how large.
        xrays: of each specimen at most, instead of the preset's number.

    Raises:
        InputError: the case study's specimen is not among those to register.
    """
    tasks: dict[str, Task] = {}
    for name in ("table1", "case-study"):
        if what not in (name, "all"):
            continue
        methods = TABLE_1 if name == "table1" else SCHEMES
        asked = tuple(specimens) if name == "table1" else _case(specimens, optional=what == "all")
        if not asked:
            continue
        found = [task for method in methods for task in _trials(method, data, asked, preset, xrays)]
        tasks |= {task.name: task for task in found}
        trials = tuple(task.name for task in found if task.function is register)
        function = table_1_tables if name == "table1" else case_study_tables
        tasks[name] = Task(name=name, function=function, needs=trials, files={"data": data})
    return list(tasks.values())


def _case(specimens: Sequence[str], *, optional: bool) -> tuple[str, ...]:
    if CASE_STUDY in specimens:
        return (CASE_STUDY,)
    if optional:
        return ()
    raise InputError(f"the case study is of {CASE_STUDY}, got {', '.join(specimens)}")


def _trials(
    name: MethodName, data: Path, specimens: Iterable[str], preset: PresetName, xrays: int | None
) -> list[Task]:
    """Return a method's registrations of specimens, and all the training that they need."""
    method, settings = METHODS[name], PRESETS[preset]
    most = settings.xrays if xrays is None else xrays
    tasks = []
    for specimen in specimens:
        artefacts = artefacts_of(method, (specimen,))
        tasks += [_training(artefact, data, settings) for artefact in artefacts]
        with DeepFluoroFile(data) as file:
            count = len(xrays_of(file, specimen, most))
        tasks.append(
            Task(
                name=f"trials-{name}-{specimen}",
                function=register,
                arguments={
                    "method": name, "specimen": specimen, "preset": preset, "xrays": most,
                    "settings": settings.record(),
                },
                files={"data": data},
                needs=tuple(artefact.name for artefact in artefacts),
                seconds=1.0 + count * XRAY_SECONDS.get(name, ADAM_XRAY_SECONDS),
            )
        )  # fmt: skip
    return tasks


def _training(artefact: Artefact, data: Path, preset: Preset) -> Task:
    return Task(
        name=artefact.name,
        function=train,
        arguments={
            "artefact": dataclasses.asdict(artefact),
            "preset": preset.name,
            "settings": _settings(artefact, preset),
        },
        files={"data": data},
        needs=tuple(one.name for one in needs(artefact)),
        seconds=TRAINING_SECONDS[artefact.kind],
    )


def _settings(artefact: Artefact, preset: Preset) -> Mapping[str, Any]:
    """Return what a training depends on; where the package lies is not part of it."""
    record = preset.training_record(artefact.kind)
    begun = record.get("begin_with")
    return record if begun is None else {**record, "begin_with": Path(begun).name}
