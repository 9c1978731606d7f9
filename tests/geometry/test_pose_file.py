from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.pose_file import pose_record, read_pose
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.geometry.rigidity import check_rigid


def pose() -> Tensor:
    rotation = exp_so3(torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64))
    return rigid(rotation, torch.tensor([1.5, -2.0, 700.0], dtype=torch.float64))


def write(folder: Path, **changed: Any) -> Path:
    path = folder / "pose.json"
    path.write_text(json.dumps({**pose_record(pose()), **changed}))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    read = read_pose(write(tmp_path))
    assert read.dtype == torch.float64
    torch.testing.assert_close(read, pose(), rtol=0.0, atol=1e-15)


def test_the_record_is_that_of_the_conventions() -> None:
    record = pose_record(pose().float().requires_grad_())
    assert set(record) == {"camera_from_ct", "frame", "units"}
    assert (record["frame"], record["units"]) == ("LPS", "mm")
    assert record["camera_from_ct"][3] == [0.0, 0.0, 0.0, 1.0]
    json.dumps(record)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("frame", "RAS", "frame must be 'LPS', got 'RAS'"),
        ("units", "m", "units must be 'mm', got 'm'"),
        ("units", None, "units must be 'mm', got None"),
    ],
)
def test_other_frames_and_units_are_refused(
    tmp_path: Path, field: str, value: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=rf"pose\.json: {message}"):
        read_pose(write(tmp_path, **{field: value}))


@pytest.mark.parametrize(
    "matrix", ["identity", None, [[1, 2], [3]], [["a"] * 4] * 4, {"a": 1}, [[10**400] * 4] * 4]
)
def test_a_matrix_must_hold_numbers(tmp_path: Path, matrix: Any) -> None:
    with pytest.raises(InputError, match=r"camera_from_ct must be a 4x4 matrix of numbers"):
        read_pose(write(tmp_path, camera_from_ct=matrix))


def test_unknown_and_missing_fields_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown fields extrinsic"):
        read_pose(write(tmp_path, extrinsic=1))
    path = tmp_path / "bare.json"
    path.write_text(json.dumps({"camera_from_ct": pose().tolist()}))
    with pytest.raises(InputError, match=r"bare\.json lacks frame, units"):
        read_pose(path)


def test_a_file_with_a_matrix_that_is_not_rigid_is_named(tmp_path: Path) -> None:
    matrix = torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0])).tolist()
    with pytest.raises(
        InputError, match=r"pose\.json: camera_from_ct must be rigid.*determinant 2"
    ):
        read_pose(write(tmp_path, camera_from_ct=matrix))


@pytest.mark.parametrize(
    ("diagonal", "determinant"),
    [
        ((1.0, 1.0, -1.0), "-1"),
        ((0.001, 0.001, 0.001), "1e-09"),
        ((2.0, 0.5, 1.0), "1"),
        ((0, 1, 1), "0"),
    ],
)
def test_the_determinant_is_named(diagonal: tuple[float, ...], determinant: str) -> None:
    matrix = torch.diag(torch.tensor([*diagonal, 1.0], dtype=torch.float64))
    with pytest.raises(InputError, match=rf"T must be rigid, .*\(determinant {determinant}, "):
        check_rigid(matrix, "T")


def test_rounding_noise_is_taken_off() -> None:
    rounded = (pose() * 1e5).round() / 1e5
    cleaned = check_rigid(rounded, "T")
    rotation = cleaned[:3, :3]
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(rotation @ rotation.T, identity, rtol=0.0, atol=1e-14)
    torch.testing.assert_close(cleaned, rounded, rtol=0.0, atol=1e-5)
    assert torch.equal(cleaned[:, 3], rounded[:, 3])


def test_more_than_rounding_is_refused() -> None:
    matrix = pose()
    matrix[0, 0] += 1e-3
    with pytest.raises(InputError, match="must be rigid"):
        check_rigid(matrix, "T")


@pytest.mark.parametrize("form", [list, tuple])
def test_rows_of_numbers_and_arrays_are_matrices(form: type) -> None:
    expected = check_rigid(pose(), "T")
    assert torch.equal(check_rigid(pose().tolist(), "T"), expected)
    assert torch.equal(check_rigid(form(pose().numpy()), "T"), expected)
    assert torch.equal(check_rigid(pose().numpy(), "T"), expected)


@pytest.mark.parametrize(
    ("matrix", "got"),
    [
        (None, "None"),
        ("pose", "'pose'"),
        ([[1, 0], [0]], r"\[\[1, 0\], \[0\]\]"),
        ([["1", "0"]], r"\[\['1', '0'\]\]"),
    ],
)
def test_what_is_no_matrix_is_one_sentence(matrix: object, got: str) -> None:
    with pytest.raises(InputError, match=rf"^T must be a 4x4 matrix of numbers, got {got}$"):
        check_rigid(matrix, "T")


def test_shape_last_row_and_nan_are_checked() -> None:
    with pytest.raises(InputError, match=r"T must be a 4x4 matrix, got \[3, 4\]"):
        check_rigid(pose()[:3], "T")
    with pytest.raises(InputError, match=r"T must have the last row 0 0 0 1, got \[0.0, 0.0, 1.0"):
        check_rigid(torch.cat((pose()[:3], pose()[2:3].round())), "T")
    bad = pose()
    bad[1, 3] = torch.nan
    with pytest.raises(InputError, match="T must be finite"):
        check_rigid(bad, "T")
