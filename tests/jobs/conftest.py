"""Worker processes import the tasks of these tests by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from wsreg.jobs.crew import Call, Crew

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(autouse=True)
def importable_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the folder of all tests where a spawned process looks."""
    if ROOT not in sys.path:
        monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def here() -> Call:
    """Return what calls a thread of this process to work."""

    @contextmanager
    def call() -> Iterator[Crew]:
        with ThreadPoolExecutor(1) as executor:
            yield Crew(executor=executor, size=lambda: 1)

    return call
