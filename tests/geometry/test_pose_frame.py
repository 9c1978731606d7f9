from __future__ import annotations

import math

import torch

from wsreg.geometry.camera import Camera
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.geometry.rigid import transform_points

CAMERA = Camera(source_to_detector_mm=1000.0, rows=64, columns=64, pixel_spacing_mm=(4.0, 4.0))
FRAME = PoseFrame(
    camera=CAMERA,
    view="PA",
    pivot_mm=(10.0, -20.0, 30.0),
    depth_mm=700.0,
    scale=(0.2, 0.3, 0.1, 40.0, 30.0, 50.0),
)


def test_noughts_are_the_view_with_the_pivot_in_the_middle() -> None:
    pose = FRAME.pose(torch.zeros(1, 6))[0]
    pivot = transform_points(pose, FRAME.pivot[None])[0]
    torch.testing.assert_close(pivot, torch.tensor([0.0, 0.0, 700.0], dtype=torch.float64))
    # PA: columns run to the patient's right (LPS -x), rows to the feet (-z), rays to the front.
    wanted = torch.tensor([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]], dtype=torch.float64)
    torch.testing.assert_close(pose[:3, :3], wanted)


def test_ones_are_the_units_about_the_pivot() -> None:
    shifted = FRAME.pose(torch.tensor([[0.0, 0.0, 0.0, 1.0, -1.0, 2.0]]))[0]
    pivot = transform_points(shifted, FRAME.pivot[None])[0]
    torch.testing.assert_close(pivot, torch.tensor([40.0, -30.0, 800.0], dtype=torch.float64))
    turned = FRAME.pose(torch.tensor([[0.0, 0.0, 2.0, 0.0, 0.0, 0.0]]))[0]
    relative = turned[:3, :3] @ FRAME.middle[:3, :3].T
    assert math.isclose(math.atan2(float(relative[1, 0]), float(relative[0, 0])), 0.2)
    torch.testing.assert_close(
        transform_points(turned, FRAME.pivot[None])[0],
        torch.tensor([0.0, 0.0, 700.0], dtype=torch.float64),
    )


def test_numbers_and_poses_undo_each_other() -> None:
    numbers = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(FRAME.numbers(FRAME.pose(numbers)), numbers)
