"""A value far above tissue in the corners of slices is padding, wherever the slices run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wsreg.volumes.high_padding import without_high_padding
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.reading import read_volume

HU = analytic_phantom().hu.numpy()[40:120]
ROWS, COLUMNS = np.indices(HU.shape[1:])
ROUND = ((ROWS - 59.5) / 61) ** 2 + ((COLUMNS - 79.5) / 81) ** 2 < 1


@pytest.mark.parametrize(("value", "axis"), [(2500, 0), (31743, 0), (31743, 1), (3071, 2)])
def test_it_becomes_air(value: int, axis: int, write_nifti: Callable[..., Path]) -> None:
    truth = np.where(ROUND, HU, -1000).astype(np.int16)
    truth[30:40, 60:64, 80:83] = value  # saturated metal
    padded = np.where(ROUND, truth, value).astype(np.int16)
    padded, expected = (np.ascontiguousarray(np.moveaxis(v, 0, axis)) for v in (padded, truth))
    volume = read_volume(write_nifti(padded, np.diag([2.0, 2.0, 2.0, 1.0])))
    np.testing.assert_array_equal(volume.hu, expected)
    (note,) = (note for note in volume.notes if note.startswith("Warning"))
    assert f"{(~ROUND).mean():.1%} of the voxels have the value {value} " in note


@pytest.mark.parametrize("value", [65511.0, 70000.0])
def test_it_may_be_above_what_a_ct_holds(value: float, write_nifti: Callable[..., Path]) -> None:
    padded = np.where(ROUND, HU, value).astype(np.float32)
    volume = read_volume(write_nifti(padded, np.diag([2.0, 2.0, 2.0, 1.0])))
    np.testing.assert_array_equal(volume.hu, np.where(ROUND, HU, -1000))


def test_metal_and_bone_in_some_corners_stay() -> None:
    some = np.where(ROUND, HU, -1000).astype(np.int16)
    some[:30, :3, :3] = 3071
    some[:, -1, -1] = np.linspace(2000, 3000, len(some))
    voxels, note = without_high_padding(some)
    assert note == ""
    np.testing.assert_array_equal(voxels, some)
