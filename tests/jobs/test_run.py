from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.jobs.chores import add, chain, fill_the_disk, refuse, stumble

import wsreg.jobs.run as run_module
from wsreg.errors import WsregError
from wsreg.jobs.cache import RECORD_FILE
from wsreg.jobs.crew import Call
from wsreg.jobs.progress import Progress
from wsreg.jobs.run import missing, run
from wsreg.jobs.task import Task


def total(folder: Path) -> str:
    return (folder / "sum.txt").read_text()


def no_one() -> None:
    raise AssertionError("no workers are needed")


def test_results_are_made_in_order_and_said(tmp_path: Path, here: Call) -> None:
    told: list[Progress] = []
    made = run(chain(), tmp_path / "cache", here, tell=told.append)
    assert [total(made.folders[name]) for name in ("one", "two", "end")] == ["1", "3", "14"]
    assert made.new == ("one", "two", "end")
    assert told[0].text == "0 of 3 tasks done, about 3 s left"
    assert told[-1].text == "3 of 3 tasks done (end)"
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == sorted(
        ["unfinished", *(folder.name for folder in made.folders.values())]
    )
    assert list((tmp_path / "cache" / "unfinished").iterdir()) == []


def test_a_second_run_does_nothing_and_calls_no_one(tmp_path: Path, here: Call) -> None:
    first = run(chain(), tmp_path, here)
    said: list[str] = []
    again = run(chain(), tmp_path, no_one, say=said.append)  # type: ignore[arg-type]
    assert again.folders == first.folders
    assert again.new == ()
    assert said == [f"nothing to do: all 3 results are in {tmp_path}"]


def test_only_what_is_missing_is_made(tmp_path: Path, here: Call) -> None:
    log = tmp_path / "log.txt"
    run([chain(str(log))[2]], tmp_path / "cache", here)
    assert [task.name for task in missing(chain(str(log)), tmp_path / "cache")] == ["two", "end"]
    run(chain(str(log)), tmp_path / "cache", here)
    assert log.read_text() == "1\n2\n10\n"
    assert missing(chain(str(log)), tmp_path / "cache") == []


def test_an_input_file_with_other_content_is_another_result(tmp_path: Path, here: Call) -> None:
    data = tmp_path / "data.txt"
    task = Task(name="a", function=add, arguments={"number": 1}, files={"data": data})
    data.write_text("5")
    first = run([task], tmp_path / "cache", here).folders["a"]
    data.write_text("7")
    second = run([task], tmp_path / "cache", here).folders["a"]
    assert (total(first), total(second)) == ("6", "8")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "sum.txt").unlink(), "sum.txt is missing"),
        (lambda folder: (folder / "sum.txt").write_text(""), "sum.txt has another size"),
        (lambda folder: (folder / "sum.txt").write_text("7"), "sum.txt is garbled"),
        (lambda folder: (folder / "more.txt").write_text(""), "more.txt is not part of it"),
        (lambda folder: (folder / RECORD_FILE).unlink(), "made.json is missing or garbled"),
        (lambda folder: (folder / RECORD_FILE).write_text("[]"), "made.json is missing or garbled"),
        (
            lambda folder: (folder / RECORD_FILE).write_text(
                re.sub(r'"bytes": \d+', '"bytes": 1e999', (folder / RECORD_FILE).read_text())
            ),
            "made.json is missing or garbled",
        ),
    ],
)
def test_a_damaged_result_is_made_again_and_said(
    tmp_path: Path, here: Call, harm: object, words: str
) -> None:
    folders = run(chain(), tmp_path, here).folders
    harm(folders["two"])  # type: ignore[operator]
    said: list[str] = []
    made = run(chain(), tmp_path, here, say=said.append)
    assert made.new == ("two",)
    assert total(folders["two"]) == "3"
    assert said == [f"{folders['two']} is damaged ({words}) and made again"]


def test_results_of_another_version_are_not_used_and_said(tmp_path: Path, here: Call) -> None:
    folder = run(chain(), tmp_path, here).folders["one"]
    record = json.loads((folder / RECORD_FILE).read_text())
    record["recipe"]["wsreg"] = "0.1.0"
    (folder / RECORD_FILE).write_text(json.dumps(record))
    folder.rename(folder.with_name("one-0123456789abcdef"))
    said: list[str] = []
    made = run(chain(), tmp_path, here, say=said.append)
    assert made.new == ("one",)
    assert said == [f"results of wsreg 0.1.0 in {tmp_path} are not used; delete them if you like"]


def test_a_task_that_fails_holds_up_only_what_needs_it(tmp_path: Path, here: Call) -> None:
    bad = Task(name="bad", function=refuse, arguments={"reason": "no such specimen"})
    after = Task(name="after", function=add, arguments={"number": 1}, needs=("bad",))
    said: list[str] = []
    with pytest.raises(WsregError, match=r"1 of 5 tasks failed, 1 wait .*no such specimen.*3 res"):
        run([bad, after, *chain()], tmp_path, here, say=said.append)
    assert said == ["bad failed: no such specimen"]
    assert run(chain(), tmp_path, here).new == ()


def test_a_mistake_in_the_code_of_a_task_is_raised_as_it_is(tmp_path: Path, here: Call) -> None:
    with pytest.raises(ZeroDivisionError):
        run([Task(name="a", function=stumble)], tmp_path, here)


def test_a_full_disk_is_one_sentence_and_leaves_no_result(tmp_path: Path, here: Call) -> None:
    with pytest.raises(WsregError, match=r"cannot write to .*No space left on device"):
        run([Task(name="a", function=fill_the_disk)], tmp_path, here)
    assert [p.name for p in tmp_path.iterdir()] == ["unfinished"]


def test_a_disk_that_is_full_when_the_record_is_written_leaves_no_result(
    tmp_path: Path, here: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device")

    expected = total(run(chain(), tmp_path / "undisturbed", here).folders["end"])
    with monkeypatch.context() as patch:
        patch.setattr("wsreg.jobs.cache.write_json", full)
        with pytest.raises(WsregError, match="No space left"):
            run(chain(), tmp_path / "cache", here)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["unfinished"]
    made = run(chain(), tmp_path / "cache", here)
    assert total(made.folders["end"]) == expected
    assert made.new == ("one", "two", "end")


def test_time_left_is_told_between_tasks(
    tmp_path: Path, here: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_NEWS", 0.0)
    told: list[Progress] = []
    run(chain(), tmp_path, here, tell=told.append)
    assert {p.done for p in told} == {0, 1, 2, 3}
