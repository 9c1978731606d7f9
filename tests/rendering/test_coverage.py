"""Where a CT is cut off, and what rays meet beyond."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import (
    exp_so3,
    inverse_affine,
    inverse_rigid,
    perturb,
    rigid,
    transform_points,
)
from wsreg.rendering.coverage import CutFace, attenuation_beyond, cut_faces
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(
    source_to_detector_mm=1000.0, rows=24, columns=30, pixel_spacing_mm=(16.0, 15.0),
    principal_point_px=(13.0, 12.5),
)  # fmt: skip
SIZE = (40, 36, 44)
SPACING_MM = (4.0, 3.0, 5.0)


def ct_of(hu: Tensor, spacing_mm: tuple[float, float, float] = SPACING_MM) -> Volume:
    """Centred at 0."""
    ct_from_voxel = torch.diag(torch.tensor([*spacing_mm, 1.0], dtype=torch.float64))
    size = torch.tensor(hu.shape[::-1], dtype=torch.float64)
    ct_from_voxel[:3, 3] = -ct_from_voxel.diagonal()[:3] * (size - 1) / 2
    return Volume(hu=hu.to(torch.int16), ct_from_voxel=ct_from_voxel)


def ellipsoid(*axes_mm: float, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    """HU [44,36,40] on the grid: muscle in air."""
    x, y, z = (
        spacing * (torch.arange(n) - (n - 1) / 2) - shift
        for n, spacing, shift in zip(SIZE, SPACING_MM, shift_mm, strict=True)
    )
    a, b, c = axes_mm
    radius = (x / a)[None, None] ** 2 + (y / b)[None, :, None] ** 2 + (z / c)[:, None, None] ** 2
    return torch.where(radius <= 1.0, 40.0, -1000.0)


def ends(faces: tuple[CutFace, ...]) -> list[tuple[int, float, bool]]:
    return [(face.axis, face.at, face.up) for face in faces]


def test_a_body_that_ends_within_the_ct_is_not_cut_off() -> None:
    assert cut_faces(ct_of(ellipsoid(70.0, 48.0, 95.0))) == ()


@pytest.mark.parametrize("mm", [2.0, 3.0, 4.0, 6.0])
def test_the_round_sides_of_an_upright_body_are_none_on_any_voxels(mm: float) -> None:
    """Nor in the middle of a voxel."""
    hu = ellipsoid(72.0, 47.0, 1e6)
    found = ends(cut_faces(resample_isotropic(ct_of(hu, (4.0, 3.0, 5.0)), mm)))
    assert [(axis, up) for axis, _, up in found] == [(2, False), (2, True)]


def test_one_cut_end_is_found_where_it_is() -> None:
    """The CT ends half a voxel beyond the middle of its last slice; the one before is shown."""
    hu = ellipsoid(70.0, 48.0, 95.0)[15:]
    hu[1][hu[1] > 0] = 80.0
    (face,) = cut_faces(ct_of(hu))
    assert ends((face,)) == [(2, -0.5, False)]
    assert face.attenuation.shape == (36, 40)
    assert float(face.attenuation.max()) == pytest.approx(0.02 * 1.080, rel=1e-4)


def test_a_face_is_moved_into_the_ct() -> None:
    below, above = (
        CutFace(axis=2, at=at, up=up, attenuation=torch.zeros(2, 2))
        for at, up in ((-0.5, False), (11.5, True))
    )
    assert below.inwards(3.0).at == 2.5
    assert above.inwards(3.0).at == 8.5


def test_air_beyond_a_cut_end_does_not_hide_it() -> None:
    """As of a CT that was resampled onto a larger grid."""
    hu = ellipsoid(70.0, 48.0, 95.0)
    hu[30:] = -1000.0
    assert ends(cut_faces(ct_of(hu))) == [(2, 29.5, True)]
    hu = ellipsoid(74.0, 48.0, 95.0)
    hu[:, :, :12] = -1024.0
    hu[:, 25:] = -1024.0
    assert ends(cut_faces(ct_of(hu))) == [(0, 11.5, False), (1, 24.5, True)]


def test_a_ct_within_a_body_is_cut_off_on_all_sides() -> None:
    faces = cut_faces(ct_of(torch.full((44, 36, 40), 40.0)))
    assert ends(faces) == [
        (0, -0.5, False), (0, 39.5, True), (1, -0.5, False), (1, 35.5, True),
        (2, -0.5, False), (2, 43.5, True),
    ]  # fmt: skip
    assert [tuple(face.attenuation.shape) for face in faces[::2]] == [(44, 36), (44, 40), (36, 40)]


def test_a_table_below_a_body_is_no_end_of_it() -> None:
    """It ends all at once as well, but is no more than a sheet; nor is a cable beside it."""
    hu = ellipsoid(66.0, 40.0, 95.0)
    hu[:, 33:34, 5:35] = 0.0
    hu[:, 2:4, 2:4] = 0.0  # 96 mm2 across z, 10 mm thick along y
    assert cut_faces(ct_of(hu)) == ()
    # Nor one on which it lies, and which is all that ends at the edge of the CT.
    hu = ellipsoid(66.0, 46.0, 95.0)
    hu[:, 34:, 4:36] = 0.0
    assert [face for face in cut_faces(ct_of(hu)) if face.axis == 1] == []


def test_nothing_is_cut_off_of_air_or_of_a_single_slice() -> None:
    hu = torch.full((44, 36, 40), -1000.0)
    assert cut_faces(ct_of(hu)) == ()
    hu[20] = ellipsoid(70.0, 48.0, 95.0)[20]
    for one in (hu, hu[20:21]):
        assert [face for face in cut_faces(ct_of(one)) if face.axis == 2] == []


def test_the_size_of_a_voxel_counts() -> None:
    """20 x 20 voxels of a rod through all slices are 400 mm2 or 1600 mm2; under 500 is no body."""
    hu = torch.full((44, 36, 40), -1000.0)
    hu[:, 8:28, 10:30] = 40.0
    thin = [face for face in cut_faces(ct_of(hu, (1.0, 1.0, 5.0))) if face.axis == 2]
    wide = [face for face in cut_faces(ct_of(hu, (2.0, 2.0, 5.0))) if face.axis == 2]
    assert (len(thin), len(wide)) == (0, 2)


def uneven() -> Volume:
    """An upright body of which the left attenuates more than the right, cut off below."""
    hu = ellipsoid(70.0, 48.0, 105.0)
    grade = 30.0 * torch.arange(40)
    hu = torch.where(hu > 0, hu + grade, hu)
    return ct_of(hu[16:])


def beyond_by_force(volume: Volume, camera: Camera, pose: Tensor) -> Tensor:
    """Sum along each ray over slices that repeat the second one for 600 mm below the CT."""
    below = volume.attenuation[1].double()
    index_from_camera = inverse_affine(volume.ct_from_voxel) @ inverse_rigid(pose)
    total = torch.zeros(camera.rows, camera.columns, dtype=torch.float64)
    length = round(600.0 / volume.spacing_mm[2])
    for row in range(camera.rows):
        for column in range(camera.columns):
            end = camera.detector_points(torch.tensor([column, row], dtype=torch.float64))
            count = int(end.norm())  # a millimetre each
            along = (torch.arange(count, dtype=torch.float64) + 0.5) / count
            index = transform_points(index_from_camera, along[:, None] * end)
            x, y, z = index.unbind(-1)
            inside = (z < -0.5) & (z > -0.5 - length)
            inside &= (x > -0.5) & (x < 39.5) & (y > -0.5) & (y < 35.5)
            x, y = x[inside].round().long(), y[inside].round().long()
            total[row, column] = below[y, x].sum() * float(end.norm()) / count
    return total


def oblique(volume: Volume) -> Volume:
    """The same grid, turned and moved in the patient."""
    turn = rigid(
        exp_so3(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)),
        torch.tensor([20.0, -50.0, 70.0], dtype=torch.float64),
    )
    return dataclasses.replace(volume, ct_from_voxel=turn @ volume.ct_from_voxel)


@pytest.mark.parametrize("turned", [False, True])
def test_what_lies_beyond_is_the_sum_along_rays_through_a_longer_ct(turned: bool) -> None:
    plain = uneven()
    step = torch.tensor([0.15, 0.3, -0.2, 12.0, -40.0, 20.0], dtype=torch.float64)
    pose = perturb(view_pose(plain, CAMERA, "PA"), step, plain.centre_mm)
    volume = oblique(plain) if turned else plain
    if turned:  # the patient lies so that the grid is where it was
        pose = pose @ plain.ct_from_voxel @ inverse_affine(volume.ct_from_voxel)
    faces = cut_faces(volume)
    assert ends(faces) == [(2, -0.5, False)]
    found = attenuation_beyond(faces, volume, CAMERA, pose)
    expected = beyond_by_force(volume, CAMERA, pose).float()
    assert 0.1 < float((expected > 0.2).float().mean()) < 0.9
    error = (found - expected).abs()
    assert float(error.max()) < 0.25  # a sample at the skin of the body
    assert float(error.mean()) < 0.01 * float(expected.max())
    assert float(((found < 0.2) != (expected < 0.2)).float().mean()) < 0.01


def test_a_ray_that_stays_within_the_ct_meets_nothing_beyond() -> None:
    """And one below it meets that face alone; the source may stand beyond itself."""
    volume = uneven()
    faces = cut_faces(volume)
    pose = view_pose(volume, CAMERA, "PA")
    found = attenuation_beyond(faces, volume, CAMERA, pose)
    assert float(found[:12].max()) == 0.0  # the upper half
    assert float(found[23, 13]) > 1.0
    assert float(found[23, 0]) == 0.0  # beside the body
    assert float(attenuation_beyond((), volume, CAMERA, pose).max()) == 0.0
    low = perturb(
        pose, torch.tensor([0, 0, 0, 0, -400.0, 0], dtype=torch.float64), volume.centre_mm
    )
    through = attenuation_beyond(faces, volume, CAMERA, low)
    assert float(through[12, 13]) == pytest.approx(96.0 * 0.02 * 1.64, rel=0.2)


def test_nothing_beyond_the_detector_or_behind_the_source_counts() -> None:
    """The body seen from below: what lies beyond is between source and CT, or behind both."""
    volume = uneven()
    faces = cut_faces(volume)
    near = view_pose(volume, CAMERA, "PA")
    near[2, 3] = 20.0  # the source within the CT, the rays leave it through its front
    found = attenuation_beyond(faces, volume, CAMERA, near)
    assert float(found[12, 13]) == 0.0
    far = view_pose(volume, CAMERA, "PA")
    far[2, 3] = 1100.0  # behind the detector
    assert float(attenuation_beyond(faces, volume, CAMERA, far).max()) == 0.0


@pytest.mark.parametrize(("tilt_deg", "counts"), [(0.0, True), (40.0, True), (50.0, False)])
def test_a_face_towards_source_or_detector_takes_no_ray(tilt_deg: float, counts: bool) -> None:
    """Its normal is more than 45 degrees off the optical axis, or all rays would miss something."""
    volume = uneven()
    tilt = torch.tensor([tilt_deg * torch.pi / 180, 0, 0, 0, -150.0, 0], dtype=torch.float64)
    pose = perturb(view_pose(volume, CAMERA, "PA"), tilt, volume.centre_mm)
    found = attenuation_beyond(cut_faces(volume), volume, CAMERA, pose)
    assert (float(found.max()) > 0.0) == counts
