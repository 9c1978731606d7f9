"""Batches that were stopped go on, and end with what an undisturbed one gives."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsreg.cli.kept import Kept
from wsreg.cli.register import Register

Stop = Callable[[int], None]


class Killed(BaseException):
    """Stands for a signal that nothing can catch."""


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Return what has a batch killed when it has finished so many X-rays, or never."""
    original = Register._register

    def stop_after(count: int) -> None:
        done: list[Any] = []

        def register(self: Register, *words: Any) -> Any:
            if len(done) == count:
                raise Killed
            done.append(original(self, *words))
            return done[-1]

        monkeypatch.setattr(Register, "_register", register)

    return stop_after


@pytest.fixture
def xrays(case: Any, tmp_path: Path) -> tuple[Path, ...]:
    paths = tuple(tmp_path / f"{name}.npy" for name in "abc")
    for number, path in enumerate(paths):
        np.save(path, np.load(case.xray) + 0.001 * number)
    return paths


def table(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def times(out: Path, names: Sequence[str]) -> list[int]:
    return [(out / name / "result.json").stat().st_mtime_ns for name in names]


def killed(case: Any, out: Path, xrays: tuple[Path, ...], *more: object) -> None:
    with pytest.raises(Killed):
        case.register("--quiet", *more, out=out, xrays=xrays)


def test_a_killed_batch_goes_on_where_it_was(
    case: Any, xrays: tuple[Path, ...], stop: Stop, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    stop(2)
    killed(case, tmp_path / "out", xrays)
    assert [row["name"] for row in table(tmp_path / "out")] == ["a", "b"]
    before = times(tmp_path / "out", "ab")
    assert case.register("--quiet", out=tmp_path / "out", xrays=xrays) == 2
    assert "--force" in capsys.readouterr().err
    stop(9)
    assert case.register("--resume", out=tmp_path / "out", xrays=xrays) == 0
    assert "2 of 3 X-rays are finished and stay" in capsys.readouterr().err
    assert times(tmp_path / "out", "ab") == before
    assert case.register("--quiet", out=tmp_path / "calm", xrays=xrays) == 0
    assert table(tmp_path / "out") == table(tmp_path / "calm")
    for name in "abc":
        poses = {(tmp_path / out / name / "pose.json").read_bytes() for out in ("out", "calm")}
        assert len(poses) == 1
    stop(0)  # nothing is left to do
    assert case.register("--quiet", "--resume", out=tmp_path / "out", xrays=xrays) == 0


def test_what_changed_or_is_damaged_is_made_again(
    case: Any, xrays: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert case.register("--quiet", out=out, xrays=xrays) == 0
    np.save(xrays[1], np.load(case.xray) + 0.5)
    (out / "c" / "pose.json").write_text("{}")
    (out / "summary.csv").unlink()
    before = times(out, "abc")
    assert case.register("--resume", out=out, xrays=xrays) == 0
    assert "1 of 3 X-rays are finished" in capsys.readouterr().err
    after = times(out, "abc")
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, False]
    assert len(table(out)) == 3
    assert json.loads((out / "c" / "pose.json").read_text())["camera_from_ct"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--seed", 3), "differs in config, options"),
        (("--slicer",), "differs in options"),
        (("--force",), "got both"),
    ],
)
def test_another_batch_is_refused_and_left_alone(
    case: Any, xrays: tuple[Path, ...], stop: Stop, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], more: tuple[object, ...], said: str,
) -> None:  # fmt: skip
    stop(1)
    killed(case, tmp_path / "out", xrays)
    before = (tmp_path / "out" / "register.journal").read_bytes()
    assert case.register("--quiet", "--resume", *more, out=tmp_path / "out", xrays=xrays) == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "out" / "register.journal").read_bytes() == before


def test_one_x_ray_has_nothing_to_go_on_with(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert case.register("--resume", out=tmp_path / "out") == 2
    assert "--resume is for several X-rays" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_forced_batch_leaves_nothing_of_the_one_before(
    case: Any, xrays: tuple[Path, ...], registered: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(registered, out)  # of one X-ray
    shutil.copytree(registered, out / "a")
    (out / "mine.txt").write_text("")
    np.save(xrays[0], np.ones((96, 96)))  # which cannot be registered now
    assert case.register("--quiet", "--force", out=out, xrays=xrays) == 1
    assert set(os.listdir(out)) == {"a", "b", "c", "mine.txt", "summary.csv", "register.journal"}
    assert os.listdir(out / "a") == []
    assert [bool(row["error"]) for row in table(out)] == [True, False, False]


def test_a_journal_that_is_damaged_loses_only_what_follows(
    case: Any, xrays: tuple[Path, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    assert case.register("--quiet", out=out, xrays=xrays) == 0
    journal = out / "register.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], lines[2][:40] + b"\0" + lines[2][41:], lines[3]]))
    before = times(out, "abc")
    assert case.register("--resume", out=out, xrays=xrays) == 0
    assert "damaged in line 3" in caplog.text
    assert [old == new for old, new in zip(before, times(out, "abc"), strict=True)] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("row", [{}, {"files": 3}, {"files": {"a": 1}}, {"files": {}, "xray": 1}])
def test_rows_that_are_none_are_made_again(row: dict[str, Any], tmp_path: Path) -> None:
    xray = tmp_path / "a.npy"
    xray.write_text("")
    kept = Kept(path=tmp_path / "j", setup={}, xrays=[xray], folders=[tmp_path / "a"], resume=True)
    journal = kept.begin()
    assert journal is not None
    journal.append({"name": "a", **row})
    assert kept.outcomes() == {}
