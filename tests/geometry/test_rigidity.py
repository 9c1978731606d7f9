from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.rigid import exp_so3, rigid, rotation_angle_rad
from wsreg.geometry.rigidity import check_all_rigid, check_rigid, mended_rigid, off_orthonormal


def pose(vector: tuple[float, float, float] = (0.3, -0.2, 0.9)) -> Tensor:
    rotation = exp_so3(torch.tensor(vector, dtype=torch.float64))
    return rigid(rotation, torch.tensor([1.5, -2.0, 700.0], dtype=torch.float64))


def sheared(error: float) -> Tensor:
    """A matrix whose columns are off orthonormal by exactly this much."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[0, 1] = error
    return matrix


@pytest.mark.parametrize("seed", range(40))
def test_a_pose_with_three_decimals_is_taken_for_the_nearest_rotation(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(3, generator=generator, dtype=torch.float64)
    true = pose(tuple(vector.tolist()))
    rounded = true.clone()
    rounded[:3] = (true[:3] * 1e3).round() / 1e3
    mended, note = mended_rigid(rounded, "T")
    assert float(off_orthonormal(mended[:3, :3])) < 1e-14
    assert float(rotation_angle_rad(mended[:3, :3] @ true[:3, :3].T)) < math.radians(0.06)
    assert note is not None
    assert note.startswith("The rotation of T was orthonormal to ")


def test_the_note_tells_the_number() -> None:
    mended, note = mended_rigid(sheared(4e-4), "a.json")
    assert note == (
        "The rotation of a.json was orthonormal to 0.0004 only, as if rounded; the nearest "
        "rotation is taken."
    )
    # Half of a small shear is a turn, the other half is taken off.
    expected = exp_so3(torch.tensor([0.0, 0.0, -2e-4], dtype=torch.float64))
    torch.testing.assert_close(mended[:3, :3], expected, rtol=0, atol=1e-7)


def test_rounding_of_six_digits_is_silent() -> None:
    rounded = (pose() * 1e6).round() / 1e6
    assert mended_rigid(rounded, "T")[1] is None
    assert mended_rigid(pose().float().numpy(), "T")[1] is None


@pytest.mark.parametrize("error", [0.99e-3, -0.99e-3])
def test_up_to_a_thousandth_is_mended(error: float) -> None:
    assert mended_rigid(sheared(error), "T")[1] is not None


@pytest.mark.parametrize("error", [1.23e-3, 0.0234, -0.5])
def test_beyond_is_refused_with_the_number(error: float) -> None:
    with pytest.raises(InputError, match=f"off orthonormal by {abs(error):.2g}"):
        check_rigid(sheared(error), "T")


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (10.0, "it scales by 10, millimetres made from centimetres"),
        (0.1, "it scales by 0.1, centimetres made from millimetres"),
        (1000.0, "it scales by 1000, millimetres made from metres"),
        (0.001, "it scales by 0.001, metres made from millimetres"),
        (1.02, "it scales by 1.02)"),
    ],
)
def test_a_scale_is_named(scale: float, said: str) -> None:
    matrix = pose()
    matrix[:3, :3] *= scale
    with pytest.raises(InputError) as raised:
        check_rigid(matrix, "T")
    assert said in str(raised.value)


def test_a_mirror_is_named() -> None:
    mirrored = pose() @ torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
    with pytest.raises(InputError, match=r"determinant -1, .*; it mirrors\)"):
        check_rigid(mirrored, "T")
    mirrored[:3, :3] *= 10
    with pytest.raises(InputError, match="it mirrors; it scales by 10, "):
        check_rigid(mirrored, "T")


def test_every_pose_of_a_batch_is_checked() -> None:
    good = torch.stack((pose(), pose((0.0, 0.1, 0.0))))
    check_all_rigid(good.float().requires_grad_(), "poses")
    check_all_rigid(good[0], "poses")
    bad = good.clone()
    bad[1, 0, 0] += 0.1
    with pytest.raises(InputError, match="poses must be rigid"):
        check_all_rigid(bad, "poses")
    bad = good.clone()
    bad[1, 3, 0] = 0.5
    with pytest.raises(InputError, match="last row 0 0 0 1"):
        check_all_rigid(bad, "poses")


def test_arrays_are_matrices() -> None:
    assert torch.equal(check_rigid(np.eye(4), "T"), torch.eye(4, dtype=torch.float64))
