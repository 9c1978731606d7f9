"""Ranges of work are done once each, whoever does them, and errors are not lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from wsreg import threads
from wsreg.errors import InputError
from wsreg.threads import (
    CHUNKS_PER_THREAD,
    cores_for_helpers,
    run_ranges,
    thread_count,
    usable_cores,
)


class Recorder:
    """Remembers the ranges that it was called with, and in which threads."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.threads: set[int] = set()

    def __call__(self, first: int, last: int) -> None:
        self.ranges.append((first, last))
        self.threads.add(threading.get_ident())


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize(("count", "smallest"), [(0, 1), (1, 1), (5, 1), (100, 7), (1000, 1)])
def test_every_piece_is_done_once(
    monkeypatch: pytest.MonkeyPatch, threads: int, count: int, smallest: int
) -> None:
    monkeypatch.setenv("WSREG_THREADS", str(threads))
    work = Recorder()
    run_ranges(work, count, smallest)
    done = [piece for first, last in sorted(work.ranges) for piece in range(first, last)]
    assert done == list(range(count))
    assert len(work.ranges) <= threads * CHUNKS_PER_THREAD
    if len(work.ranges) > 1:
        assert min(last - first for first, last in work.ranges) >= smallest


def test_little_work_stays_in_the_callers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSREG_THREADS", "4")
    work = Recorder()
    run_ranges(work, 19, 10)
    assert work.ranges == [(0, 19)]
    assert work.threads == {threading.get_ident()}


def test_much_work_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSREG_THREADS", "2")
    meeting = threading.Barrier(2, timeout=30.0)
    waited: set[int] = set()

    def work(first: int, last: int) -> None:
        if threading.get_ident() not in waited:  # the first range of each thread waits for another
            waited.add(threading.get_ident())
            meeting.wait()

    run_ranges(work, 1000, 1)
    assert len(waited) == 2


def test_callers_do_not_wait_for_a_pool_that_others_keep_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WSREG_THREADS", "2")
    release = threading.Event()

    def slow(first: int, last: int) -> None:
        assert release.wait(timeout=30.0)

    with ThreadPoolExecutor(40) as others:
        # More callers than the pool has threads, all of them stuck.
        stuck = [others.submit(run_ranges, slow, 8, 1) for _ in range(40)]
        work = Recorder()
        deadline = time.monotonic() + 30.0
        run_ranges(work, 8, 1)
        assert time.monotonic() < deadline
        release.set()
        for future in stuck:
            future.result()
    assert sum(last - first for first, last in work.ranges) == 8


@pytest.mark.parametrize("bad", ["first", "other"])
def test_an_error_in_any_thread_is_raised(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setenv("WSREG_THREADS", "2")
    caller, meeting = threading.get_ident(), threading.Barrier(2, timeout=30.0)
    waited: set[int] = set()

    def work(first: int, last: int) -> None:
        mine = threading.get_ident()
        if mine not in waited:
            waited.add(mine)
            meeting.wait()
        if (mine == caller) == (bad == "first"):
            raise ZeroDivisionError(bad)

    with pytest.raises(ZeroDivisionError, match=bad):
        run_ranges(work, 1000, 1)


def test_the_number_of_threads_is_that_of_the_usable_cores_or_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WSREG_THREADS", raising=False)
    assert thread_count() == usable_cores()
    if hasattr(os, "sched_getaffinity"):
        assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("WSREG_THREADS", "3")
    assert thread_count() == 3
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("WSREG_THREADS", wrong)
        with pytest.raises(
            InputError, match=rf"WSREG_THREADS must be a whole number of at least 1, got '{wrong}'"
        ):
            thread_count()


def test_a_process_ends_though_its_pool_lives_and_can_work_to_the_end() -> None:
    script = (
        "import atexit, os\n"
        "os.environ['WSREG_THREADS'] = '3'\n"
        "from wsreg.threads import run_ranges\n"
        "seen = []\n"
        "work = lambda first, last: seen.append(last - first)\n"
        "run_ranges(work, 100, 1)\n"
        "atexit.register(lambda: (run_ranges(work, 100, 1), print(sum(seen))))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.split() == ["200"]
    assert run.stderr == ""


def test_one_openmp_thread_is_of_the_calling_thread_alone() -> None:
    code = """
import threading, torch
from wsreg.threads import one_openmp_thread
torch.set_num_threads(3)
seen = []
try:
    with one_openmp_thread():
        seen.append(torch.get_num_threads())
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        raise KeyError
except KeyError:
    seen.append(torch.get_num_threads())
print(seen)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[1, 3, 3]\n"


@pytest.mark.parametrize(("method", "helpers"), [("fork", 4), ("spawn", 0)])
def test_helpers_share_this_ones_memory_or_are_none(
    method: str, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: method)
    monkeypatch.setattr("wsreg.threads.usable_cores", lambda: 5)
    assert cores_for_helpers() == helpers


def test_mkl_does_without_a_team_as_well_in_the_calling_thread_alone() -> None:
    if threads._mkl_setter() is None:
        pytest.skip("torch has no MKL here")
    torch.get_num_threads()  # which gives this thread its number
    before = threads._set_mkl_threads(3)
    with threads.one_openmp_thread():
        assert threads._set_mkl_threads(1) == 1
        with ThreadPoolExecutor(1) as other:
            assert other.submit(threads._set_mkl_threads, 0).result() != 1
    assert threads._set_mkl_threads(before) == 3
