from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from distributed import LocalCluster
from tests.jobs.chores import chain, square

import wsreg.jobs.dask_crew as dask_crew
from wsreg.errors import InputError, WsregError
from wsreg.jobs.crew import Call, call_crew, done_by
from wsreg.jobs.dask_crew import check_workers, on_worker
from wsreg.jobs.run import run
from wsreg.jobs.task import WSREG


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler with a worker, as another person would have begun it."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


def test_workers_of_a_scheduler_that_is_there(
    scheduler: str, tmp_path: Path, here: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run(chain(), Path("cache"), lambda: call_crew(scheduler))
    assert (made.folders["end"] / "sum.txt").read_text() == "14"
    assert run(chain(), tmp_path / "cache", here).new == ()
    with call_crew(scheduler) as crew:
        assert crew.size() == 1
        assert list(done_by(crew, square, [2, 3])) == [4, 9]
        assert list(done_by(crew, os.path.abspath, ["x"])) == [str(tmp_path / "x")]


def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_crew, "SECONDS_TO_ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(InputError, match=f"scheduler {address} cannot be"), call_crew(address):
            pass


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((1, "0.1.0"), f"must have wsreg {WSREG}, got 0.1.0 at tcp://a"),
        ((1, ModuleNotFoundError("No module named 'wsreg'")), "got none .No module named 'wsreg'"),
        ((4, WSREG), "one thread each .*, got 4 at tcp://a"),
    ],
)
def test_workers_that_do_not_fit_are_one_sentence(found: tuple[int, object], message: str) -> None:
    check_workers({"tcp://b": (1, WSREG)})
    with pytest.raises(InputError, match=message):
        check_workers({"tcp://b": (1, WSREG), "tcp://a": found})


def test_a_worker_that_came_later_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"must have wsreg 0.1.0, got {WSREG}"):
        on_worker("0.1.0", str(tmp_path), square, (2,), {})
    with pytest.raises(InputError, match="workers must see the folder"):
        on_worker(WSREG, str(tmp_path / "nowhere"), square, (2,), {})
    assert on_worker(WSREG, str(tmp_path), square, (2,), {}) == 4


class _SlowToDie:
    """A cluster whose processes have been killed and are not gone yet."""

    reason: type[Exception] = TimeoutError

    def __init__(self, **options: object) -> None:
        pass

    def close(self) -> None:
        raise self.reason


@pytest.mark.parametrize("reason", [TimeoutError, AssertionError])
def test_work_that_is_done_does_not_fail_with_processes_that_end_slowly(
    monkeypatch: pytest.MonkeyPatch, reason: type[Exception]
) -> None:
    monkeypatch.setattr(dask_crew, "LocalCluster", _SlowToDie)
    monkeypatch.setattr(_SlowToDie, "reason", reason)
    with dask_crew._local_cluster(2) as cluster:
        assert isinstance(cluster, _SlowToDie)


def test_a_cluster_is_closed_when_killed_processes_are_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []

    class Returning:
        def nthreads(self) -> dict[str, int]:
            events.append("look")
            return {str(number): 1 for number in range(min(len(events), 2))}

    dask_crew._wait_for_restarts(Returning(), 2)
    assert events == ["look", "look"]
    monkeypatch.setattr(dask_crew, "SECONDS_TO_ANSWER", 0.2)
    dask_crew._wait_for_restarts(Returning(), 3)  # one does not come back

    @contextmanager
    def named(name: str) -> Iterator[str]:
        yield name
        events.append(name)

    monkeypatch.setattr(dask_crew, "_local_cluster", lambda count: named("cluster"))
    monkeypatch.setattr(dask_crew, "Client", named)
    monkeypatch.setattr(dask_crew, "_wait_for_restarts", lambda *_: events.append("wait"))
    with ExitStack() as stack:
        dask_crew._begin(None, 2, stack)
        events.clear()
    assert events == ["wait", "cluster", "cluster"]


@pytest.mark.parametrize("failures", [2, 3])
def test_a_process_that_dies_at_its_beginning_is_begun_again(
    monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    begun: list[int] = []

    class Frail(_SlowToDie):
        def __init__(self, **settings: object) -> None:
            begun.append(len(begun))
            if len(begun) <= failures:
                raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(dask_crew, "LocalCluster", Frail)
    if failures < dask_crew.ATTEMPTS:
        with dask_crew._local_cluster(2) as cluster:
            assert isinstance(cluster, Frail)
    else:
        message = "processes cannot be begun: Nanny failed to start; run the command again"
        with pytest.raises(WsregError, match=message), dask_crew._local_cluster(2):
            pass
    assert len(begun) == 3
