"""Results of tasks on disk: a folder each, appearing whole, with a record of what made it.

CACHE/<name>-<key>/                       a result; made.json holds its recipe, sizes and hashes
CACHE/unfinished/<name>-<key>/            what lets a stopped task go on
CACHE/unfinished/<name>-<key>.out, .lock  the result while it is made, and who makes it
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.hashes import sha256_of
from wsreg.files.json_files import read_json, write_json
from wsreg.files.lock import locked
from wsreg.files.whole import writing_to
from wsreg.jobs.task import WSREG, Place, Task, key_of

RECORD_FILE = "made.json"
KEY_LETTERS = 16
"""Of the key in a folder's name; the record holds all of the recipe."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where the result of a task belongs, and what it must be made by.

    Args:
        cache: the folder of all results.
        name: of the task.
        recipe: from :func:`wsreg.jobs.task.recipes_of`.
    """

    cache: Path
    name: str
    recipe: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Return the folder of the result."""
        return self.cache / self._folder_name

    @property
    def work(self) -> Path:
        """Return the folder in which the task works."""
        return self.cache / "unfinished" / self._folder_name

    def tidy(self) -> None:
        """Delete what the task worked with, which a result that is there needs no more."""
        shutil.rmtree(self.work, ignore_errors=True)

    @property
    def _folder_name(self) -> str:
        return f"{self.name}-{key_of(self.recipe)[:KEY_LETTERS]}"

    def damage(self) -> str | None:
        """Return what is wrong with a result: "" if nothing is, None if no result is there.

        Every file's hash is looked at: a disk of models takes seconds.
        """
        if not self.folder.exists():
            return None
        try:
            record = read_json(self.folder / RECORD_FILE)
            sizes = {name: int(entry["bytes"]) for name, entry in record["files"].items()}
            hashes = {name: str(entry["sha256"]) for name, entry in record["files"].items()}
            recipe = record["recipe"]
        except (InputError, LookupError, TypeError, ArithmeticError, ValueError, AttributeError):
            return f"{RECORD_FILE} is missing or garbled"
        if recipe != self.recipe:
            return f"{RECORD_FILE} is of another task"
        return _difference(_files_in(self.folder), sizes, hashes)

    def seconds(self) -> float:
        """Return how long a result that is there took to make."""
        return float(read_json(self.folder / RECORD_FILE)["seconds"])


def make(task: Task, entry: Entry, made: Mapping[str, Path]) -> bool:
    """Make a result unless it is there, and tell whether it was made.

    Whoever else makes the same result is waited for.  A process that is killed leaves nothing
    under the result's name.

    Args:
        task: whose result is made.
        entry: where it belongs.
        made: folders of what the task needs.

    Raises:
        InputError: the cache cannot be written (the disk is full, say), or what the task raises.
    """
    out = entry.work.with_name(entry.work.name + ".out")
    with locked(entry.work.with_name(entry.work.name + ".lock"), wait=True):
        damage = entry.damage()
        if damage == "":
            entry.tidy()
            return False
        with writing_to(entry.folder):
            for old in (out, *([] if damage is None else [entry.folder])):
                if old.exists():
                    shutil.rmtree(old)
            out.mkdir(parents=True)
            entry.work.mkdir(exist_ok=True)
            begin = time.perf_counter()
            place = Place(out=out, work=entry.work, made=made, files=task.files)
            task.function(place, **task.arguments)
            _write_record(out, entry, time.perf_counter() - begin)
            out.rename(entry.folder)
        entry.tidy()
    return True


def _write_record(out: Path, entry: Entry, seconds: float) -> None:
    """Write last of all what the result is made by and of."""
    files = {
        name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for name, path in sorted(_files_in(out).items())
    }
    record = {"name": entry.name, "recipe": dict(entry.recipe), "seconds": seconds, "files": files}
    write_json(out / RECORD_FILE, record)


def _difference(
    found: Mapping[str, Path], sizes: Mapping[str, int], hashes: Mapping[str, str]
) -> str:
    """Return in which file a folder differs from its record, and how; "" if in none."""
    missing, more = sizes.keys() - found.keys(), found.keys() - sizes.keys()
    if missing or more:
        return f"{min(missing)} is missing" if missing else f"{min(more)} is not part of it"
    for name, path in sorted(found.items()):
        if path.stat().st_size != sizes[name]:
            return f"{name} has another size"
        if sha256_of(path) != hashes[name]:
            return f"{name} is garbled"
    return ""


def _files_in(folder: Path) -> dict[str, Path]:
    """Return the files of a result by their names within it, without the record."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    found.pop(RECORD_FILE, None)
    return found


def other_versions(cache: Path, names: Collection[str], current: Collection[Path]) -> list[str]:
    """Return the wsreg versions, sorted, that made results of these tasks which are not used.

    Args:
        cache: the folder of all results.
        names: of the tasks.
        current: folders of their results, there or not.
    """
    used = {folder.name for folder in current}
    found = set()
    for record_file in cache.glob(f"*/{RECORD_FILE}"):
        name = record_file.parent.name
        if name in used or name[: -KEY_LETTERS - 1] not in names:
            continue
        with contextlib.suppress(InputError, KeyError, TypeError):
            found.add(str(read_json(record_file)["recipe"]["wsreg"]))
    return sorted(found - {WSREG})
