from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.outputs.motion_figure import motion_figure, movement
from wsreg.outputs.sequence_files import write_sequence
from wsreg.outputs.sequence_picture import sequence_picture, shown_frames
from wsreg.outputs.sequence_tables import COLUMNS, POSE_COLUMNS, write_poses
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import Verdict
from wsreg.registration.sequence.result import (
    FrameBody,
    FrameResult,
    SequenceBody,
    SequenceResult,
)
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.views import view_pose

CAMERA = Camera(source_to_detector_mm=1000.0, rows=48, columns=64, pixel_spacing_mm=(6.0, 6.0))
LOST = 1


@pytest.fixture(name="ct", scope="module")
def _ct() -> PreparedCt:
    return PreparedCt(volume=analytic_phantom())


@pytest.fixture(name="result", scope="module")
def _result(ct: PreparedCt) -> SequenceResult:
    """Four frames of two bodies that move by a third of a millimetre and 1 degree a frame."""
    start = view_pose(ct.volume, CAMERA)
    rate = torch.tensor([0.0, 0.0, math.radians(1.0), 1 / 3, 0.0, 0.0], dtype=torch.float64)
    found, lost = (
        Verdict(status="pass", reasons=("Good.",)),
        Verdict(status="fail", reasons=("The frame is blank: it holds noise alone.",)),
    )
    frames = []
    for number in range(4):
        pose = perturb(start, number * rate, ct.volume.centre_mm)
        one = FrameBody(
            camera_from_ct=None if number == LOST else pose,
            verdict=lost if number == LOST else found,
        )
        frames.append(
            FrameResult(
                number=number, name=f"f{number}", found_by="none" if number == LOST else "tracked",
                bodies={"pelvis": one, "rest": one},
            )
        )  # fmt: skip
    centre = ct.volume.centre_mm
    label = ct.volume.label_values[-1]
    return SequenceResult(
        frames=tuple(frames),
        bodies={
            "pelvis": SequenceBody(labels=(label,), pivot_mm=centre),
            "rest": SequenceBody(labels=(), pivot_mm=centre),
        },
        camera=CAMERA,
        seconds=2.0,
        config={"seed": 0, "nothing": math.nan},
    )


@pytest.fixture(name="frames", scope="module")
def _frames(ct: PreparedCt, result: SequenceResult) -> list[Radiograph]:
    image = render(ct.volume, CAMERA, view_pose(ct.volume, CAMERA))[0, 0]
    return [Radiograph(image=image, camera=CAMERA, name=one.name) for one in result.frames]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_poses_have_all_digits_and_a_row_for_each_frame_and_body(
    result: SequenceResult, tmp_path: Path
) -> None:
    write_poses(result, tmp_path / "poses.csv")
    rows = rows_of(tmp_path / "poses.csv")
    assert tuple(rows[0]) == COLUMNS
    assert COLUMNS[:2] == ("frame", "body")
    assert COLUMNS[18:20] == ("verdict", "reason")
    assert [(row["frame"], row["body"]) for row in rows[:3]] == [
        ("0", "pelvis"), ("0", "rest"), ("1", "pelvis"),
    ]  # fmt: skip
    pose = torch.tensor([float(rows[6][name]) for name in POSE_COLUMNS], dtype=torch.float64)
    true = result.frames[3].bodies["pelvis"].camera_from_ct
    assert true is not None
    assert torch.equal(pose.reshape(4, 4), true)
    assert [rows[2][name] for name in POSE_COLUMNS] == [""] * 16
    assert (rows[2]["verdict"], rows[2]["found_by"]) == ("fail", "none")
    assert "blank" in rows[2]["reason"]


def test_all_files_of_a_sequence(
    result: SequenceResult, frames: list[Radiograph], ct: PreparedCt, tmp_path: Path
) -> None:
    inputs = {"xray": {"name": "cine.dcm", "sha256": "00"}}
    files = write_sequence(
        result, tmp_path / "out", frames=frames, ct=ct, inputs=inputs, notes=["Noted."],
        smooth_frames=1.0,
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(files)
    record = json.loads((tmp_path / "out" / "sequence.json").read_text())
    assert record["frames"] == 4
    assert record["verdicts"] == {"pass": 3, "check": 0, "fail": 1}
    assert record["lost"] == [LOST]
    assert record["frames_per_second"] == 2.0
    assert record["config"] == {"seed": 0, "nothing": None}
    assert (record["inputs"], record["notes"], record["smooth_frames"]) == (inputs, ["Noted."], 1.0)
    smooth = rows_of(tmp_path / "out" / "poses-smoothed.csv")
    found = rows_of(tmp_path / "out" / "poses.csv")
    assert smooth[2]["camera_from_ct_00"] == ""
    assert smooth[0]["camera_from_ct_03"] != found[0]["camera_from_ct_03"]
    # what was smoothed before is not left beside poses that were not
    write_sequence(result, tmp_path / "out", frames=frames, ct=ct, inputs=inputs)
    assert not (tmp_path / "out" / "poses-smoothed.csv").exists()
    with pytest.raises(InputError, match="deviation_frames"):
        write_sequence(
            result, tmp_path / "new", frames=frames, ct=ct, inputs=inputs, smooth_frames=-1.0
        )
    assert not (tmp_path / "new").exists()


def test_movement_is_that_since_the_first_frame_found(result: SequenceResult) -> None:
    moved = movement(result.poses("pelvis"), result.bodies["pelvis"].pivot_mm)
    assert torch.isnan(moved[LOST]).all()
    expected = torch.tensor([0.0, 0.0, math.radians(3.0), 1.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(moved[3], expected, atol=1e-9, rtol=0)
    nothing: list[Tensor | None] = [None, None]
    assert torch.isnan(movement(nothing, torch.zeros(3))).all()


def test_the_figure_has_two_panels_for_each_body(result: SequenceResult) -> None:
    figure = motion_figure(result)
    assert len(figure.axes) == 4
    turns = np.asarray(figure.axes[0].lines[2].get_ydata())
    assert turns[3] == pytest.approx(3.0)
    assert len(figure.axes[0].patches) == 1, "the lost frame is shaded"


def test_the_picture_frames_tiles_in_the_colour_of_their_verdict(
    result: SequenceResult, frames: list[Radiograph], ct: PreparedCt
) -> None:
    picture = sequence_picture(result, frames, ct)
    assert isinstance(picture, Image.Image)
    width = 256 + 10
    colours = [picture.getpixel((10 + column * width - 2, 20)) for column in range(4)]
    assert colours[0] == colours[2] == colours[3] == (0x2E, 0x9E, 0x5B)
    assert colours[LOST] == (0xD6, 0x45, 0x45)


def test_lost_frames_are_shown_and_others_spread_evenly(result: SequenceResult) -> None:
    assert shown_frames(result) == [0, 1, 2, 3]
    assert shown_frames(result, 2) == [0, 1]
