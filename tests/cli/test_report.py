"""What is said of a result, of which all numbers are known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wsreg import Camera, Radiograph, RegistrationResult
from wsreg.cli.report import notes_of, result_lines
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.registration.result import BodyResult, Comparison, Verdict, VerdictStatus, ViewResult

CAMERA = Camera(source_to_detector_mm=1000.0, rows=4, columns=4, pixel_spacing_mm=(1.0, 1.0))
DEVIATION = torch.tensor([math.pi / 180] * 3 + [0.1, 0.2, 2.5], dtype=torch.float64)


def view(name: str, start: float, end: float) -> ViewResult:
    image = torch.zeros(4, 4)
    comparison = Comparison(
        camera=CAMERA, fixed=image, mask=image == 0, moving_start=image, moving_end=image,
        rois_end=torch.zeros(0, 4, 4),
    )  # fmt: skip
    return ViewResult(
        name=name, camera=CAMERA, camera_from_rig=torch.eye(4, dtype=torch.float64),
        similarity_start=start, similarity_end=end, comparison=comparison,
    )  # fmt: skip


def body(pose: Tensor, status: VerdictStatus, shown: float, *reasons: str) -> BodyResult:
    return BodyResult(
        labels=(1,), camera_from_ct=pose, shown=shown, standard_deviation=DEVIATION,
        pivot_mm=torch.tensor([0.0, 0.0, 50.0], dtype=torch.float64),
        verdict=Verdict(status=status, reasons=reasons),
    )  # fmt: skip


@pytest.fixture(name="result")
def _result() -> RegistrationResult:
    """A femur turned by 30 degrees about its pivot at 50 mm, which has moved by 2 mm."""
    pelvis = torch.eye(4, dtype=torch.float64)
    turn = exp_so3(torch.tensor([math.pi / 6, 0.0, 0.0], dtype=torch.float64))
    pivot = torch.tensor([0.0, 0.0, 50.0], dtype=torch.float64)
    moved = rigid(turn, pivot - turn @ pivot + torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64))
    bodies = {
        "pelvis": body(pelvis, "pass", 0.95, "It rose."),
        "femur": body(moved, "check", 0.04, "It is hardly shown."),
    }
    return RegistrationResult(
        camera_from_ct=pelvis, start_camera_from_ct=pelvis, camera=CAMERA, pivot_mm=pivot,
        verdict=bodies["pelvis"].verdict, similarity_start=0.1, similarity_end=0.8,
        standard_deviation=DEVIATION, iterations=1, renders=30, seconds={"total": 0.5},
        backend="reference", method="gauss-newton", init="pose", bodies=bodies,
        views=(view("ap", 0.4, 0.9), view("lat", 0.1, 0.8)),
    )  # fmt: skip


def test_everything_that_is_known_of_bodies_and_views(result: RegistrationResult) -> None:
    files = ["result.json", "pose.json", "pose-femur.json", "pose-femur.tfm", "pose-view-lat.json"]
    assert result_lines(result, Path("out"), files, ["ap: A note."]) == [
        "ap, lat: PASS",
        "  It rose.",
        "  similarity  0.400 -> 0.900  ap",
        "              0.100 -> 0.800  lat",
        "  time        0.50 s, 30 renderings",
        "  deviation   rotation 1.00 1.00 1.00 deg; across 0.10 0.20 mm; depth 2.50 mm "
        "(standard deviations)",
        "  bodies                      turned     moved    shown",
        "              pelvis  PASS                          95%",
        "              femur   CHECK  30.0 deg    2.0 mm      4%",
        "  femur: It is hardly shown.",
        "  files       out/: result.json, pose.json",
        "              pose-femur (.json, .tfm)",
        "              pose-view-lat.json",
        "  note: ap: A note.",
    ]


def test_notes_of_several_x_rays_say_which() -> None:
    image = torch.zeros(4, 4)
    ap, lat = (
        Radiograph(image=image, mask=image == 0, name=name, notes=("Cut.",)) for name in ("a", "b")
    )
    assert notes_of([ap]) == ["Cut."]
    assert notes_of([ap, lat]) == ["a: Cut.", "b: Cut."]
