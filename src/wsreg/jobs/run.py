"""Makes what is missing of a graph of tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from wsreg.errors import WsregError
from wsreg.jobs.cache import Entry, make, other_versions
from wsreg.jobs.crew import Call, Crew
from wsreg.jobs.progress import Progress, seconds_left
from wsreg.jobs.task import Task, in_order, recipes_of

SECONDS_BETWEEN_NEWS = 5.0
MOST_REASONS = 3
"""That the last sentence has: each was said when it came."""

Tell = Callable[[Progress], None]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a run has made.

    Args:
        folders: of all results, by name of the task.
        new: names of those that were not there before.
        seconds: that each took to make, by name of the task.
    """

    folders: Mapping[str, Path]
    new: tuple[str, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class _State:
    """A graph on its way: what is there, what is being made, what went wrong."""

    tasks: tuple[Task, ...]
    entries: Mapping[str, Entry]
    taken: dict[str, float]
    running: dict[Future[bool], Task] = field(default_factory=dict)
    failed: dict[str, WsregError] = field(default_factory=dict)

    def ready(self) -> list[Task]:
        """Return what can be begun now."""
        begun = {*self.taken, *self.failed, *(task.name for task in self.running.values())}
        return [t for t in self.tasks if t.name not in begun and set(t.needs) <= self.taken.keys()]


def run(
    tasks: Iterable[Task],
    cache: Path,
    call: Call,
    *,
    tell: Tell = lambda progress: None,
    say: Say = lambda text: None,
) -> Made:
    """Make the results that are missing, each after what it needs.

    A run that was stopped goes on: results that are there are kept, and a task in hand may go on
    in its work folder.  When a task fails, those that do not need it are still done.

    Args:
        tasks: of the graph, in any order.
        cache: folder of all results; every worker must see it under this path.
        call: calls workers together, if there is anything to do.
        tell: called when a task is finished, and between.
        say: called with what a person should know: results that are damaged or of another
            version, what failed, and that nothing is left to do.

    Returns:
        The folders of the results.

    Raises:
        InputError: tasks that are no graph, an input file that cannot be read, or workers that
            cannot be had.
        WsregError: tasks failed; all that do not need them are done.
    """
    ordered = in_order(tasks)
    cache = cache.absolute()
    entries = {
        name: Entry(cache=cache, name=name, recipe=recipe)
        for name, recipe in recipes_of(ordered).items()
    }
    state = _State(tasks=ordered, entries=entries, taken=_taken_before(cache, entries, say))
    folders = {name: entry.folder for name, entry in entries.items()}
    new = tuple(task.name for task in ordered if task.name not in state.taken)
    if not new:
        say(f"nothing to do: all {len(ordered)} results are in {cache}")
        return Made(folders=folders, new=(), seconds=state.taken)
    with call() as crew:
        _work(state, crew, tell, say)
    if state.failed:
        raise WsregError(_failures_in_words(state))
    return Made(folders=folders, new=new, seconds=state.taken)


def missing(tasks: Iterable[Task], cache: Path) -> list[Task]:
    """Return the tasks without a result, in order; whether results are whole is not looked at.

    Raises:
        InputError: tasks that are no graph, or an input file that cannot be read.
    """
    ordered = in_order(tasks)
    recipes = recipes_of(ordered)
    return [
        task for task in ordered
        if not Entry(cache=cache, name=task.name, recipe=recipes[task.name]).folder.exists()
    ]  # fmt: skip


def _taken_before(cache: Path, entries: Mapping[str, Entry], say: Say) -> dict[str, float]:
    """Return the seconds that results took which are there and whole."""
    old = other_versions(cache, entries.keys(), [entry.folder for entry in entries.values()])
    if old:
        say(f"results of wsreg {', '.join(old)} in {cache} are not used; delete them if you like")
    taken = {}
    for name, entry in entries.items():
        damage = entry.damage()
        if damage == "":
            taken[name] = entry.seconds()
            entry.tidy()
        elif damage is not None:
            say(f"{entry.folder} is damaged ({damage}) and made again")
    return taken


def _work(state: _State, crew: Crew, tell: Tell, say: Say) -> None:
    """Give out tasks until none is left that can be done."""
    last = ""
    estimate, at = _estimate(state, crew), time.monotonic()
    try:
        while _begin_ready(state, crew):
            left = max(estimate - (time.monotonic() - at), 0.0)
            tell(
                Progress(
                    done=len(state.taken), total=len(state.tasks), seconds_left=left, last=last
                )
            )
            done, _ = wait(state.running, SECONDS_BETWEEN_NEWS, FIRST_COMPLETED)
            for future in done:
                last = _take(state, future, say)
            if done:
                estimate, at = _estimate(state, crew), time.monotonic()
    finally:
        for future in state.running:
            future.cancel()
    tell(Progress(done=len(state.taken), total=len(state.tasks), seconds_left=estimate, last=last))


def _begin_ready(state: _State, crew: Crew) -> bool:
    """Begin what can be begun, and tell whether anything is being made."""
    for task in state.ready():
        made = {name: state.entries[name].folder for name in task.needs}
        future = crew.executor.submit(make, task, state.entries[task.name], made)
        state.running[future] = task
    return bool(state.running)


def _take(state: _State, future: Future[bool], say: Say) -> str:
    """Note what became of a task, and return its name; a mistake in its code is raised."""
    task = state.running.pop(future)
    try:
        future.result()
        state.taken[task.name] = state.entries[task.name].seconds()
    except WsregError as error:
        state.failed[task.name] = error
        say(f"{task.name} failed: {error}")
    return task.name


def _estimate(state: _State, crew: Crew) -> float:
    return seconds_left(state.tasks, state.taken, {*state.taken, *state.failed}, crew.size())


def _failures_in_words(state: _State) -> str:
    told = [f"{name}: {error}" for name, error in state.failed.items()]
    more = [f"{len(told) - MOST_REASONS} more"] if len(told) > MOST_REASONS else []
    reasons = "; ".join([*told[:MOST_REASONS], *more])
    waiting = len(state.tasks) - len(state.taken) - len(state.failed)
    return (
        f"{len(state.failed)} of {len(state.tasks)} tasks failed, {waiting} wait for them "
        f"({reasons}); {len(state.taken)} results are kept: run the command again to go on"
    )
