"""A specimen: bones, soft tissue and where they lie in the scanner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from wsreg.simulation.scene import MaterialGrid
from wsreg.specimens.anatomy import Anatomy, build_anatomy
from wsreg.specimens.body import body_density
from wsreg.specimens.bone_tissue import BoneVoxels, bone_voxels
from wsreg.specimens.person import Person
from wsreg.specimens.voxelise import Grid

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

JOINTS: Mapping[str, tuple[str, ...]] = {
    "left-hemipelvis": ("left-femur",),
    "right-hemipelvis": ("right-femur",),
    "vertebrae": ("upper-sacrum",),
    "upper-sacrum": ("left-hemipelvis", "right-hemipelvis"),
    "left-femur": (),
    "right-femur": (),
}
"""The bones that each bone keeps clear of."""

LOWEST_BONE_MM, LOWEST_BODY_MM = -185.0, -195.0
"""Heights below the femoral heads where bones and body are cut off."""
BODY_ABOVE_SPINE_MM = 50.0


@dataclass(frozen=True, kw_only=True)
class Detail:
    """Voxel sides of the fine geometry."""

    bone_mm: float = 0.6
    body_mm: float = 1.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Specimen:
    """A person as voxels, in CT coordinates (LPS mm).

    Args:
        person: who it is.
        anatomy: surfaces and landmarks.
        bones: voxels of each bone.
        body_grid: of ``body``.
        body: [D,H,W,2] g/cm3 of soft tissue and fat, muscle where the bones are.
    """

    person: Person
    anatomy: Anatomy
    bones: Mapping[str, BoneVoxels]
    body_grid: Grid
    body: Float32Array

    @cached_property
    def body_material(self) -> MaterialGrid:
        """Return the soft tissue as a part of a scene."""
        return MaterialGrid(
            density=self.body,
            materials=("soft tissue", "fat"),
            part_from_voxel=torch.from_numpy(self.body_grid.mm_from_voxel),
        )

    @cached_property
    def bone_materials(self) -> Mapping[str, MaterialGrid]:
        """Return each bone as a part of a scene, to be added to the soft tissue."""
        return {
            name: MaterialGrid(
                density=bone.density,
                materials=("soft tissue", "cortical bone"),
                part_from_voxel=torch.from_numpy(bone.grid.mm_from_voxel),
            )
            for name, bone in self.bones.items()
        }


def build_specimen(
    person: Person,
    detail: Detail | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Specimen:
    """Build a person's bones and soft tissue and lay them into the scanner.

    Args:
        person: from :func:`~wsreg.specimens.person.sample_person`.
        detail: voxel sizes; memory and time grow with their inverse cubes.
        progress: told what is being built.
    """
    detail = detail or Detail()
    anatomy = build_anatomy(person)
    bones = {}
    for name, surfaces in anatomy.bones.items():
        progress(name)
        bones[name] = bone_voxels(
            name,
            surfaces,
            [surface for joint in JOINTS[name] for surface in anatomy.bones[joint]],
            person,
            anatomy.landmarks_mm.get({"left-femur": "FH-l", "right-femur": "FH-r"}.get(name, "")),
            spacing_mm=detail.bone_mm,
            lowest_mm=LOWEST_BONE_MM,
        )
    progress("soft tissue")
    body_grid = _body_grid(person, anatomy, detail.body_mm)
    body = body_density(person, anatomy, body_grid)
    offset_mm = _scanner_offset_mm(person)
    return Specimen(
        person=person,
        anatomy=_moved_anatomy(anatomy, offset_mm),
        bones={
            name: dataclasses.replace(bone, grid=_moved_grid(bone.grid, offset_mm))
            for name, bone in bones.items()
        },
        body_grid=_moved_grid(body_grid, offset_mm),
        body=body,
    )


def _scanner_offset_mm(person: Person) -> FloatArray:
    """Return [3] where the scanner puts the femoral heads: off centre, far along the table."""
    generator = np.random.default_rng((person.tissue_seed, 200))
    return generator.uniform((-12.0, 10.0, -1000.0), (12.0, 50.0, -300.0))


def _body_grid(person: Person, anatomy: Anatomy, spacing_mm: float) -> Grid:
    points = np.concatenate(
        [surface.vertices_mm for bone in anatomy.bones.values() for surface in bone]
    )
    points = points[points[:, 2] > LOWEST_BODY_MM]
    margin = 1.2 * person.muscle_mm + 1.6 * person.fat_mm + 16.0
    low = points.min(axis=0) - margin
    high = points.max(axis=0) + margin
    low[2], high[2] = LOWEST_BODY_MM, points[:, 2].max() + BODY_ABOVE_SPINE_MM
    width, height, depth = (np.ceil((high - low) / spacing_mm)).astype(int) + 1
    x, y, z = low.tolist()
    return Grid(
        origin_mm=(x, y, z), spacing_mm=spacing_mm, shape=(int(depth), int(height), int(width))
    )


def _moved_grid(grid: Grid, offset_mm: FloatArray) -> Grid:
    x, y, z = (np.array(grid.origin_mm) + offset_mm).tolist()
    return dataclasses.replace(grid, origin_mm=(x, y, z))


def _moved_anatomy(anatomy: Anatomy, offset_mm: FloatArray) -> Anatomy:
    matrix = np.eye(4)
    matrix[:3, 3] = offset_mm
    return dataclasses.replace(
        anatomy,
        bones={
            name: tuple(surface.moved(matrix) for surface in bone)
            for name, bone in anatomy.bones.items()
        },
        landmarks_mm={name: point + offset_mm for name, point in anatomy.landmarks_mm.items()},
    )
