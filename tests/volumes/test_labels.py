from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.volumes.label_names import read_label_names
from wsreg.volumes.labels import read_labels
from wsreg.volumes.voxel_image import VoxelImage


@pytest.fixture
def ct(oblique_affine: NDArray[np.float64]) -> VoxelImage:
    return VoxelImage(np.zeros((8, 20, 24), np.int16), oblique_affine)


def _block(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    labels[2:6, 5:15, 6:18] = 3
    return labels


def test_the_same_grid(ct: VoxelImage, write_nifti: Callable[..., Path]) -> None:
    labels = _block(ct.voxels.shape)
    found = read_labels(write_nifti(labels, ct.ct_from_voxel), ct).values
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, labels)


def test_values_above_255_and_floating_point_files(
    ct: VoxelImage, write_itk: Callable[..., Path]
) -> None:
    labels = _block(ct.voxels.shape).astype(np.float32) * 100
    found = read_labels(write_itk(labels, ct.ct_from_voxel, "seg.nrrd"), ct).values
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, labels)


def test_a_finer_and_flipped_grid_lands_on_the_same_voxels(
    ct: VoxelImage, write_nifti: Callable[..., Path]
) -> None:
    labels = _block(ct.voxels.shape)
    fine = labels.repeat(3, 0).repeat(3, 1).repeat(3, 2)[:, ::-1, :]
    fine_to_coarse = np.diag([1 / 3, -1 / 3, 1 / 3, 1.0])
    fine_to_coarse[:3, 3] = (-1 / 3, ct.voxels.shape[1] - 1 + 1 / 3, -1 / 3)
    path = write_nifti(fine, ct.ct_from_voxel @ fine_to_coarse)
    np.testing.assert_array_equal(read_labels(path, ct).values, labels)


def test_a_grid_cut_to_the_labels(ct: VoxelImage, write_nifti: Callable[..., Path]) -> None:
    labels = _block(ct.voxels.shape)
    shift = np.eye(4)
    shift[:3, 3] = (6, 5, 2)
    path = write_nifti(labels[2:6, 5:15, 6:18], ct.ct_from_voxel @ shift)
    np.testing.assert_array_equal(read_labels(path, ct).values, labels)


def test_the_grid_of_another_patient(ct: VoxelImage, write_nifti: Callable[..., Path]) -> None:
    for steps, fits in ((2, True), (8, False), (100, False)):
        elsewhere = ct.ct_from_voxel.copy()
        elsewhere[:3, 3] += steps * ct.ct_from_voxel[:3, 2]
        path = write_nifti(_block(ct.voxels.shape), elsewhere)
        if fits:
            assert read_labels(path, ct).values.any()
        else:
            with pytest.raises(InputError, match=r"only 0% of .*another patient's grid"):
                read_labels(path, ct)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0, 0], "only background"),
        ([0, 1, 1.5], "whole numbers"),
        ([0, 1, -1], r"0\.\.32767, got -1\.\.1"),
        ([0, 1, 40000], r"0\.\.32767, got 0\.\.40000"),
        ([0, 1, np.nan], r"0\.\.32767, got nan"),
    ],
)
def test_values_that_are_no_labels(
    values: list[float], message: str, ct: VoxelImage, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(np.resize(np.array(values, np.float32), ct.voxels.shape), ct.ct_from_voxel)
    with pytest.raises(InputError, match=message):
        read_labels(path, ct)


def test_names_from_mapping_json_and_csv(tmp_path: Path) -> None:
    expected = {1: "hip_left", 25: "sacrum"}
    (tmp_path / "a.json").write_text('{"1": "hip_left", "25": "sacrum"}')
    (tmp_path / "b.csv").write_text("group,n,structure,id\nbones,9,hip_left,1\nbones,8,sacrum,25")
    (tmp_path / "c.csv").write_text("id, name\n1, hip_left\n25, sacrum\n")
    assert read_label_names(expected) == expected
    assert read_label_names(None) == {}
    for name in ("a.json", "b.csv", "c.csv"):
        assert read_label_names(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "must be valid JSON"),
        ("a.json", '["hip_left"]', r'must be like \{"1": "hip_left"\}'),
        ("a.json", '{"hip_left": 1}', "whole-number labels, got 'hip_left': 1"),
        ("a.csv", "label,text\n1,hip", r"columns id and structure .* got \['label', 'text'\]"),
        ("a.csv", "id,name\nx,hip", "whole-number labels, got 'x': 'hip'"),
        ("a.json", '{"1": "hip", "1": "sacrum"}', "1 repeatedly"),
        ("a.json", '{"1": "hip", "01": "sacrum"}', "1 is 'hip' and 'sacrum'"),
        ("a.json", '{"1": {"name": "hip"}}', "whole-number labels, got '1': {'name': 'hip'}"),
        ("a.json", '{"1": null}', "whole-number labels, got '1': None"),
        ("a.csv", "id,name\n1,hip\n2,sacrum\n1,femur", "1 is 'hip' and 'femur'"),
        ("a.csv", "id,name\n1", r"a name in each line, got \['1'\]"),
        ("a.csv", "id,name\n1.5,hip", "whole-number labels, got '1.5': 'hip'"),
        ("a.txt", "1 hip", r"lines of a colour table, .* got '1 hip'"),
        ("a.ini", "1 hip", r"must be a file that ends in \.json, \.csv, "),
    ],
)
def test_names_that_cannot_be_read(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_label_names(tmp_path / name)
    with pytest.raises(InputError, match=r"cannot be read|does not exist|ends in"):
        read_label_names(tmp_path / "nowhere" / name)
