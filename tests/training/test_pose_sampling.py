from __future__ import annotations

import math

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import rigid
from wsreg.training.pose_sampling import POSE_RANGES, PoseRange, empty_fraction, sample_numbers


def test_diffposes_distribution() -> None:
    poses = POSE_RANGES["diffpose"]
    assert poses.scale == pytest.approx((0.2, 0.25, 0.1, 70.0, 50.0, 90.0))
    assert poses.depth_fraction * 1020.0 == pytest.approx(510.0 + 250.0)


def test_the_numbers_are_normally_distributed_and_cut_off() -> None:
    drawn = sample_numbers(PoseRange(cut_sd=2.0), seed=0, number=5, count=4096)
    assert drawn.shape == (4096, 6)
    assert float(drawn.abs().max()) <= 2.0
    torch.testing.assert_close(drawn.mean(dim=0), torch.zeros(6).double(), atol=5e-3, rtol=0.0)
    # Of a normal distribution cut at 2 deviations, 1 - 2 * 2 phi(2) / (2 Phi(2) - 1).
    density = math.exp(-2.0) / math.sqrt(2.0 * math.pi)
    variance = 1.0 - 4.0 * density / math.erf(math.sqrt(2.0))
    torch.testing.assert_close(
        drawn.var(dim=0), torch.full((6,), variance, dtype=torch.float64), atol=5e-3, rtol=0.0
    )


def test_a_batch_is_stratified() -> None:
    drawn = sample_numbers(PoseRange(), seed=3, number=7, count=32)
    below = (drawn < 0).sum(dim=0)  # a Sobol sequence halves every axis
    assert below.tolist() == [16] * 6


def test_all_follows_from_seed_and_number() -> None:
    first, again, other, seeded = (
        sample_numbers(PoseRange(), seed, number, 8)
        for seed, number in ((1, 4), (1, 4), (1, 5), (2, 4))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, seeded)


def test_poses_that_show_nothing_are_counted_and_refused() -> None:
    camera = Camera(
        source_to_detector_mm=1000.0, rows=10, columns=10, pixel_spacing_mm=(10.0, 10.0)
    )
    points = torch.zeros(4, 3, dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    # At half the distance, 24 mm beside the axis is 48 mm beside the middle of a detector of 100.
    shifts = [(x, 0.0, 500.0) for x in (0.0, 24.0, -24.0, 10.0, 20.0, 26.0)]
    poses = torch.stack([rigid(eye, torch.tensor(shift, dtype=torch.float64)) for shift in shifts])
    assert empty_fraction(points, camera, poses) == pytest.approx(1 / 6)
    with pytest.raises(InputError, match=r"33% of its poses leave the detector of 100 x 100 mm"):
        empty_fraction(points, camera, poses[[0, 1, 5]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_sd_mm": 0.0}, "must be positive and finite"),
        ({"cut_sd": math.nan}, "must be positive and finite"),
        ({"depth_fraction": 1.0}, "must be between 0 and 1, got 1.0"),
    ],
)
def test_ranges_that_cannot_be(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PoseRange(**changes)  # type: ignore[arg-type]
