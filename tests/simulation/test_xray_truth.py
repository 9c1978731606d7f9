"""Where things in a CT appear in its X-rays, against line integrals known in closed form.

A blob in air, on voxels of unequal sides and oblique axes.  The reference knows of the blob's place
in millimetres only, so it tests the simulation and the registration's renderer alike.  How either
reads Hounsfield units changes the blob's profile, not its place.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.rendering.render import render
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.xray import simulate_xray
from wsreg.volumes.volume import Volume

CLEAN = XrayParameters(
    scatter_fraction=0.0,
    photons=1e8,
    electronic_noise=0.0,
    focal_blur_px=0.3,
    detector_blur_px=0.3,
    saturation=2.0,
)
BLOB_SD_MM, BLOB_HU = 4.0, 2000.0
EXTENT_MM = 60.0


BLOB_MM = torch.tensor([20.3, -130.1, -400.7], dtype=torch.float64)
"""Centre of the blob (LPS mm)."""


def ct(spacing_mm: tuple[float, float, float], directions: Tensor) -> Volume:
    """The blob in air, off the middle of the grid."""
    width, height, depth = (round(EXTENT_MM / side) for side in spacing_mm)
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = directions * torch.tensor(spacing_mm, dtype=torch.float64)
    last = torch.tensor([width - 1.0, height - 1.0, depth - 1.0], dtype=torch.float64)
    affine[:3, 3] = BLOB_MM + torch.tensor([5.3, -4.1, 6.2]) - affine[:3, :3] @ (0.5 * last)
    axes = (torch.arange(n, dtype=torch.float64) for n in (depth, height, width))
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    points = torch.stack((x, y, z), dim=-1) @ affine[:3, :3].T + affine[:3, 3]
    squared = (points - BLOB_MM).square().sum(dim=-1)
    hu = BLOB_HU * torch.exp(-0.5 * squared / BLOB_SD_MM**2) - 1000.0
    return Volume(hu=hu.float(), ct_from_voxel=affine)


def exact(camera: Camera, camera_from_ct: Tensor) -> Tensor:
    """[rows,columns] float64 integral of the blob along the ray of each pixel (any unit)."""
    row, column = torch.meshgrid(
        torch.arange(camera.rows, dtype=torch.float64),
        torch.arange(camera.columns, dtype=torch.float64),
        indexing="ij",
    )
    row_mm, column_mm = camera.pixel_spacing_mm
    centre_column, centre_row = camera.centre_px
    ray = torch.stack(
        (
            (column - centre_column) * column_mm,
            (row - centre_row) * row_mm,
            torch.full_like(row, camera.source_to_detector_mm),
        ),
        dim=-1,
    )
    ray = ray / ray.norm(dim=-1, keepdim=True)
    blob = camera_from_ct[:3, :3] @ BLOB_MM + camera_from_ct[:3, 3]
    off_axis = blob - (ray @ blob)[..., None] * ray
    return torch.exp(-0.5 * off_axis.square().sum(dim=-1) / BLOB_SD_MM**2)


def centroid_px(image: Tensor) -> Tensor:
    """[2] float64 (column, row) of what is darker than haze and noise."""
    mass = (image.double() - 0.05 * image.max()).clamp(min=0.0)
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in image.shape)
    return torch.stack(((mass.sum(0) * columns).sum(), (mass.sum(1) * rows).sum())) / mass.sum()


OBLIQUE = exp_so3(torch.tensor([0.3, -0.2, 0.4], dtype=torch.float64))
AXES = {
    "along the patient": torch.eye(3, dtype=torch.float64),
    "oblique": OBLIQUE,
    "oblique and mirrored": OBLIQUE @ torch.diag(torch.tensor([1.0, -1.0, -1.0]).double()),
    "left-handed": torch.diag(torch.tensor([-1.0, 1.0, 1.0]).double()),
}


@pytest.mark.parametrize(
    ("spacing_mm", "axes", "size"),
    [
        ((1.5, 1.5, 1.5), "along the patient", (112, 112)),
        ((1.0, 1.4, 2.9), "oblique", (111, 118)),
        ((1.6, 0.9, 2.2), "oblique and mirrored", (110, 121)),
        ((1.3, 3.1, 1.4), "left-handed", (113, 113)),
    ],
)
def test_things_appear_where_they_are(
    spacing_mm: tuple[float, float, float], axes: str, size: tuple[int, int]
) -> None:
    volume = ct(spacing_mm, AXES[axes])
    rows, columns = size
    generator = torch.Generator().manual_seed(2)
    simulated, rendered = [], []
    for number in range(6):
        camera = Camera(
            source_to_detector_mm=1000.0, rows=rows, columns=columns,
            pixel_spacing_mm=(0.7, 0.8),
            principal_point_px=None if number % 2 else (0.5 * columns + 3.2, 0.5 * rows - 4.9),
        )  # fmt: skip
        rotation = exp_so3(2.0 * torch.randn(3, generator=generator, dtype=torch.float64))
        pose = rigid(rotation, torch.tensor([4.4, -6.7, 650.0]) - rotation @ BLOB_MM)
        truth = centroid_px(exact(camera, pose))
        xray = simulate_xray(volume, camera, pose, CLEAN, seed=number)
        simulated.append(centroid_px(-torch.log(xray.transmission)) - truth)
        rendered.append(centroid_px(render(volume, camera, pose[None])[0, 0]) - truth)
    for offsets_px in (torch.stack(simulated), torch.stack(rendered)):
        assert offsets_px.mean(dim=0).abs().max() < 0.05, offsets_px
        assert offsets_px.abs().max() < 0.1, offsets_px
