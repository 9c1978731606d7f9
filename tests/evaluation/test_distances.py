"""Distances against worked examples: source-detector 1020 mm, patient 700 mm from the source."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsreg.evaluation.distances import (
    mpd_isocentre_mm,
    mpd_mm,
    mrpe_mm,
    mtre_3d_mm,
    mtre_diffpose_mm,
    re_deg,
    rotation_vector_difference_deg,
    te_mm,
    translation_vector_difference_mm,
)
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
    turn: Tensor = torch.linalg.matrix_exp(skew)
    return turn


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
        (_pose(shift=(1.0, 0.0, 0.0)), (1.00, 1.47, 0.47, 0.091)),
        (_pose(shift=(0.0, 0.0, 1.0)), (1.00, 0.17, 1.02, 0.197)),
        (_pose(rotation=_turn(0, 1.0)), (1.14, 1.12, 5.78, 1.12)),
        (_pose(rotation=_turn(2, 1.0)), (1.40, 2.03, 0.000, 0.000)),
    ],
    ids=["in plane", "depth", "out of plane", "optical axis"],
)
def test_agrees_with_the_published_sensitivities_of_a_pelvis_sized_set(
    pose: Tensor, expected: tuple[float, float, float, float]
) -> None:
    landmarks = _ring((88.0, 72.0, 44.0))
    tre, mpd, _, mrpe = _all(landmarks, pose)
    diffpose = mtre_diffpose_mm(landmarks, pose, _pose(), CAMERA).item()
    assert (tre, mpd, mrpe, diffpose) == pytest.approx(expected, rel=0.025, abs=1e-9)


def test_landmark_behind_the_source_has_no_projected_distance() -> None:
    behind = torch.tensor([[0.0, 0.0, -PATIENT_MM - 1.0]])
    tre, mpd, isocentre, mrpe = _all(behind, _pose(shift=(1.0, 0.0, 0.0)))
    assert tre == pytest.approx(1.0)
    assert all(math.isnan(value) for value in (mpd, isocentre, mrpe))


def test_landmark_behind_the_source_spoils_its_own_pose_only() -> None:
    landmarks = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 500.0]])
    turned_away = _pose(rotation=_turn(0, 180.0), shift=(0.0, 0.0, -300.0))
    poses = torch.stack((_pose(shift=(1.0, 0.0, 0.0)), turned_away))
    for found in (
        mpd_mm(landmarks, poses, _pose(), CAMERA),
        mpd_isocentre_mm(landmarks, poses, _pose(), CAMERA),
        mrpe_mm(landmarks, poses, _pose(), CAMERA),
        mtre_diffpose_mm(landmarks, poses, _pose(), CAMERA),
    ):
        assert found.isnan().tolist() == [False, True]
    assert mtre_3d_mm(landmarks, poses, _pose()).isfinite().all()


def test_a_batch_of_poses_gives_each_its_own_distance() -> None:
    landmarks, true = _ring((80.0, 60.0, 30.0)), _pose()
    poses = torch.stack([_pose(rotation=_turn(axis, 3.0), shift=(1, 2, 3)) for axis in range(3)])
    together = [
        mtre_3d_mm(landmarks, poses, true),
        mpd_mm(landmarks, poses, true, CAMERA),
        mpd_isocentre_mm(landmarks, poses, true, CAMERA),
        mrpe_mm(landmarks, poses, true, CAMERA),
    ]
    for n, pose in enumerate(poses):
        assert _all(landmarks, pose) == pytest.approx([float(values[n]) for values in together])
    assert re_deg(poses, true).tolist() == pytest.approx([3.0] * 3)
    assert te_mm(torch.zeros(3), poses, true).tolist() == pytest.approx([math.sqrt(14.0)] * 3)
    assert rotation_vector_difference_deg(poses, true).tolist() == pytest.approx([3.0] * 3)
    assert translation_vector_difference_mm(poses, true, CAMERA).shape == (3,)


def test_diffpose_multiplies_by_its_own_pixel_pitch_unless_told() -> None:
    landmarks, moved = _ring(), _pose(shift=(1.0, 0.0, 0.0))
    found = mtre_diffpose_mm(landmarks, moved, _pose(), CAMERA)
    assert float(found) == pytest.approx(0.194 * (MAGNIFICATION - 1.0))
    found = mtre_diffpose_mm(landmarks, moved, _pose(), CAMERA, pixel_mm=0.5)
    assert float(found) == pytest.approx(0.5 * (MAGNIFICATION - 1.0))


def test_re_is_the_angle_between_two_turned_poses() -> None:
    assert float(re_deg(_pose(rotation=_turn(0, 7.0)), _pose())) == pytest.approx(7.0)
    first, second = _turn(1, 50.0), _turn(1, 50.0) @ _turn(2, 179.9)
    found = re_deg(_pose(rotation=first), _pose(rotation=second))
    assert float(found) == pytest.approx(179.9)


def test_te_is_where_the_pivot_went() -> None:
    turned = _pose(rotation=_turn(2, 90.0), shift=(0.0, 0.0, 5.0))
    assert float(te_mm(torch.zeros(3), turned, _pose())) == pytest.approx(5.0)
    aside = torch.tensor([12.0, 0.0, 0.0])
    assert float(te_mm(aside, turned, _pose())) == pytest.approx(math.sqrt(2 * 144 + 25))


def test_rotation_vectors_are_compared_the_short_way_around() -> None:
    true = _pose(rotation=_turn(0, 179.0))
    for angle, expected in ((178.0, 1.0), (181.0, 2.0), (-179.0, 2.0), (179.0, 0.0)):
        found = rotation_vector_difference_deg(_pose(rotation=_turn(0, angle)), true)
        assert float(found) == pytest.approx(expected, abs=1e-6)
    assert float(rotation_vector_difference_deg(_pose(), _pose())) == 0.0


def test_rotation_vectors_depend_on_the_axes() -> None:
    """Rotation vectors (90, 0, 0) and (0, 90, 0) degrees, but 120 degrees between the poses."""
    first, second = _pose(rotation=_turn(0, 90.0)), _pose(rotation=_turn(1, 90.0))
    found = rotation_vector_difference_deg(first, second)
    assert float(found) == pytest.approx(90.0 * math.sqrt(2.0))
    assert float(re_deg(first, second)) == pytest.approx(120.0)


def test_translation_vectors_say_where_the_middle_of_the_axis_lies_in_the_ct() -> None:
    """It is 190 mm from the CT's origin: a turn about the origin moves it, and not the pivot."""
    turned = _pose(rotation=_turn(0, 2.0))
    chord = 2 * (PATIENT_MM - SDD_MM / 2) * math.sin(math.radians(1.0))
    assert float(translation_vector_difference_mm(turned, _pose(), CAMERA)) == pytest.approx(chord)
    moved = _pose(shift=(3.0, 4.0, 0.0))
    assert float(translation_vector_difference_mm(moved, _pose(), CAMERA)) == pytest.approx(5.0)
