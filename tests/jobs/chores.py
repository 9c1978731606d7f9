"""Tasks for the tests, in a module that other processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from wsreg.errors import InputError
from wsreg.jobs.task import Place, Task


def add(place: Place, *, number: int, log: str = "") -> None:
    """Write the sum of a number, an input file's and those that it needs."""
    total = number + sum(int((f / "sum.txt").read_text()) for f in place.made.values())
    total += sum(int(file.read_text()) for file in place.files.values())
    (place.out / "sum.txt").write_text(str(total))
    if log:
        with Path(log).open("a") as stream:
            stream.write(f"{number}\n")


def refuse(place: Place, *, reason: str) -> None:
    """Fail as a task does whose input is bad."""
    raise InputError(reason)


def stumble(place: Place) -> None:
    """Fail as a task does whose code is wrong."""
    raise ZeroDivisionError("a mistake")


def fill_the_disk(place: Place) -> None:
    """Write a part, then find the disk full."""
    (place.out / "part.txt").write_text("half")
    raise OSError(28, "No space left on device")


def die_once(place: Place, *, number: int) -> None:
    """Be killed in the middle the first time, and go on from there the second."""
    halfway = place.work / "halfway.txt"
    if not halfway.exists():
        halfway.write_text(str(number))
        os.kill(os.getpid(), signal.SIGKILL)
    (place.out / "sum.txt").write_text(halfway.read_text())


def die_always(place: Place) -> None:
    """Be killed each time."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(place: Place, *, seconds: float) -> None:
    """Say by a file that it has begun, then sleep."""
    (place.work / "begun").write_text(str(os.getpid()))
    time.sleep(seconds)
    (place.out / "slept").write_text("")


def square(number: int) -> int:
    """Return the square of a number; 13 is refused."""
    if number == 13:
        raise InputError("number must not be 13")
    return number * number


def die_at_three(item: tuple[int, str]) -> int:
    """Return a number's square; the first who is given 3 is killed."""
    number, marker = item
    if number == 3 and not Path(marker).exists():
        Path(marker).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def chain(log: str = "") -> list[Task]:
    """Return tasks with the sums 1, 3 and 1 + 3 + 10 = 14, the last one first."""
    return [
        Task(name="end", function=add, arguments={"number": 10, "log": log}, needs=("one", "two")),
        Task(name="two", function=add, arguments={"number": 2, "log": log}, needs=("one",)),
        Task(name="one", function=add, arguments={"number": 1, "log": log}),
    ]
