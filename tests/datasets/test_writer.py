from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.datasets.preparation import Preparation
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.writer import CohortWriter, Projection
from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1020.0, rows=30, columns=40, pixel_spacing_mm=(2.0, 3.0))
AS_STORED = Preparation(crop=0.0, blur=0.0, field=False)
NAMES = ("left-hemipelvis", "right-hemipelvis", "vertebrae", "upper-sacrum", "left-femur",
         "right-femur")  # fmt: skip


@pytest.fixture
def volume() -> Volume:
    ct_from_voxel = torch.diag(torch.tensor([1.5, 1.5, 1.5, 1.0], dtype=torch.float64))
    ct_from_voxel[:3, 3] = torch.tensor([-7.0, 3.0, -900.0])
    generator = torch.Generator().manual_seed(0)
    return Volume(
        hu=torch.randint(-1000, 2000, (5, 6, 7), generator=generator, dtype=torch.int16),
        labels=torch.randint(0, 7, (5, 6, 7), generator=generator, dtype=torch.uint8),
        ct_from_voxel=ct_from_voxel,
        label_names=dict(enumerate(NAMES, start=1)),
    )


def make_projection(turned: bool) -> Projection:
    generator = torch.Generator().manual_seed(1)
    pose = rigid(
        exp_so3(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)),
        torch.tensor([5.0, -3.0, 700.0], dtype=torch.float64),
    )
    return Projection(
        image=torch.rand((30, 40), generator=generator) * 60000 + 1000,
        labels=torch.randint(0, 7, (30, 40), generator=generator, dtype=torch.uint8),
        landmarks_px={"FH-l": torch.tensor([3.25, 7.5], dtype=torch.float64)},
        poses={"pelvis": pose, "left-femur": pose @ pose, "right-femur": pose},
        valid={"right-femur": False},
        rot_180_for_up=turned,
        record={"seed": 3},
    )


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_written_is_read(tmp_path: Path, volume: Volume, turned: bool) -> None:
    path, projection = tmp_path / "cohort.h5", make_projection(turned)
    head = torch.tensor([93.2, 37.9, -941.5], dtype=torch.float64)
    with CohortWriter(path, CAMERA, record={"seed": 0}) as writer:
        writer.write_specimen("17-1882", volume, {"FH-l": head}, record={"sex": "male"})
        writer.write_projection("17-1882", "000", projection)
    with DeepFluoroFile(path, AS_STORED) as file:
        assert file.record == {"seed": 0}
        sample = file.sample("17-1882", "000")
    assert torch.equal(sample.volume.hu, volume.hu)
    assert volume.labels is not None
    assert sample.volume.labels is not None
    assert torch.equal(sample.volume.labels, volume.labels)
    assert torch.equal(sample.volume.ct_from_voxel, volume.ct_from_voxel)
    assert sample.volume.label_names == volume.label_names
    # poses are stored as float32
    assert sorted(sample.poses) == ["left-femur", "pelvis"]
    for body, pose in sample.poses.items():
        torch.testing.assert_close(pose, projection.poses[body], rtol=0, atol=2e-4)
    assert sample.camera_from_ct is sample.poses["pelvis"]
    expected = torch.log(torch.tensor(65487.0)) - torch.log(projection.image)
    torch.testing.assert_close(sample.radiograph.image, expected)
    assert sample.labels is not None
    assert torch.equal(sample.labels, projection.labels)
    assert torch.equal(sample.landmarks_px["FH-l"], projection.landmarks_px["FH-l"])
    torch.testing.assert_close(sample.landmarks_mm["FH-l"], head, rtol=0, atol=1e-4)
    assert sample.camera.pixel_spacing_mm == pytest.approx((2.0, 3.0))
    assert sample.record == {"seed": 3}


def test_plain_h5py_finds_the_published_layout(tmp_path: Path, volume: Volume) -> None:
    path, projection = tmp_path / "cohort.h5", make_projection(True)
    head = torch.tensor([93.2, 37.9, -941.5], dtype=torch.float64)
    with CohortWriter(path, CAMERA) as writer:
        writer.write_specimen("17-1882", volume, {"FH-l": head})
        writer.write_projection("17-1882", "000", projection)
    with h5py.File(path) as f:
        params = f["proj-params"]
        assert params["num-cols"][()] == 40
        assert params["num-rows"][()] == 30
        assert params["pixel-col-spacing"][()] == 3.0
        intrinsic, extrinsic = params["intrinsic"][:], params["extrinsic"][:]
        assert params["num-rows"].dtype == np.uint64
        np.testing.assert_allclose(np.diag(intrinsic), [-340.0, -510.0, 1.0])
        specimen = f["17-1882"]
        np.testing.assert_array_equal(specimen["vol/pixels"][:], volume.hu.numpy())
        np.testing.assert_array_equal(specimen["vol/spacing"][:].ravel(), [1.5] * 3)
        np.testing.assert_array_equal(specimen["vol/origin"][:].ravel(), [-7.0, 3.0, -900.0])
        assert specimen["vol-seg/labels-def/4"][()].decode() == "upper-sacrum"
        shot = specimen["projections/000"]
        assert shot["rot-180-for-up"][()] == 1
        assert shot["gt-seg/pixels"].dtype == np.uint8
        assert shot["image/pixels"].dtype == specimen["vol/pixels"].dtype == np.float32
        # the published file's readers multiply these with float32
        for matrix in (intrinsic, extrinsic, shot["gt-poses/cam-to-pelvis-vol"]):
            assert matrix.dtype == np.float32
        assert specimen["vol-landmarks/FH-l"].shape == (3, 1)
        assert shot["gt-landmarks/FH-l"].shape == (2, 1)
        assert specimen["vol-landmarks/FH-l"].dtype == np.float32
        np.testing.assert_array_equal(shot["image/pixels"][:][::-1], projection.image.numpy())
        # a point through the stored pose and intrinsics lands where our camera sees it
        point = np.array([10.0, -20.0, -15.0, 1.0])
        x = extrinsic @ np.linalg.inv(shot["gt-poses/cam-to-pelvis-vol"][:]) @ point
        assert x[2] < 0.0  # z points to the source
        column, row, depth = intrinsic @ x[:3]
        ours = CAMERA.project((projection.poses["pelvis"] @ torch.from_numpy(point))[:3])
        np.testing.assert_allclose([column / depth, 29 - row / depth], ours.numpy(), atol=1e-3)


def test_a_file_that_is_not_finished_does_not_appear(tmp_path: Path, volume: Volume) -> None:
    path = tmp_path / "cohort.h5"

    def stopped() -> None:
        with CohortWriter(path, CAMERA) as writer:
            writer.write_specimen("17-1882", volume, {})
            assert not path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_twice_or_before_its_specimen(tmp_path: Path, volume: Volume) -> None:
    with CohortWriter(tmp_path / "cohort.h5", CAMERA) as writer:
        with pytest.raises(InputError, match="specimen 17-1882 must be written before"):
            writer.write_projection("17-1882", "000", make_projection(False))
        writer.write_specimen("17-1882", volume, {})
        writer.write_projection("17-1882", "000", make_projection(False))
        with pytest.raises(InputError, match="specimen 17-1882 must be new"):
            writer.write_specimen("17-1882", volume, {})
        with pytest.raises(InputError, match="17-1882/000 has been written already"):
            writer.write_projection("17-1882", "000", make_projection(False))


def test_a_body_without_a_pose_is_refused(tmp_path: Path, volume: Volume) -> None:
    whole = make_projection(False)
    partial = dataclasses.replace(whole, poses={"pelvis": whole.poses["pelvis"]})
    with CohortWriter(tmp_path / "cohort.h5", CAMERA) as writer:
        writer.write_specimen("17-1882", volume, {})
        with pytest.raises(InputError, match="got none of left-femur, right-femur"):
            writer.write_projection("17-1882", "000", partial)


def test_what_the_layout_cannot_hold_is_refused(tmp_path: Path, volume: Volume) -> None:
    turned = volume.ct_from_voxel.clone()
    turned[:3, :3] = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    oblique = Volume(hu=volume.hu, labels=volume.labels, ct_from_voxel=turned)
    bare = Volume(hu=volume.hu, ct_from_voxel=volume.ct_from_voxel)
    with pytest.raises(InputError, match="aligned"), CohortWriter(tmp_path / "a", CAMERA) as w:
        w.write_specimen("x", oblique, {})
    with pytest.raises(InputError, match="labels"), CohortWriter(tmp_path / "a", CAMERA) as w:
        w.write_specimen("x", bare, {})
    off = Camera(
        source_to_detector_mm=1000.0, rows=10, columns=10, pixel_spacing_mm=(1.0, 1.0),
        principal_point_px=(0.0, 0.0),
    )  # fmt: skip
    with pytest.raises(InputError, match="principal point"):
        CohortWriter(tmp_path / "b", off)


def test_inspection_of_what_was_written(tmp_path: Path, volume: Volume) -> None:
    path = tmp_path / "cohort.h5"
    with CohortWriter(path, CAMERA, record={"seed": 0}) as writer:
        writer.write_specimen("17-1882", volume, {})
        writer.write_projection("17-1882", "000", make_projection(True))
    report = inspect_deepfluoro(path)
    assert report.virtual
    assert report.specimens[0].turned == 1
    assert report.specimens[0].femurs == (1, 0)
    assert report.specimens[0].ct_spacing_mm == (1.5, 1.5, 1.5)
    # 14 landmarks in 3D and 13 of them in 2D are missing
    assert len(report.problems) == 27
    assert any("gt-landmarks" in problem and "FH-r" in problem for problem in report.problems)
