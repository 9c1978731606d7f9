"""A piece of work whose result is a folder, and the key that tells it from any other."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.files.plans import plain_plan

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
WSREG = version("wsreg")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a task works.

    Args:
        out: an empty folder; what lies there at the end is the result.
        work: a folder of the task's own, for what lets it go on after it was stopped; it is there
            again if the task is begun again, and deleted when the result is whole.
        made: folders of the results that it needs, by name of the task.
        files: input files, by role.
    """

    out: Path
    work: Path
    made: Mapping[str, Path]
    files: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A piece of work, and what its result depends on.

    Args:
        name: of the task and of its folder: letters, digits, dot, - and _.
        function: called as ``function(place, **arguments)``; defined in a module, so that another
            process can import it.
        arguments: plain values, as JSON has them.
        files: input files or folders by role; their content counts, not their names.
        needs: names of the tasks whose results it reads.
        version: to be raised when the function comes to give another result.
        seconds: about how long it takes on one core; estimates begin with it.
        group: of tasks that are as much longer or shorter than they say as each other; by default
            those of the same function.

    Raises:
        InputError: for a name that no folder can have, a function that no other process can
            import, or arguments that are not plain.
    """

    name: str
    function: Callable[..., None]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    version: int = 1
    seconds: float = 1.0
    group: str = ""

    def __post_init__(self) -> None:
        """Check what can be checked of a task alone."""
        if NAME.fullmatch(self.name) is None:
            raise InputError(
                f"name of a task must be letters, digits, dots, - and _, got {self.name!r}"
            )
        if "<" in self.function.__qualname__:
            raise InputError(
                f"function of task {self.name} must be defined in a module, got {self.kind}"
            )
        if not self.seconds > 0:
            raise InputError(f"seconds of task {self.name} must be above 0, got {self.seconds}")
        try:
            plain_plan(self.arguments)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"arguments of task {self.name} must be plain values: {error}"
            ) from error

    @property
    def kind(self) -> str:
        """Return the full name of the function."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def alike(self) -> str:
        """Return the name of the group whose tasks tell how long this one takes."""
        return self.group or self.kind


def in_order(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return tasks so that each comes after what it needs, and otherwise as they were given.

    Raises:
        InputError: two have one name, or one needs what is not there or what needs it.
    """
    waiting = list(tasks)
    names = [task.name for task in waiting]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"each task must have a name of its own, got {', '.join(doubled)} twice")
    for task in waiting:
        unknown = set(task.needs) - set(names)
        if unknown:
            raise InputError(f"task {task.name} needs unknown tasks: {', '.join(sorted(unknown))}")
    ordered: dict[str, Task] = {}
    while waiting:
        ready = [task for task in waiting if set(task.needs) <= ordered.keys()]
        if not ready:
            raise InputError(f"tasks need each other: {', '.join(task.name for task in waiting)}")
        ordered.update({task.name: task for task in ready})
        waiting = [task for task in waiting if task.name not in ordered]
    return tuple(ordered.values())


def recipes_of(tasks: Iterable[Task]) -> dict[str, dict[str, Any]]:
    """Return, for tasks in order, what makes each result: all that its key is the hash of.

    Raises:
        InputError: an input file cannot be read.
    """
    hashes: dict[Path, str] = {}
    keys: dict[str, str] = {}
    recipes: dict[str, dict[str, Any]] = {}
    for task in tasks:
        for path in task.files.values():
            if path not in hashes:
                hashes[path] = sha256_of(path)
        recipes[task.name] = {
            "wsreg": WSREG,
            "function": task.kind,
            "version": task.version,
            "arguments": plain_plan(task.arguments),
            "files": {role: hashes[path] for role, path in task.files.items()},
            "needs": {name: keys[name] for name in task.needs},
        }
        keys[task.name] = key_of(recipes[task.name])
    return recipes


def key_of(recipe: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
