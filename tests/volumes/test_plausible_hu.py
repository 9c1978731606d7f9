"""Hounsfield units that cannot be are told; what scanners and crops give is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.grey_scale import to_hounsfield
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.plausible_hu import hounsfield_doubt
from wsreg.volumes.reading import read_volume

PHANTOM = analytic_phantom()
HU: NDArray[np.int64] = PHANTOM.hu.numpy().astype(int)
NOISY = HU + np.random.default_rng(4).normal(0, 35, HU.shape)
assert PHANTOM.labels is not None
BONES: NDArray[np.bool_] = PHANTOM.labels.numpy() > 0
_ROWS, _COLUMNS = np.indices(HU.shape[1:])
OUTSIDE = np.broadcast_to(((_ROWS - 59.5) / 60) ** 2 + ((_COLUMNS - 79.5) / 80) ** 2 > 1, HU.shape)


@pytest.mark.parametrize(
    "hu",
    [
        HU,
        NOISY,
        NOISY[30:130, 45:75, 60:100],  # no air around the body
        NOISY[130:, 30:90, 20:70],  # a lung and a few ribs
        np.where(OUTSIDE, -2048, HU),
        np.where(OUTSIDE, -3024, NOISY),
        np.where(BONES, HU, -1000),
        np.where(BONES & (HU > 600), HU, -1024)[60:100],
        np.clip(NOISY, -1024, 3071),
        NOISY + 20,  # a scanner out of calibration
        np.where(_COLUMNS < 8, 3071, HU),  # metal
    ],
)
def test_what_can_be_hounsfield_units(hu: NDArray[np.float64]) -> None:
    assert hounsfield_doubt(hu) == ""


@pytest.mark.parametrize("hu", [HU, NOISY], ids=["clean", "noisy"])
@pytest.mark.parametrize(
    ("slope", "offset"),
    [
        (1, 1020),  # as stored, with a few values below 0
        (0.6, 580),  # a cone-beam CT's
        (1, 424),
        (1, -7168),
        (1, -1024),  # the intercept twice
        (-1, 900),
        (-1, -2072),
        (2, 1024),
        (0.5, -512),
    ],
)
def test_another_scale_is_told(hu: NDArray[np.float64], slope: float, offset: float) -> None:
    assert hounsfield_doubt(hu * slope + offset) != ""
    assert hounsfield_doubt(np.where(OUTSIDE, -2000, hu + 1024)) != ""


def test_a_file_with_another_scale_is_refused(
    write_nifti: Callable[..., Path],
) -> None:
    path = write_nifti((NOISY * 0.8 + 790).astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0]))
    said = (
        r"ct\.nii\.gz must hold Hounsfield units .*peaks at .*slope or inter.*--ct-intensity cbct"
    )
    with pytest.raises(InputError, match=said):
        read_volume(path)
    hu = read_volume(path, intensity="cbct").hu.numpy()
    muscle = HU == 40
    assert abs(np.median(hu[muscle]) - 40) <= 20


@pytest.mark.parametrize(("slope", "offset"), [(-1.0, 0.0), (-0.4, 1500.0), (-2e-5, 0.03)])
def test_greys_that_fall_with_attenuation_are_refused(slope: float, offset: float) -> None:
    for hu in (HU, NOISY):
        with pytest.raises(InputError, match="grow with attenuation, but they seem inverted"):
            to_hounsfield(hu * slope + offset, None, "ct.nii")
