from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from wsreg.datasets.preparation import Preparation
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError

AS_STORED = Preparation(crop=0.0, blur=0.0, field=False)
Change = Callable[[Callable[[h5py.File], None]], Path]


def test_the_ct_lies_where_the_file_says(published: Path) -> None:
    with DeepFluoroFile(published) as file:
        assert file.specimens == ("17-1882",)
        assert file.projections("17-1882") == ("000", "001")
        volume = file.volume("17-1882")
        assert file.volume("17-1882") is volume
    assert volume.hu.shape == (4, 5, 6)
    voxel = torch.tensor([2.0, 1.0, 3.0, 1.0], dtype=torch.float64)
    # the published poses take a voxel's corner for its centre
    assert (volume.ct_from_voxel @ voxel).tolist() == [12.5, 21.5, 33.5, 1.0]
    with DeepFluoroFile(published, ct_shift_voxels=0.0) as file:
        unmoved = file.volume("17-1882").ct_from_voxel
    assert (unmoved @ voxel).tolist() == [12.0, 21.0, 33.0, 1.0]
    assert volume.hu[3, 1, 2] == 3 * 30 + 1 * 6 + 2
    assert volume.label_names[4] == "upper-sacrum"


VOXELS = torch.tensor([[0.0, 0, 0, 1], [2.0, 1.0, 3.0, 1.0]], dtype=torch.float64)
OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])
"""Columns are the directions of the voxel axes: turned in the plane, slices from top to bottom."""


def oblique(file: h5py.File) -> None:
    for name in ("vol", "vol-seg/image"):
        file[f"17-1882/{name}/dir-mat"][()] = OBLIQUE
        file[f"17-1882/{name}/spacing"][()] = np.array([[0.5], [1.0], [2.0]])


def places(path: Path, **options: Any) -> list[list[float]]:
    """Where two voxels lie (LPS mm)."""
    with DeepFluoroFile(path, **options) as file:
        return (VOXELS @ file.volume("17-1882").ct_from_voxel.T)[:, :3].tolist()


def test_a_published_ct_is_moved_half_a_voxel_along_its_own_axes(changed: Change) -> None:
    path = changed(oblique)
    # half a voxel: 0.25 mm along (0.8,0.6,0), 0.5 mm along (-0.6,0.8,0), 1 mm along (0,0,-1)
    assert places(path)[0] == pytest.approx([10.0 + 0.2 - 0.3, 20.0 + 0.15 + 0.4, 29.0])
    # voxel (2,1,3): 1 mm, 1 mm and 6 mm further along them
    assert places(path)[1] == pytest.approx([9.9 + 0.8 - 0.6, 20.55 + 0.6 + 0.8, 23.0])


def test_a_virtual_ct_is_not_moved(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        oblique(file)
        file.attrs["wsreg-record"] = "{}"

    assert places(changed(edit))[0] == pytest.approx([10.0, 20.0, 30.0])


@pytest.mark.parametrize("virtual", [False, True])
def test_the_move_of_a_ct_can_be_chosen(changed: Change, virtual: bool) -> None:
    def edit(file: h5py.File) -> None:
        oblique(file)
        if virtual:
            file.attrs["wsreg-record"] = "{}"

    path = changed(edit)
    assert places(path, ct_shift_voxels=0.0)[0] == pytest.approx([10.0, 20.0, 30.0])
    assert places(path, ct_shift_voxels=-1.0)[0] == pytest.approx([10.2, 18.9, 32.0])


@pytest.mark.parametrize("projection", ["000", "001"])
def test_poses_and_landmarks_agree_in_our_frame(published: Path, projection: str) -> None:
    with DeepFluoroFile(published, AS_STORED) as file:
        sample = file.sample("17-1882", projection)
    pose = sample.camera_from_ct
    assert torch.linalg.det(pose[:3, :3]).item() == pytest.approx(1.0)
    assert len(sample.landmarks_mm) == 14
    for name, point in sample.landmarks_mm.items():
        in_camera = pose[:3, :3] @ point + pose[:3, 3]
        assert 600.0 < in_camera[2] < 800.0
        seen = sample.camera.project(in_camera)
        torch.testing.assert_close(seen, sample.landmarks_px[name], rtol=0, atol=1e-3)
    # the head is up whichever way the file stores it, and we look from the source
    up = pose[:3, :3] @ torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert up.tolist() == pytest.approx([0.0, -1.0, 0.0], abs=1e-6)
    left = pose[:3, :3] @ torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    assert left.tolist() == pytest.approx([-1.0, 0.0, 0.0], abs=1e-6)
    assert sample.camera.source_to_detector_mm == pytest.approx(1000.0)


def test_pixels_follow_the_frame(published: Path) -> None:
    with DeepFluoroFile(published, AS_STORED) as file:
        upright, turned = (file.sample("17-1882", n) for n in ("000", "001"))
    assert torch.argmax(upright.radiograph.image).item() == 3 * 60 + (59 - 5)  # columns reversed
    assert torch.argmax(turned.radiograph.image).item() == (39 - 3) * 60 + 5  # rows reversed
    for sample in (upright, turned):
        assert sample.labels is not None
        assert sample.labels.dtype == torch.uint8
        assert torch.equal(sample.labels == 4, sample.radiograph.image > 3.0)
        assert sample.radiograph.image.max().item() == pytest.approx(math.log(65487 / 1000))


def test_a_femur_that_is_not_valid_has_no_pose(published: Path) -> None:
    with DeepFluoroFile(published) as file:
        sample = file.sample("17-1882", "000")
    assert sorted(sample.poses) == ["left-femur", "pelvis"]
    torch.testing.assert_close(sample.poses["left-femur"], sample.camera_from_ct)


def test_preparation_moves_everything_together(published: Path) -> None:
    settings = Preparation(crop=0.1, blur=0.0, size_px=24, field=False)  # 6 px off each side
    with DeepFluoroFile(published, AS_STORED) as file, DeepFluoroFile(published, settings) as small:
        whole, sample = file.sample("17-1882", "000"), small.sample("17-1882", "000")
    assert sample.radiograph.image.shape == (24, 24)
    assert sample.labels is not None
    assert sample.labels.shape == (24, 24)
    for name, point in sample.landmarks_mm.items():
        moved = sample.camera_from_ct[:3, :3] @ point + sample.camera_from_ct[:3, 3]
        seen = sample.camera.project(moved)
        torch.testing.assert_close(seen, sample.landmarks_px[name], rtol=0, atol=1e-3)
    assert whole.camera.columns == 60


def test_whole_numbers_and_plain_vectors_are_read_too(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        for name in ("vol/spacing", "vol/origin"):
            values = file["17-1882"][name][()].ravel()
            del file["17-1882"][name]
            file["17-1882"][name] = values
        pixels = file["17-1882/projections/000/image/pixels"][()].astype(np.uint16)
        del file["17-1882/projections/000/image/pixels"]
        file["17-1882/projections/000/image/pixels"] = pixels
        del file["proj-params/num-cols"]
        file["proj-params/num-cols"] = np.array([60])

    with DeepFluoroFile(changed(edit), AS_STORED) as file:
        sample = file.sample("17-1882", "000")
    assert sample.radiograph.image.max().item() == pytest.approx(math.log(65487 / 1000))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("proj-params/intrinsic", r"proj-params must have the dataset intrinsic, which is missing"),
        ("17-1882/vol", r"/17-1882 must have the group vol, which is missing"),
        ("17-1882/vol-seg/image/pixels", r"must have the dataset pixels"),
        ("17-1882/projections/000/gt-poses/cam-to-pelvis-vol", r"the dataset cam-to-pelvis-vol"),
        ("17-1882/projections/000/rot-180-for-up", r"the dataset rot-180-for-up"),
    ],
)
def test_what_is_missing_is_named(changed: Change, missing: str, message: str) -> None:
    def edit(file: h5py.File) -> None:
        del file[missing]

    path = changed(edit)
    with pytest.raises(InputError, match=message), DeepFluoroFile(path) as file:
        file.sample("17-1882", "000")
    with pytest.raises(InputError, match=message), DeepFluoroFile(path) as file:
        file.check("17-1882")


def test_a_whole_specimen_is_checked_without_its_pixels(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        file["17-1882/projections/000/image/pixels"][0, 0] = np.nan

    path = changed(edit)
    with DeepFluoroFile(path) as file:
        file.check("17-1882")
    with h5py.File(path, "r+") as file:
        for name in list(file["17-1882/projections"]):
            del file[f"17-1882/projections/{name}"]
    message = r"data set \S+\.h5 must have projections of specimen 17-1882, it has none"
    with pytest.raises(InputError, match=message), DeepFluoroFile(path) as file:
        file.check("17-1882")


def test_pixels_that_cannot_be_seen_through_stay_finite(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        file["17-1882/projections/000/image/pixels"][0, :3] = [0.0, -7.0, 70000.0]

    with DeepFluoroFile(changed(edit), AS_STORED) as file:
        image = file.sample("17-1882", "000").radiograph.image
    dense = math.log(65487)
    assert image[0].flip(0)[:3].tolist() == pytest.approx([dense, dense, 0.0])


@pytest.mark.parametrize(
    "name",
    ["proj-params/extrinsic", "17-1882/vol/pixels", "17-1882/projections/000/image/pixels"],
)
def test_numbers_that_are_none_are_named(changed: Change, name: str) -> None:
    def edit(file: h5py.File) -> None:
        file[name][(0,) * file[name].ndim] = np.nan

    path = changed(edit)
    with pytest.raises(InputError, match=f"{name} must be finite"), DeepFluoroFile(path) as file:
        file.sample("17-1882", "000")


def test_hounsfield_units_keep_their_values(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        file["17-1882/vol/pixels"][0, 0, 0] = 12.25

    with DeepFluoroFile(changed(edit)) as file:
        hu = file.volume("17-1882").hu
    assert hu.dtype == torch.float32
    assert hu[0, 0, 0] == 12.25


def test_wrong_shapes_and_types_are_named(changed: Change) -> None:
    def edit(file: h5py.File) -> None:
        del file["17-1882/vol-landmarks/FH-l"]
        file["17-1882/vol-landmarks/FH-l"] = np.zeros(4)
        del file["17-1882/projections/001/image/pixels"]
        file["17-1882/projections/001/image/pixels"] = np.full((40, 60), b"x")

    with DeepFluoroFile(changed(edit)) as file:
        with pytest.raises(InputError, match=r"FH-l must have the shape 3, got \[4\]"):
            file.landmarks_mm("17-1882")
        with pytest.raises(InputError, match=r"pixels must hold numbers"):
            file.sample("17-1882", "001")


def test_what_does_not_exist_is_answered_with_a_list(published: Path) -> None:
    with DeepFluoroFile(published) as file:
        with pytest.raises(InputError, match=r"no specimen '18-1109', it has 17-1882"):
            file.volume("18-1109")
        with pytest.raises(InputError, match=r"\.h5 has no projection '002', it has 000 to 001"):
            file.sample("17-1882", "002")


def test_files_that_are_none(tmp_path: Path, published: Path) -> None:
    with pytest.raises(InputError, match="there is none"):
        DeepFluoroFile(tmp_path / "nothing.h5")
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(InputError, match="must be an HDF5 file"):
        DeepFluoroFile(text)
    short = tmp_path / "short.h5"
    short.write_bytes(published.read_bytes()[: published.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cannot be read: .*truncated"):
        DeepFluoroFile(short)


def test_damaged_pixels_are_named(changed: Change) -> None:
    name = "17-1882/projections/000/image/pixels"

    def edit(file: h5py.File) -> None:
        pixels = file[name][:]
        del file[name]
        file.create_dataset(name, data=pixels, compression="gzip")

    path = changed(edit)
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset)
        stream.write(bytes(chunk.size))
    with (
        pytest.raises(InputError, match=f"{name} cannot be read"),
        DeepFluoroFile(path) as damaged,
    ):
        damaged.sample("17-1882", "000")


def test_a_file_open_for_writing_elsewhere_is_said(published: Path) -> None:
    hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "HDF5_USE_FILE_LOCKING": "TRUE"},
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match="is open for writing elsewhere"):
            DeepFluoroFile(published)
        other.communicate()
