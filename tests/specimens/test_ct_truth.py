"""Whether the CT holds bones where the fine geometry has them, to hundredths of a millimetre."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from wsreg.evaluation.image_shift import image_shift_px
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.rendering.render import render
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.scene import ScenePart
from wsreg.simulation.xray import simulate_scene
from wsreg.specimens.anatomy import Anatomy, build_anatomy
from wsreg.specimens.bone_tissue import BoneVoxels, bone_voxels
from wsreg.specimens.ct import CT_KEV_CM2_PER_G, LABELS, scan
from wsreg.specimens.person import Person
from wsreg.specimens.resample import averaged
from wsreg.specimens.silhouettes import silhouettes
from wsreg.specimens.specimen import Specimen
from wsreg.specimens.surface import Surface
from wsreg.specimens.voxelise import Grid, grid_around, inside
from wsreg.volumes.volume import Volume

FINE_MM = 0.6
SPACINGS_MM = (0.6, 1.0, 1.2, 1.5, 1.8, 3.0)
"""Ratios to 0.6 mm: 1, 5/3, 2, 2.5, 3, 5; that of a preset is even when rounded."""
CLEAN = XrayParameters(
    scatter_fraction=0.0,
    photons=1e7,
    electronic_noise=0.0,
    focal_blur_px=0.3,
    detector_blur_px=0.3,
    saturation=2.0,
)
CAMERA = Camera(source_to_detector_mm=1000.0, rows=150, columns=151, pixel_spacing_mm=(1.0, 1.0))


@pytest.fixture(scope="module")
def femur(mean_person: Person) -> BoneVoxels:
    """The upper end of a femur on the voxels of the presets."""
    anatomy = build_anatomy(mean_person)
    return bone_voxels(
        "left-femur",
        anatomy.bones["left-femur"],
        (),
        mean_person,
        anatomy.landmarks_mm["FH-l"],
        spacing_mm=FINE_MM,
        lowest_mm=-45.0,
    )


def in_muscle(person: Person, bone: BoneVoxels) -> Specimen:
    """A block of muscle with one bone in it, and no more of a body."""
    low = np.array(bone.grid.origin_mm) - 15.0
    size_mm = FINE_MM * np.array(bone.grid.shape[::-1]) + 40.0
    width, height, depth = np.ceil(size_mm / 2.0).astype(int).tolist()
    body = np.zeros((depth, height, width, 2), dtype=np.float32)
    body[2:-2, 2:-2, 2:-2, 0] = 1.05
    x, y, z = low.tolist()
    # the CT reaches from 150 mm below these heads to the top of these vertebrae
    head = np.array([x, y, z + 150.0])
    top = Surface(vertices_mm=low[None] + size_mm, triangles=np.zeros((0, 3), dtype=int))
    return Specimen(
        person=person,
        anatomy=Anatomy(
            bones={"vertebrae": (top,)},
            landmarks_mm={"FH-l": head, "FH-r": head},
            head_radius_mm=24.0,
        ),
        bones={"left-femur": bone},
        body_grid=Grid(origin_mm=(x, y, z), spacing_mm=2.0, shape=(depth, height, width)),
        body=body,
    )


def centre_mm(values: np.ndarray, origin_mm: np.ndarray, spacing_mm: float) -> np.ndarray:
    """[3] (x,y,z) centre of mass of values [D,H,W]."""
    total = values.sum(dtype=np.float64)
    index = [
        (values.sum(axis=axes, dtype=np.float64) * np.arange(values.shape[axis])).sum() / total
        for axis, axes in ((2, (0, 1)), (1, (0, 2)), (0, (1, 2)))
    ]
    return origin_mm + spacing_mm * np.array(index)


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM)
def test_averaging_moves_no_mass(spacing_mm: float) -> None:
    """A single bright voxel stays where it is, on average over how coarse ones lie about it."""
    fine = np.zeros((9, 9, 9), dtype=np.float32)
    fine[4, 4, 4] = 1.0  # at (2.4, 2.4, 2.4) mm
    source = Grid(origin_mm=(0.0, 0.0, 0.0), spacing_mm=FINE_MM, shape=fine.shape)
    found = []
    for offset in (np.arange(10) - 4.5) / 10.0:  # of coarse voxels, to either side
        start = 2.4 + (offset - 4.0) * spacing_mm
        target = Grid(origin_mm=(start,) * 3, spacing_mm=spacing_mm, shape=(9, 9, 9))
        coarse = averaged(fine, source, target)
        assert coarse.sum() * spacing_mm**3 == pytest.approx(FINE_MM**3, rel=1e-5)
        found.append(centre_mm(coarse, np.full(3, start), spacing_mm))
    # a voxel is as coarse as it is, but errs to either side alike
    assert np.mean(found, axis=0) == pytest.approx([2.4] * 3, abs=1e-4)


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM[1:])
def test_a_ct_keeps_the_centre_of_mass_of_bone(
    mean_person: Person, femur: BoneVoxels, spacing_mm: float
) -> None:
    """What a bone adds to the CT is where it is; noise, blur and table are in both scans."""
    with_bone = in_muscle(mean_person, femur)
    nothing = dataclasses.replace(femur, density=np.zeros_like(femur.density))
    without = dataclasses.replace(with_bone, bones={"left-femur": nothing})
    volume = scan(with_bone, spacing_mm)
    added = volume.hu.numpy().astype(np.float64) - scan(without, spacing_mm).hu.numpy()
    mass = femur.density @ np.array([CT_KEV_CM2_PER_G["water"], CT_KEV_CM2_PER_G["bone"]])
    expected = centre_mm(mass, np.array(femur.grid.origin_mm), FINE_MM)
    found = centre_mm(added, volume.ct_from_voxel[:3, 3].numpy(), spacing_mm)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("spacing_mm", [1.0, 1.5])
def test_xrays_of_the_fine_bone_lie_on_the_ct(
    mean_person: Person, femur: BoneVoxels, spacing_mm: float
) -> None:
    """The voxels of both presets, from several sides."""
    specimen = in_muscle(mean_person, femur)
    volume = scan(specimen, spacing_mm)
    volume = without_table(volume, specimen)
    middle = torch.from_numpy(centre_mm(femur.mask, np.array(femur.grid.origin_mm), FINE_MM))
    shifts = []
    for pose in poses_around(middle, 14, seed=4):
        grids = (specimen.body_material, *specimen.bone_materials.values())
        parts = [ScenePart(grid=grid, camera_from_part=pose) for grid in grids]
        attenuation = -torch.log(simulate_scene(parts, CAMERA, CLEAN, 0).transmission)
        shifts.append(image_shift_px(attenuation, render(volume, CAMERA, pose[None])[0, 0]))
    assert_no_shift(torch.stack(shifts))


def test_labels_in_xrays_lie_on_the_labels_of_the_ct(mean_person: Person, cube: Surface) -> None:
    """Centroids of a box that is whole in the image, seen from all sides.

    It lies askew, so that voxels round its faces up as often as down.
    """
    askew = np.eye(4)
    askew[:3, :3] = exp_so3(torch.tensor([0.5, 0.3, -0.4], dtype=torch.float64)).numpy()
    askew[:3, :3] *= np.array([4.3, 3.1, 5.2])
    box = cube.moved(askew)
    grid = grid_around(box.vertices_mm, FINE_MM, 3.0)
    mask = inside((box,), grid)
    bone = BoneVoxels(grid=grid, mask=mask, density=np.zeros((*grid.shape, 2), dtype=np.float32))
    volume = scan(in_muscle(mean_person, bone), 1.5)
    anatomy = Anatomy(bones={"left-femur": (box,)}, landmarks_mm={}, head_radius_mm=0.0)
    label = LABELS["left-femur"]
    offsets = []
    for pose in poses_around(torch.from_numpy(box.vertices_mm.mean(axis=0)), 24, seed=5):
        exact = silhouettes(anatomy, CAMERA, {"left-femur": pose})[label - 1]
        path_mm = render(volume, CAMERA, pose[None], rois=[(label,)], attenuation=False)
        stored, posed = (
            torch.nonzero(seen).double().mean(dim=0) for seen in (exact, path_mm[0, 0] > 1.5)
        )
        offsets.append((stored - posed).flip(0))
    assert_no_shift(torch.stack(offsets), limit_px=0.1)


def poses_around(middle_mm: torch.Tensor, count: int, seed: int) -> list[torch.Tensor]:
    """Poses [4,4] from all sides, with a point near the middle of the image."""
    generator = torch.Generator().manual_seed(seed)
    poses = []
    for _ in range(count):
        rotation = exp_so3(2.0 * torch.randn(3, generator=generator, dtype=torch.float64))
        poses.append(rigid(rotation, torch.tensor([0.4, -0.3, 700.0]) - rotation @ middle_mm))
    return poses


def without_table(volume: Volume, specimen: Specimen) -> Volume:
    """The CT without what lies behind the block of muscle."""
    grid = specimen.body_grid
    end_mm = grid.origin_mm[1] + grid.spacing_mm * grid.shape[1]
    first = int((end_mm - float(volume.ct_from_voxel[1, 3])) / volume.spacing_mm[1])
    hu = volume.hu.clone()
    hu[:, first:] = -1000
    return dataclasses.replace(volume, hu=hu)


def assert_no_shift(shifts_px: torch.Tensor, limit_px: float = 0.05) -> None:
    """Whether the mean of [N,2] shifts is zero, to a precision that means something."""
    assert shifts_px.mean(dim=0).abs().max() < limit_px, shifts_px
    assert shifts_px.std(dim=0).max() / len(shifts_px) ** 0.5 < 0.5 * limit_px, shifts_px
