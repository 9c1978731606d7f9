from __future__ import annotations

import numpy as np

from wsreg.specimens.bone_tissue import (
    MUSCLE_G_PER_CM3,
    _closed,
    bone_voxels,
    signed_depth_mm,
)
from wsreg.specimens.person import Person
from wsreg.specimens.surface import Surface
from wsreg.specimens.vertebra import tube


def test_depth_of_a_slab() -> None:
    mask = np.zeros((20, 9, 9), dtype=bool)
    mask[5:15] = True
    depth = signed_depth_mm(mask, 0.5)[:, 4, 4]
    assert depth[0] < depth[4] <= 0.0
    np.testing.assert_allclose(depth[9] - depth[7], 1.0)


def test_a_shell_around_trabeculae_displaces_muscle(mean_person: Person) -> None:
    rod = tube([[0.0, 0.0, 0.0], [0.0, 60.0, 0.0]], [12.0, 12.0], [12.0, 12.0])
    bone = bone_voxels("upper-sacrum", [rod], [], mean_person, None, spacing_mm=0.6, lowest_mm=-99)
    soft, mineral = bone.density[..., 0], bone.density[..., 1]
    depth = signed_depth_mm(bone.mask, 0.6)
    deep = depth > 5.0
    shell = (depth > 0.2) & (depth < 0.7)
    assert 0.05 < mineral[deep].mean() < 0.35
    assert mineral[shell].mean() > 2.0 * mineral[deep].mean()
    assert not mineral[depth < -3.0].any()
    assert not soft[depth < -3.0].any()
    # marrow and bone together fill the voxel: what is left of the muscle is negative
    assert (soft[deep] < 0.0).all()
    assert (soft[deep] > -MUSCLE_G_PER_CM3).all()


def test_a_thin_gap_is_filled_and_nothing_grows() -> None:
    mask = np.zeros((12, 20, 20), dtype=bool)
    mask[3:9, 5:15, 5:15] = True
    gap = mask.copy()
    gap[:, :, 9:11] = False
    closed = _closed(gap, 1.5, 1.0)
    assert closed[5:7, 7:13, 9:11].all()
    assert not (closed & ~mask).any()


def test_a_joint_stays_open(mean_person: Person, cube: Surface) -> None:
    shift = np.eye(4)
    shift[0, 3] = 8.0  # overlaps by 2 mm
    bone = bone_voxels(
        "upper-sacrum", [cube], [cube.moved(shift)], mean_person, None, spacing_mm=0.5,
        lowest_mm=-99, gap_mm=1.0,
    )  # fmt: skip
    x = bone.grid.origin_mm[0] + 0.5 * np.nonzero(bone.mask)[2]
    assert x.min() <= 10.5
    assert 16.0 <= x.max() <= 17.5  # the other begins at 18


def test_a_femur_is_cut_at_the_lowest_height_and_hollow_far_from_its_head(
    mean_person: Person,
) -> None:
    rod = tube([[0.0, 0.0, 0.0], [0.0, 0.0, -200.0]], [13.0, 13.0], [13.0, 13.0])
    bone = bone_voxels(
        "left-femur", [rod], [], mean_person, np.zeros(3), spacing_mm=1.0, lowest_mm=-180.0
    )
    assert -184.0 < bone.grid.origin_mm[2] < -180.0
    row = -round((bone.grid.origin_mm[2] + 150.0) / 1.0)
    mineral = bone.density[row, :, :, 1]
    middle = mineral[tuple(size // 2 for size in mineral.shape)]
    assert middle < 0.15
    assert mineral.max() > 1.4


def test_the_same_person_has_the_same_bone(mean_person: Person, cube: Surface) -> None:
    first, second = (
        bone_voxels("vertebrae", [cube], [], mean_person, None, spacing_mm=1.0, lowest_mm=-99)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.density, second.density)
