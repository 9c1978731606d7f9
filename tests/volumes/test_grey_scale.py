from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.grey_scale import to_hounsfield
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.reading import read_volume

HU: NDArray[np.int16] = analytic_phantom().hu.numpy()
_ROWS, _COLUMNS = np.indices(HU.shape[1:])
ROUND = ((_ROWS - 59.5) / 60) ** 2 + ((_COLUMNS - 79.5) / 80) ** 2 < 1


@pytest.mark.parametrize(
    ("slope", "offset", "dtype"),
    [
        (1.0, 1024.0, np.uint16),  # Hounsfield units without their intercept
        (1.7, 1900.0, np.int16),
        (2e-5, 0.02, np.float32),  # attenuation in 1/mm
        (0.2, 200.0, np.int32),  # the same times 10 000
        (0.5, -700.0, np.float32),  # negative throughout the body
        (1 / 4000, 0.3, np.float64),  # 0 to 1
    ],
)
def test_any_linear_scale_comes_back(slope: float, offset: float, dtype: type) -> None:
    values = HU * slope + offset
    greys: NDArray[Any] = (np.rint(values) if np.issubdtype(dtype, np.integer) else values).astype(
        dtype
    )
    hu, note = to_hounsfield(greys, None, "ct.nii")
    assert hu.dtype == np.int16
    assert np.abs(hu - HU.astype(int)).max() <= 20
    assert "is air (-1000 HU)" in note
    words = note.split()
    assert float(words[words.index("soft") - 1]) == pytest.approx(
        offset + 40 * slope, abs=20 * slope
    )


def test_noise_and_padding_outside_a_round_field() -> None:
    noise = np.random.default_rng(2).normal(0, 40, HU.shape)
    for padding in (0.0, 250.0):  # below and at the grey value of air
        greys = np.where(ROUND, (HU + noise) * 0.5 + 750, padding).astype(np.float32)
        hu, _ = to_hounsfield(greys, None, "ct.nii")
        muscle = np.broadcast_to(ROUND, HU.shape) & (HU == 40)
        assert np.abs(np.median(hu[muscle]) - 40) <= 20
        air = np.broadcast_to(ROUND, HU.shape) & (HU == -1000)
        # noise below air is cut off, half of it
        assert np.median(hu[air]) <= -980
        assert (hu[:, ~ROUND] <= -980).all()


def test_a_given_scale_is_taken() -> None:
    greys = np.array([100.0, 600.0, 1100.0, 50.0]).reshape(2, 2, 1)
    hu, note = to_hounsfield(greys, (100.0, 600.0), "ct.nii")
    assert hu.ravel().tolist() == [-1000, 0, 1000, -1000]
    assert "100 is air, 600 water" in note
    for scale in ((600.0, 100.0), (5.0, 5.0), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="air must be below that of water"):
            to_hounsfield(greys, scale, "ct.nii")


@pytest.mark.parametrize("name", ["no air", "nothing", "noise"])
def test_a_histogram_without_two_peaks_is_refused(name: str) -> None:
    rng = np.random.default_rng(1)
    body = rng.normal(1000, 20, (40, 40, 40))
    body[:10] = rng.normal(900, 20, (10, 40, 40))  # fat beside muscle
    body[30:, :10] = rng.uniform(1100, 2200, (10, 10, 40))
    greys = {"no air": body, "nothing": rng.normal(0, 1, (20, 20, 20)),
             "noise": rng.uniform(0, 1, (64, 64, 64))}[name]  # fmt: skip
    with pytest.raises(InputError, match=r"ct\.nii must show air and soft tissue .*--ct-scale"):
        to_hounsfield(greys, None, "ct.nii")


def test_a_cone_beam_ct_is_read_as_asked_only(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image((HU + 1024).astype(np.uint16).T, np.diag([2.0, 2.0, 2.0, 1.0]))
    nibabel.save(image, tmp_path / "cbct.nii.gz")
    with pytest.raises(InputError, match=r"Hounsfield units .*--ct-intensity cbct"):
        read_volume(tmp_path / "cbct.nii.gz")
    volume = read_volume(str(tmp_path / "cbct.nii.gz"), intensity="cbct")
    assert np.abs(volume.hu.numpy() - HU.astype(int)).max() <= 20
    assert any("soft tissue (40 HU)" in note for note in volume.notes)
    exact = read_volume(tmp_path / "cbct.nii.gz", intensity="cbct", scale=(24.0, 1024.0))
    np.testing.assert_array_equal(exact.hu.numpy(), HU)
    with pytest.raises(InputError, match=r"--ct-scale.* needs .*cbct"):
        read_volume(tmp_path / "cbct.nii.gz", scale=(24.0, 1024.0))
    with pytest.raises(InputError, match="intensity must be one of"):
        read_volume(tmp_path / "cbct.nii.gz", intensity="grey")  # type: ignore[arg-type]
