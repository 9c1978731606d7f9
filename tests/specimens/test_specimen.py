from __future__ import annotations

import numpy as np
import torch

from wsreg.geometry.camera import Camera
from wsreg.geometry.views import pose_towards
from wsreg.rendering.render import render
from wsreg.specimens.anatomy import Anatomy
from wsreg.specimens.ct import LABELS, scan
from wsreg.specimens.resample import overlap, resampled
from wsreg.specimens.silhouettes import label_map, silhouettes
from wsreg.specimens.specimen import Specimen
from wsreg.specimens.surface import Surface
from wsreg.specimens.voxelise import Grid

CAMERA = Camera(source_to_detector_mm=1000.0, rows=160, columns=200, pixel_spacing_mm=(2.0, 2.0))


def test_resampling_a_ramp_is_exact_inside_and_zero_outside() -> None:
    source = Grid(origin_mm=(0.0, 0.0, 0.0), spacing_mm=2.0, shape=(5, 6, 7))
    x, y, z = source.axes_mm()
    ramp = (x + 10.0 * y + 100.0 * z).astype(np.float32)
    target = Grid(origin_mm=(1.0, 2.5, 3.0), spacing_mm=1.5, shape=(3, 3, 3))
    x, y, z = target.axes_mm()
    np.testing.assert_allclose(resampled(ramp, source, target), x + 10 * y + 100 * z, rtol=1e-5)
    away = Grid(origin_mm=(50.0, 0.0, 0.0), spacing_mm=1.0, shape=(2, 2, 2))
    assert not resampled(ramp, source, away).any()


def test_overlap_of_grids() -> None:
    grid = Grid(origin_mm=(0.0, 0.0, 0.0), spacing_mm=1.0, shape=(10, 10, 10))
    other = Grid(origin_mm=(-5.0, 2.2, 8.0), spacing_mm=0.5, shape=(11, 3, 13))
    part, where = overlap(grid, other)
    assert where == (slice(8, 10), slice(2, 5), slice(0, 2))
    assert part.shape == (2, 3, 2)
    assert part.origin_mm == (0.0, 2.0, 8.0)


def test_the_body_is_muscle_where_bones_are_and_air_outside(specimen: Specimen) -> None:
    soft, fat = specimen.body[..., 0], specimen.body[..., 1]
    femur = specimen.bones["left-femur"]
    inside = resampled(femur.mask.astype(np.float32), femur.grid, specimen.body_grid) > 0.9
    np.testing.assert_allclose(np.percentile(soft[inside], [1, 99]), 1.05, rtol=1e-5)
    assert not fat[inside].any()
    assert not specimen.body[:, 0].any()  # in front of the patient
    assert not specimen.body[:, :, 0].any()
    fraction_of_fat = (fat > 0.5).sum() / ((fat + soft) > 0.5).sum()
    assert 0.2 < fraction_of_fat < 0.7


def test_the_ct_has_tissues_bones_labels_and_a_table(specimen: Specimen) -> None:
    volume = scan(specimen, 3.0)
    hu, labels = volume.hu.numpy(), volume.labels.numpy()  # type: ignore[union-attr]
    assert set(np.unique(labels)) == {0, *LABELS.values()}
    assert set(volume.label_names.values()) == set(LABELS)
    for name, value in LABELS.items():
        bone = hu[labels == value]
        assert 30.0 < np.median(bone) < 700.0, name
        assert np.percentile(bone, 99) > 400.0, name
    around = hu[labels == 0]
    muscle, fat = (around > 20) & (around < 80), (around > -140) & (around < -60)
    assert muscle.sum() > 0.05 * around.size
    assert fat.sum() > 0.05 * around.size
    assert np.median(around[around < -800]) < -900.0
    column = hu[hu.shape[0] // 2, :, hu.shape[2] // 2] > -700  # front to back: body, then table
    assert np.count_nonzero(np.diff(column.astype(int)) == 1) >= 2


def test_labels_lie_where_the_bones_are(specimen: Specimen) -> None:
    volume = scan(specimen, 3.0)
    voxel_from_ct = torch.linalg.inv(volume.ct_from_voxel)
    for side, bone in (("l", "left-femur"), ("r", "right-femur")):
        head = torch.from_numpy(specimen.anatomy.landmarks_mm[f"FH-{side}"])
        x, y, z = (voxel_from_ct[:3, :3] @ head + voxel_from_ct[:3, 3]).round().long().tolist()
        assert int(volume.labels[z, y, x]) == LABELS[bone]  # type: ignore[index]


def test_the_silhouette_of_a_cube(cube: Surface) -> None:
    """A face of 10 mm at depth 500 mm spans 20 mm, 10 pixels, on the detector."""
    anatomy = Anatomy(bones={"vertebrae": (cube,)}, landmarks_mm={}, head_radius_mm=0.0)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([-14.5, -14.5, 490.0])  # near face at 500 mm, centred off a pixel
    picture = silhouettes(anatomy, CAMERA, {"vertebrae": pose})[LABELS["vertebrae"] - 1]
    rows, columns = torch.nonzero(picture, as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == (75, 85)
    assert len(torch.unique(rows)) in (10, 11)
    assert picture.sum() == len(torch.unique(rows)) * len(torch.unique(columns))
    behind = pose.clone()
    behind[2, 3] = -900.0
    assert not silhouettes(anatomy, CAMERA, {"vertebrae": behind}).any()


def test_the_last_bone_in_order_is_on_top() -> None:
    pictures = torch.zeros(6, 1, 3, dtype=torch.bool)
    pictures[LABELS["left-hemipelvis"] - 1, 0, :2] = True
    pictures[LABELS["left-femur"] - 1, 0, 1] = True
    assert label_map(pictures).tolist() == [[1, 5, 0]]


def test_silhouettes_agree_with_rendered_labels(specimen: Specimen) -> None:
    volume = scan(specimen, 1.5)
    pose = pose_towards(torch.from_numpy(specimen.anatomy.landmarks_mm["SPS-l"]), CAMERA, "PA")
    exact = silhouettes(specimen.anatomy, CAMERA, dict.fromkeys(specimen.bones, pose))
    rois = [(value,) for value in range(1, 7)]
    rendered = render(volume, CAMERA, pose[None], rois=rois)[0, 1:] > 0.75
    overlap_px = (exact & rendered).sum(dim=(1, 2))
    dice = 2 * overlap_px / (exact.sum(dim=(1, 2)) + rendered.sum(dim=(1, 2)))
    in_view = exact.sum(dim=(1, 2)) > 200
    assert (dice[in_view] > 0.95).all(), dice
