from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from tests.jobs.chores import chain, die_always, die_at_three, die_once, sleep, square
from tests.jobs.conftest import ROOT

from wsreg.errors import InputError, WsregError
from wsreg.jobs.crew import Call, call_crew, done_by
from wsreg.jobs.run import run
from wsreg.jobs.task import Task


@pytest.fixture(params=["dask", "plain"])
def two(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return what calls two processes to work, by Dask and without it."""
    if request.param == "plain":
        without_dask(monkeypatch)
    return partial(call_crew, processes=2)


def without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name)
    )


def test_two_processes_make_what_one_does_though_one_is_killed(
    tmp_path: Path, two: Call, here: Call
) -> None:
    tasks = [*chain(), Task(name="d", function=die_once, arguments={"number": 7})]
    expected = run(chain(), tmp_path / "here", here)
    made = run(tasks, tmp_path / "two", two)
    for name, folder in expected.folders.items():
        assert (made.folders[name] / "sum.txt").read_bytes() == (folder / "sum.txt").read_bytes()
        assert made.folders[name].name == folder.name
    assert (made.folders["d"] / "sum.txt").read_text() == "7"
    assert list((tmp_path / "two" / "unfinished").iterdir()) == []


def test_work_that_kills_whoever_does_it_is_given_up(tmp_path: Path, two: Call) -> None:
    with pytest.raises(WsregError, match="died again and again"):
        run([Task(name="a", function=die_always)], tmp_path, two)


def test_items_come_out_in_their_order_though_a_worker_dies(tmp_path: Path, two: Call) -> None:
    items = [(number, str(tmp_path / "died")) for number in range(6)]
    with two() as crew:
        assert list(done_by(crew, die_at_three, items)) == [0, 1, 4, 9, 16, 25]
        with pytest.raises(InputError, match="number must not be 13"):
            list(done_by(crew, square, [1, 13, 2]))
    assert (tmp_path / "died").exists()


def test_without_dask_a_scheduler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    without_dask(monkeypatch)
    with (
        pytest.raises(InputError, match=r'needs Dask: pip install "wsreg\[cluster\]"'),
        call_crew("tcp://127.0.0.1:1"),
    ):
        pass


def test_no_processes_are_refused() -> None:
    with pytest.raises(InputError, match="processes must be at least 1, got 0"), call_crew(None, 0):
        pass


PARENT = f"""\
import sys
sys.path.insert(0, {ROOT!r})
from functools import partial
from pathlib import Path
from tests.jobs.chores import chain, sleep
from wsreg.jobs.crew import call_crew
from wsreg.jobs.run import run
from wsreg.jobs.task import Task

if __name__ == "__main__":
    if sys.argv[2] == "plain":
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == "distributed" else find(name)
    long = Task(name="s", function=sleep, arguments={{"seconds": 60.0}}, needs=("end",))
    try:
        run([*chain(), long], Path(sys.argv[1]), partial(call_crew, processes=1))
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


@pytest.mark.parametrize("kind", ["dask", "plain"])
def test_a_parent_that_is_killed_takes_its_workers_along_and_results_stay(
    tmp_path: Path, kind: str, here: Call
) -> None:
    script, cache = tmp_path / "parent.py", tmp_path / "cache"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script), str(cache), kind]) as parent:
        worker = int(next(contents_of_a_file(cache, "unfinished/s-*/begun")))
        parent.send_signal(signal.SIGKILL)
    wait_until_gone(worker)
    made = run(chain(), cache, here)
    assert made.new == ()
    assert (made.folders["end"] / "sum.txt").read_text() == "14"
    again = Task(name="s", function=sleep, arguments={"seconds": 0.0}, needs=("end",))
    assert run([*chain(), again], cache, here).new == ("s",)


@pytest.mark.skipif(sys.platform == "win32", reason="groups of processes are POSIX")
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("kind", ["dask", "plain"])
def test_an_interrupt_of_all_processes_is_told_by_the_first_alone(
    tmp_path: Path, kind: str, early: bool
) -> None:
    script, cache = tmp_path / "parent.py", tmp_path / "cache"
    script.write_text(PARENT)
    words = [sys.executable, str(script), str(cache), kind]
    with subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stderr is not None
        children = workers_of(parent.pid)
        if not early:
            next(contents_of_a_file(cache, "unfinished/s-*/begun"))
            children = workers_of(parent.pid)
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
        assert parent.stderr.read() == b"interrupted\n"
    for child in children:
        wait_until_gone(child)


def workers_of(parent: int) -> list[int]:
    """Return the processes that another has begun, once there are any."""
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        found = psutil.Process(parent).children(recursive=True)
        workers = [child for child in found if "spawn_main" in " ".join(child.cmdline())]
        if workers:
            return [child.pid for child in found]
        time.sleep(0.01)
    raise AssertionError(f"process {parent} begins none")


def contents_of_a_file(folder: Path, pattern: str) -> Iterator[str]:
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        yield from filter(None, (path.read_text() for path in folder.glob(pattern)))
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {folder}")


def wait_until_gone(process: int) -> None:
    end = time.monotonic() + 30.0
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, f"process {process} is still there"
        time.sleep(0.05)
