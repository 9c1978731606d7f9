"""The trace as a table, and what is listed, replaced and removed with a result."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import torch

from wsreg.outputs.result_files import read_result, write_result
from wsreg.outputs.trace_files import TRACE_FILES, trace_columns, trace_rows
from wsreg.registration.result import RegistrationResult
from wsreg.registration.trace_step import TraceStep

MakeResult = Callable[..., RegistrationResult]
Traced = Callable[..., tuple[TraceStep, ...]]


def test_a_row_for_each_step_and_body(
    two_of_each: RegistrationResult, make_trace: Traced, tmp_path: Path
) -> None:
    trace = make_trace(bodies=2, views=2, roi_dice={"pelvis": 0.5, "left-femur": 0.75})
    write_result(dataclasses.replace(two_of_each, trace=trace), tmp_path / "out", inputs={})
    with (tmp_path / "out" / "trace.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["body"] for row in rows] == ["pelvis", "left-femur"] * 4
    assert [row["step"] for row in rows] == list("00112233")
    assert [row["accepted"] for row in rows[::2]] == ["true", "true", "false", "true"]
    assert rows[0]["stage"] == "start"
    assert rows[0]["damping"] == ""
    assert rows[-1]["damping"] == "0.002"
    assert rows[-1]["level"] == "2"
    assert rows[-1]["roi_dice"] == "0.625"
    assert rows[-1]["roi_dice_left-femur"] == "0.75"
    pose = [float(rows[-1][f"camera_from_ct_{r}{c}"]) for r in range(4) for c in range(4)]
    assert torch.tensor(pose, dtype=torch.float64).reshape(4, 4).equal(trace[-1].camera_from_ct[1])


def test_without_regions_there_is_no_column_of_one(
    make_result: MakeResult, make_trace: Traced
) -> None:
    result = make_result(trace=make_trace())
    assert not [name for name in trace_columns(result) if name.startswith("roi_dice_")]
    assert {row["roi_dice"] for row in trace_rows(result)} == {""}


def test_its_files_are_listed_and_go_when_a_result_without_one_comes(
    make_result: MakeResult, make_trace: Traced, tmp_path: Path
) -> None:
    files = write_result(make_result(trace=make_trace()), tmp_path, inputs={})
    assert files[-3:] == list(TRACE_FILES)
    assert read_result(tmp_path)["files"] == files
    assert set(files) == set(os.listdir(tmp_path))
    (tmp_path / "mine.csv").touch()
    write_result(make_result(), tmp_path, inputs={})
    assert not set(TRACE_FILES) & set(os.listdir(tmp_path))
    assert (tmp_path / "mine.csv").exists()


def test_files_of_these_names_that_no_result_lists_stay(
    make_result: MakeResult, tmp_path: Path
) -> None:
    (tmp_path / "trace.csv").write_text("mine")
    write_result(make_result(), tmp_path, inputs={})
    assert (tmp_path / "trace.csv").read_text() == "mine"
