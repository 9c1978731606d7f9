from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.reading import read_volume


def test_a_volume_with_labels_and_names(
    marked_ct: NDArray[np.int16],
    patient_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
    tmp_path: Path,
) -> None:
    ct = write_nifti(marked_ct, patient_affine)
    labels = write_nifti((marked_ct == 0).astype(np.uint8) * 7, patient_affine, "labels.nii.gz")
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"7": "hip_left"}))
    volume = read_volume(ct, labels, names)
    assert volume.hu.dtype == torch.int16
    assert volume.hu.is_contiguous()
    np.testing.assert_array_equal(volume.hu, marked_ct)
    np.testing.assert_allclose(volume.ct_from_voxel, patient_affine, atol=1e-4)
    assert volume.ct_from_voxel.dtype == torch.float64
    assert volume.labels is not None
    np.testing.assert_array_equal(volume.labels, (marked_ct == 0) * 7)
    assert volume.label_names == {7: "hip_left"}
    np.testing.assert_allclose(volume.spacing_mm, (14.0, 18.0, 50.0), atol=1e-4)


@pytest.mark.parametrize(
    ("voxels", "dtype"),
    [
        (np.array([-1000, 0, 32767], np.int32), torch.int16),
        (np.array([-1000, 0, 50000], np.int32), torch.float32),
        (np.array([-1000, 0, 3.0], np.float64), torch.int16),
        (np.array([-1000, 0, 3.5], np.float32), torch.float32),
        (np.array([-32768, 0, 1500], np.int16), torch.int16),  # padding below air
    ],
)
def test_int16_where_nothing_is_lost(
    voxels: NDArray[np.number],
    dtype: torch.dtype,
    patient_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
) -> None:
    voxels = np.resize(voxels, (3, 3, 3))
    volume = read_volume(write_nifti(voxels, patient_affine))
    assert volume.hu.dtype == dtype
    np.testing.assert_array_equal(volume.hu, voxels)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([-1000, 0, np.nan], "finite Hounsfield units"),
        ([-1000, 0, np.inf], "finite Hounsfield units"),
        ([-1000, -1000, -1000], "same value -1000 everywhere"),
        ([-1000, 0, 1e6], r"within -32768\.\.65535, got -1000\.\.1e\+06"),
        ([-40000, 0, 100], r"within -32768\.\.65535, got -40000\.\.100"),
        ([0, 0.2, 1], r"air -1000, water 0\), got 0\.\.1 .*scaled for display"),
        ([-1, 0.2, 1], r"air -1000, water 0\), got -1\.\.1 "),
        ([0, 1024, 4095], r"got 0\.\.4095 .*rescale intercept not applied"),
    ],
)
def test_what_cannot_be_hounsfield_units(
    values: list[float],
    message: str,
    patient_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
) -> None:
    path = write_nifti(np.resize(np.array(values, np.float32), (3, 3, 3)), patient_affine)
    with pytest.raises(InputError, match=message) as caught:
        read_volume(path)
    assert str(path) in str(caught.value)


def test_arguments_that_do_not_go_together(
    marked_ct: NDArray[np.int16],
    patient_affine: NDArray[np.float64],
    write_nifti: Callable[..., Path],
) -> None:
    path = write_nifti(marked_ct, patient_affine)
    with pytest.raises(InputError, match="label_names needs labels"):
        read_volume(path, label_names={1: "hip_left"})
    with pytest.raises(InputError, match="series_uid chooses within a DICOM folder"):
        read_volume(path, series_uid="1.2.3")


def test_an_empty_folder_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="slices of a CT series"):
        read_volume(tmp_path)
    with pytest.raises(InputError, match="no such image file"):
        read_volume(tmp_path / "nowhere.nii.gz")
