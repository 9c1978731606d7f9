"""What rays meet where the body goes on but the CT does not.

A CT is cut off where its tissue ends all at once: its last slice shows nearly the same of it as the
slices before.  Beyond such a face the body is thought to go on as that slice shows it.  That says
which rays a rendering of the CT cannot be compared with, not what they would show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import inverse_affine, inverse_rigid
from wsreg.volumes.volume import WATER_ATTENUATION_PER_MM, Volume

TISSUE_PER_MM = 0.5 * WATER_ATTENUATION_PER_MM
"""What attenuates more is tissue."""

LEAST_AREA_MM2 = 500.0
"""A slice with less tissue is not part of a body: noise, a cable, the edge of a table."""

BEFORE_MM = 12.0
"""How far inside the slice lies that the last one is compared with."""

LEAST_LEFT = 0.75
"""A body is cut off where of the tissue in either slice more than this fraction is in both.

Round sides of a body have up to 0.71 on voxels of 6 mm, tables 0.2, and cut ends of two real CTs
0.89 or more."""

GOES_ON_MM = 600.0
"""How far a body is thought to go on."""

EDGE_ON = 0.7
"""Cosine of the angle between a face's normal and the optical axis from which on it faces those."""

SAMPLES = 32
"""Samples of a ray beyond a face."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CutFace:
    """A face at which a CT is cut off.

    Args:
        axis: x, y or z of the grid (0, 1, 2), which it lies across.
        at: index along that axis where the CT ends.
        up: whether the body goes on towards larger indices.
        attenuation: [N,M] float32 1/mm of the last slice; rows are the later of the other axes.
    """

    axis: int
    at: float
    up: bool
    attenuation: Tensor

    def inwards(self, indices: float) -> CutFace:
        """Return the face as if the CT ended earlier."""
        return replace(self, at=self.at - indices if self.up else self.at + indices)


def cut_faces(volume: Volume) -> tuple[CutFace, ...]:
    """Return the faces at which a CT is cut off; a coarse copy of the CT tells them as well."""
    found, tissue = [], volume.attenuation > TISSUE_PER_MM
    for axis in range(3):
        slices = tissue.movedim(2 - axis, 0)
        spacing_mm = volume.spacing_mm[axis]
        pixel_mm2 = abs(float(torch.linalg.det(volume.ct_from_voxel[:3, :3]))) / spacing_mm
        area_mm2 = slices.sum(dim=(1, 2)).double() * pixel_mm2
        filled = (area_mm2 > LEAST_AREA_MM2).nonzero()[:, 0].tolist()
        if not filled:
            continue
        before = max(1, round(BEFORE_MM / spacing_mm))
        for last, inwards in ((filled[0], 1), (filled[-1], -1)):
            # the outermost slice of a coarse copy may be half full
            shown, inside = last + inwards, last + inwards * (1 + before)
            if not 0 <= inside < len(slices):
                continue
            both, either = slices[shown] & slices[inside], slices[shown] | slices[inside]
            if int(both.sum()) > LEAST_LEFT * int(either.sum()):
                ended = volume.attenuation.select(2 - axis, shown)
                at = last - 0.5 * inwards
                found.append(CutFace(axis=axis, at=at, up=inwards < 0, attenuation=ended))
    return tuple(found)


def attenuation_beyond(
    faces: tuple[CutFace, ...], volume: Volume, camera: Camera, camera_from_ct: Tensor
) -> Tensor:
    """Return [H,W] float32 line integrals of what lies beyond the faces of a CT.

    Args:
        faces: of the volume.
        volume: the grid that they are of.
        camera: of the image [H,W].
        camera_from_ct: [4,4] pose.
    """
    index_from_camera = inverse_affine(volume.ct_from_voxel) @ inverse_rigid(
        camera_from_ct.double()
    )
    rows, columns = torch.meshgrid(
        torch.arange(camera.rows), torch.arange(camera.columns), indexing="ij"
    )
    ends = camera.detector_points(torch.stack((columns, rows), dim=-1).double())
    length_mm = ends.norm(dim=-1)
    directions = (ends / length_mm[..., None]) @ index_from_camera[:3, :3].T
    source = index_from_camera[:3, 3]
    total = torch.zeros(camera.rows, camera.columns)
    for face in faces:
        if _is_edge_on(face, volume, camera_from_ct):
            total += _beyond(face, volume, source, directions, length_mm)
    return total


def _is_edge_on(face: CutFace, volume: Volume, camera_from_ct: Tensor) -> bool:
    """Tell whether a face borders the image rather than facing the source or the detector.

    What lies beyond the latter is missing on all rays alike, so that none is left to compare, and
    the CT still shows what it shows.
    """
    across = torch.linalg.inv(volume.ct_from_voxel[:3, :3])[face.axis]
    normal = camera_from_ct[:3, :3].double() @ (across / across.norm())
    return abs(float(normal[2])) < EDGE_ON


def _beyond(
    face: CutFace, volume: Volume, source: Tensor, directions: Tensor, length_mm: Tensor
) -> Tensor:
    """Return [H,W] line integrals beyond one face.

    Rays start at ``source`` [3] and go along ``directions`` [H,W,3] (voxels for each mm).
    """
    size = torch.tensor(volume.hu.shape[::-1], dtype=torch.float64)
    low, high = torch.full((3,), -0.5, dtype=torch.float64), size - 0.5
    reach = GOES_ON_MM / volume.spacing_mm[face.axis]
    low[face.axis] = face.at if face.up else face.at - reach
    high[face.axis] = face.at + reach if face.up else face.at
    safe = torch.where(directions.abs() < 1e-12, 1e-12, directions)
    ends = torch.stack(((low - source) / safe, (high - source) / safe))
    near = ends.amin(dim=0).amax(dim=-1).clamp_min(0.0)
    far = torch.minimum(ends.amax(dim=0).amin(dim=-1), length_mm)
    met = far > near
    near, inside_mm, directions = near[met], (far - near)[met], directions[met]
    steps = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
    along_mm = near[..., None] + inside_mm[..., None] * steps
    later, earlier = [axis for axis in (2, 1, 0) if axis != face.axis]
    row, column = (
        (source[axis] + along_mm * directions[..., axis, None])
        .round()
        .long()
        .clamp(0, int(size[axis]) - 1)
        for axis in (later, earlier)
    )
    total = torch.zeros(met.shape)
    total[met] = face.attenuation[row, column].mean(dim=-1) * inside_mm.float()
    return total
