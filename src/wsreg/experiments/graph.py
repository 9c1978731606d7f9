"""The paper's experiments as graphs of tasks: what is trained, registered, tabulated and drawn.

Methods share what they train, and each is tried on a specimen that its networks of regions have not
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError
from wsreg.experiments import figure_tasks as draw
from wsreg.experiments import table_tasks as tabulate
from wsreg.experiments.estimates import seconds_of
from wsreg.experiments.graph_parts import Asked, by_name, dice, trials
from wsreg.experiments.published import CASE_STUDY
from wsreg.experiments.tasks import register
from wsreg.jobs.task import Task
from wsreg.methods.preset import PRESETS
from wsreg.methods.variants import CAPTURE_VARIANTS, SIMILARITY_VARIANTS, SOLVERS
from wsreg.vocabulary import ExperimentName, MethodName, PresetName

TABLE_1: tuple[MethodName, ...] = (
    "diffdrr", "psss", "diffpose", "wsreg-unet", "wsreg-medsam",
    "ours-search", "ours-encoder", "ours",
)  # fmt: skip
SCHEMES: tuple[MethodName, ...] = ("wsreg-unet", "wsreg-medsam", "wsreg-mixed")
FIGURE_4: tuple[MethodName, ...] = ("diffdrr", "psss", "diffpose", "wsreg-unet", "ours")
FIGURE_4_ROWS = 3


def graph(
    what: ExperimentName,
    data: Path,
    specimens: Sequence[str],
    preset: PresetName,
    xrays: int | None = None,
    *,
    accelerated: bool = False,
) -> list[Task]:
    """Return the tasks that make an experiment.

    Args:
        what: which.
        data: DeepFluoro's file or a cohort.
        specimens: those to register.
        preset: how large.
        xrays: of each specimen at most, instead of the preset's number.
        accelerated: whether trainings have a GPU, for the estimate of their time.

    Raises:
        InputError: the case study's specimen is not among those to register.
    """
    with DeepFluoroFile(data) as file:
        projections = {name: file.projections(name) for name in specimens}
    asked = Asked(
        data=data, projections=projections, preset=PRESETS[preset], xrays=xrays,
        seconds=seconds_of(preset, accelerated=accelerated),
    )  # fmt: skip
    if what != "all":
        return list(by_name(EXPERIMENTS[what](asked)).values())
    names = [name for name in EXPERIMENTS if name != "case-study" or CASE_STUDY in specimens]
    return list(by_name(task for name in names for task in EXPERIMENTS[name](asked)).values())


def left_out(what: ExperimentName, specimens: Sequence[str]) -> list[str]:
    """Return a sentence on what an experiment lacks without the case study's specimen."""
    without = {"all": "case-study and figure5", "figures": "figure5"}.get(what, "")
    if not without or CASE_STUDY in specimens:
        return []
    return [f"{without} left out: of {CASE_STUDY}, which is not among the specimens"]


def _table_1(asked: Asked) -> list[Task]:
    found = _all_trials(TABLE_1, asked, asked.specimens)
    end = _end("table1", tabulate.table_1_tables, asked, _registered(found), version=3)
    return [*found, end]


def _table_2(asked: Asked) -> list[Task]:
    found = _all_dice(asked, asked.specimens)
    end = _end("table2", tabulate.table_2_tables, asked, _scored(found), version=4)
    return [*found, end]


def _table_3(asked: Asked) -> list[Task]:
    most = asked.most(asked.preset.similarity_xrays)
    found = [
        task for name in SIMILARITY_VARIANTS for task in trials(name, asked, asked.specimens, most)
    ]
    end = _end("table3", tabulate.table_3_tables, asked, _registered(found), version=4)
    return [*found, end]


def _case_study(asked: Asked) -> list[Task]:
    if CASE_STUDY not in asked.specimens:
        raise InputError(
            f"the case study is of {CASE_STUDY}, got {', '.join(asked.specimens)}; all other "
            f"experiments can be run"
        )
    found = _case_parts(asked)
    needed = (*_registered(found), *_scored(found))
    return [*found, _end("case-study", tabulate.case_study_tables, asked, needed, version=3)]


def _case_parts(asked: Asked) -> list[Task]:
    case = (CASE_STUDY,)
    return [*_all_trials(SCHEMES, asked, case), *_all_dice(asked, case)]


def _figures(asked: Asked) -> list[Task]:
    one = CASE_STUDY if CASE_STUDY in asked.specimens else asked.specimens[0]
    specimen, projection = asked.first_xray(one)
    shown = {"specimen": specimen, "projection": projection}
    rows = asked.specimens[:FIGURE_4_ROWS]
    found = _all_trials(TABLE_1, asked, asked.specimens)
    every = _registered(found)
    of_rows = tuple(f"trials-{method}-{name}" for method in FIGURE_4 for name in rows)
    xrays = [list(asked.first_xray(name)) for name in rows]
    figures = [
        *found,
        _end("figure1", draw.draw_anatomy, asked, (), shown),
        _end("figure4", draw.draw_landmarks, asked, of_rows, {"xrays": xrays}, version=2),
        _end("distributions", draw.draw_distributions, asked, every),
        _end("risk", draw.draw_risk, asked, every),
        *_curves(asked, one),
    ]
    if one == CASE_STUDY:
        parts = _case_parts(asked)
        needed = (*_registered(parts), *_scored(parts))
        figures += [*parts, _end("figure5", draw.draw_overlap, asked, needed, shown, version=2)]
    return figures


def _curves(asked: Asked, specimen: str) -> list[Task]:
    """Return capture range and convergence, of a few X-rays of one specimen."""
    count = asked.count(specimen, asked.most(asked.preset.capture_xrays))
    starts = [t for name in CAPTURE_VARIANTS for t in trials(name, asked, (specimen,), count)]
    seconds = asked.seconds
    descents = [
        Task(
            name=f"descents-{solver}-{specimen}",
            function=draw.descend,
            arguments={
                "solver": solver, "specimen": specimen, "preset": asked.preset.name,
                "xrays": count, "settings": asked.preset.record(),
            },
            files={"data": asked.data},
            seconds=seconds.beginning
            + count * (2 * seconds.adam if solver == "adam" else seconds.gauss_newton),
        )
        for solver in SOLVERS
    ]  # fmt: skip
    return [
        *starts,
        _end("capture-range", draw.draw_capture_range, asked, _registered(starts)),
        *descents,
        _end("convergence", draw.draw_convergence, asked, [task.name for task in descents]),
    ]


EXPERIMENTS: Mapping[ExperimentName, Callable[[Asked], list[Task]]] = {
    "table1": _table_1,
    "table2": _table_2,
    "table3": _table_3,
    "case-study": _case_study,
    "figures": _figures,
}


def _all_trials(
    methods: Sequence[MethodName], asked: Asked, specimens: Sequence[str]
) -> list[Task]:
    most = asked.most(asked.preset.xrays)
    return [task for method in methods for task in trials(method, asked, specimens, most)]


def _all_dice(asked: Asked, specimens: Sequence[str]) -> list[Task]:
    return [task for network in tabulate.NETWORKS for task in dice(network, asked, specimens)]


def _registered(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(by_name(task for task in tasks if task.function is register))


def _scored(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(by_name(task for task in tasks if task.function is tabulate.score_dice))


def _end(
    name: str,
    function: Callable[..., None],
    asked: Asked,
    needs: Sequence[str],
    arguments: Mapping[str, Any] | None = None,
    *,
    version: int = 1,
) -> Task:
    """Return what tabulates or draws in the end."""
    return Task(
        name=name, function=function, arguments=arguments or {}, files={"data": asked.data},
        needs=tuple(needs), version=version, seconds=asked.seconds.drawing,
    )  # fmt: skip
