from __future__ import annotations

from pathlib import Path

import pytest
from tests.jobs.chores import add, chain

from wsreg.errors import InputError
from wsreg.jobs.task import Task, in_order, key_of, recipes_of


def task(name: str = "a", **options: object) -> Task:
    return Task(name=name, function=add, **options)  # type: ignore[arg-type]


def key(*tasks: Task) -> str:
    return key_of(recipes_of(tasks)[tasks[-1].name])


def test_each_task_comes_after_what_it_needs() -> None:
    assert [t.name for t in in_order(chain())] == ["one", "two", "end"]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([task("a"), task("a")], "got a twice"),
        ([task("a", needs=("b",))], "task a needs unknown tasks: b"),
        ([task("a", needs=("b",)), task("b", needs=("a",))], "need each other: a, b"),
    ],
)
def test_what_is_no_graph_is_refused(tasks: list[Task], message: str) -> None:
    with pytest.raises(InputError, match=message):
        in_order(tasks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b"}, "must be letters"),
        ({"name": ".work"}, "must be letters"),
        ({"arguments": {"path": Path()}}, "must be plain values"),
        ({"arguments": {"x": float("nan")}}, "must be plain values"),
        ({"seconds": 0.0}, "above 0"),
    ],
)
def test_a_task_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        task(**options)  # type: ignore[arg-type]


def test_a_function_that_no_other_process_can_import_is_refused() -> None:
    with pytest.raises(InputError, match="defined in a module"):
        Task(name="a", function=lambda place: None)


def test_the_key_tells_what_the_result_depends_on_and_nothing_else(tmp_path: Path) -> None:
    data, copy, other = tmp_path / "data", tmp_path / "copy", tmp_path / "other"
    data.write_text("1")
    copy.write_text("1")
    other.write_text("2")
    same = key(task(arguments={"number": 1}, files={"data": data}))
    assert key(task(arguments={"number": 1}, files={"data": copy}, seconds=5.0)) == same
    different = [
        key(task(arguments={"number": 2}, files={"data": data})),
        key(task(arguments={"number": 1}, files={"data": other})),
        key(task(arguments={"number": 1}, files={"mask": data})),
        key(task(arguments={"number": 1}, files={"data": data}, version=2)),
    ]
    assert len({same, *different}) == 5


def test_the_key_changes_with_those_of_what_is_needed() -> None:
    end = task("end", needs=("a",))
    first = key(task("a", arguments={"number": 1}), end)
    assert key(task("a", arguments={"number": 1}), end) == first
    assert key(task("a", arguments={"number": 2}), end) != first
