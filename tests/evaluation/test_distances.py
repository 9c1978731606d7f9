"""Distances against worked examples: source-detector 1020 mm, patient 700 mm from the source."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.evaluation.distances import mpd_isocentre_mm, mpd_mm, mrpe_mm, mtre_3d_mm
from wsreg.geometry.camera import Camera

SDD_MM, PATIENT_MM = 1020.0, 700.0
MAGNIFICATION = SDD_MM / PATIENT_MM
CAMERA = Camera(
    source_to_detector_mm=SDD_MM, rows=1536, columns=1200, pixel_spacing_mm=(0.194, 0.25)
)
RING_MM = 80.0


def _pose(rotation: Tensor | None = None, shift: tuple[float, float, float] = (0, 0, 0)) -> Tensor:
    """The CT's origin at 700 mm on the optical axis, turned about itself, then shifted."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([0.0, 0.0, PATIENT_MM]) + torch.tensor(shift)
    if rotation is not None:
        pose[:3, :3] = rotation
    return pose


def _turn(axis: int, angle_deg: float) -> Tensor:
    generator = torch.zeros(3, dtype=torch.float64)
    generator[axis] = math.radians(angle_deg)
    x, y, z = generator.tolist()
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.linalg.matrix_exp(skew)


def _ring(half_size_mm: tuple[float, float, float] = (RING_MM, RING_MM, 0.0)) -> Tensor:
    """Landmarks around the optical axis, every second one nearer, the others farther."""
    x, y, z = half_size_mm
    angle = torch.arange(720, dtype=torch.float64) * (2 * math.pi / 720)
    near_far = torch.where(torch.arange(720) % 2 == 0, z, -z)
    return torch.stack((x * angle.cos(), y * angle.sin(), near_far), dim=-1)


def _all(landmarks: Tensor, estimated: Tensor) -> list[float]:
    true = _pose()
    return [
        mtre_3d_mm(landmarks, estimated, true).item(),
        mpd_mm(landmarks, estimated, true, CAMERA).item(),
        mpd_isocentre_mm(landmarks, estimated, true, CAMERA).item(),
        mrpe_mm(landmarks, estimated, true, CAMERA).item(),
    ]


def test_same_pose_has_no_distance() -> None:
    assert _all(_ring((80.0, 60.0, 30.0)), _pose()) == pytest.approx([0.0] * 4, abs=1e-10)


@pytest.mark.parametrize("shift", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
def test_one_mm_in_plane(shift: tuple[float, float, float]) -> None:
    found = _all(_ring(), _pose(shift=shift))
    assert found == pytest.approx([1.0, MAGNIFICATION, 1.0, MAGNIFICATION - 1.0], rel=1e-9)


def test_one_mm_of_depth() -> None:
    found = _all(_ring(), _pose(shift=(0.0, 0.0, 1.0)))
    on_detector = SDD_MM * RING_MM * (1 / 700 - 1 / 701)
    expected = [1.0, on_detector, on_detector / MAGNIFICATION, math.hypot(1.0, on_detector)]
    assert found == pytest.approx(expected, rel=1e-9)
    assert on_detector == pytest.approx(0.17, abs=0.005)


def test_one_degree_about_the_optical_axis_is_invisible_to_mrpe() -> None:
    found = _all(_ring(), _pose(rotation=_turn(2, 1.0)))
    chord = 2 * RING_MM * math.sin(math.radians(0.5))
    assert found == pytest.approx([chord, chord * MAGNIFICATION, chord, 0.0], rel=1e-9, abs=1e-9)
    assert chord == pytest.approx(1.40, abs=0.005)


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        (_pose(shift=(1.0, 0.0, 0.0)), (1.00, 1.47, 0.47)),
        (_pose(shift=(0.0, 0.0, 1.0)), (1.00, 0.17, 1.02)),
        (_pose(rotation=_turn(0, 1.0)), (1.14, 1.12, 5.78)),
        (_pose(rotation=_turn(2, 1.0)), (1.40, 2.03, 0.000)),
    ],
    ids=["in plane", "depth", "out of plane", "optical axis"],
)
def test_agrees_with_the_published_sensitivities_of_a_pelvis_sized_set(
    pose: Tensor, expected: tuple[float, float, float]
) -> None:
    tre, mpd, _, mrpe = _all(_ring((88.0, 72.0, 44.0)), pose)
    assert (tre, mpd, mrpe) == pytest.approx(expected, rel=0.025, abs=1e-9)


def test_landmark_behind_the_source_has_no_projected_distance() -> None:
    behind = torch.tensor([[0.0, 0.0, -PATIENT_MM - 1.0]])
    tre, mpd, isocentre, mrpe = _all(behind, _pose(shift=(1.0, 0.0, 0.0)))
    assert tre == pytest.approx(1.0)
    assert all(math.isnan(value) for value in (mpd, isocentre, mrpe))
