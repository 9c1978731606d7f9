from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.volumes.parts import bones_of, first_voxel
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.volume import Volume


def _positions_mm(volume: Volume) -> Tensor:
    """[D,H,W,3] CT coordinates of the voxel centres."""
    z, y, x = (torch.arange(n, dtype=torch.float64) for n in volume.hu.shape)
    index = torch.stack(torch.meshgrid(z, y, x, indexing="ij")[::-1], dim=-1)
    return index @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]


def _mass(volume: Volume) -> float:
    cube_mm3 = torch.linalg.det(volume.ct_from_voxel).abs()
    return float(volume.attenuation.double().sum() * cube_mm3)


def _centroid_mm(volume: Volume) -> Tensor:
    weight = volume.attenuation.double()[..., None]
    return (weight * _positions_mm(volume)).sum((0, 1, 2)) / weight.sum()


def _blob(shape: tuple[int, int, int], affine: Tensor) -> tuple[Volume, Tensor]:
    """Attenuation that falls off as a Gaussian about a point off the grid's centre and nodes."""
    air = torch.full(shape, -1000.0)
    volume = Volume(hu=air, ct_from_voxel=affine, air_hu=-1000.0)
    centre = volume.centre_mm + torch.tensor([1.37, -2.11, 0.73], dtype=torch.float64)
    distance = (_positions_mm(volume) - centre).norm(dim=-1)
    hu = 30000.0 * torch.exp(-0.5 * (distance / 7.0) ** 2) - 1000.0
    return Volume(hu=hu.float(), ct_from_voxel=affine, air_hu=-1000.0), centre


@pytest.fixture(params=["right-handed", "left-handed"])
def affine(request: pytest.FixtureRequest, oblique_affine: NDArray[np.float64]) -> Tensor:
    affine = torch.from_numpy(oblique_affine)
    if request.param == "left-handed":
        affine[:3, 1] *= -1
    return affine


@pytest.mark.parametrize("spacing_mm", [0.8, 1.0, 1.5, 2.0, 3.0])
def test_a_blob_stays_where_it_was(spacing_mm: float, affine: Tensor) -> None:
    volume, centre = _blob((35, 88, 110), affine)
    coarse = resample_isotropic(volume, spacing_mm)
    torch.testing.assert_close(torch.tensor(coarse.spacing_mm), torch.full((3,), spacing_mm))
    torch.testing.assert_close(coarse.centre_mm, volume.centre_mm, atol=1e-9, rtol=0)
    torch.testing.assert_close(_centroid_mm(coarse), centre, atol=1e-3, rtol=0)
    assert _mass(coarse) == pytest.approx(_mass(volume), rel=1e-4)


def test_axes_keep_their_directions(affine: Tensor) -> None:
    volume, _ = _blob((10, 20, 20), affine)
    coarse = resample_isotropic(volume, 2.0)
    for axis in range(3):
        old, new = volume.ct_from_voxel[:3, axis], coarse.ct_from_voxel[:3, axis]
        torch.testing.assert_close(new / new.norm(), old / old.norm())


def test_the_same_spacing_on_a_constant_changes_nothing() -> None:
    hu = torch.full((4, 5, 6), 40, dtype=torch.int16)
    volume = Volume(hu=hu, ct_from_voxel=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    same = resample_isotropic(volume, 2.0)
    assert same.hu.dtype == torch.int16
    torch.testing.assert_close(same.hu, hu)
    torch.testing.assert_close(same.ct_from_voxel, volume.ct_from_voxel)


def test_halving_averages_attenuation_not_padded_hounsfield_units() -> None:
    hu = torch.tensor([-3024, -3024, 1000, 1000], dtype=torch.int16).repeat(4, 4, 1)
    volume = Volume(hu=hu, ct_from_voxel=torch.eye(4))
    # a cell over the edge: half a ramp from 0 to 2000 above air on each side of it
    assert resample_isotropic(volume, 2.0).hu[0, 0].tolist() == [-1000 + 125, 1000 - 125]
    assert resample_isotropic(volume, 4.0).hu.tolist() == [[[0]]]


def test_fine_stripes_do_not_alias() -> None:
    hu = torch.where(torch.arange(96) % 2 == 0, -1000, 1000).to(torch.int16).repeat(6, 6, 1)
    coarse = resample_isotropic(Volume(hu=hu, ct_from_voxel=torch.eye(4)), 2.7)
    inner = coarse.hu[1, 1, 2:-2].float()
    assert (inner.abs() < 200).all()  # plain interpolation would swing between -1000 and 1000


def test_beyond_the_ct_is_air() -> None:
    volume = Volume(hu=torch.zeros((3, 3, 3), dtype=torch.int16), ct_from_voxel=torch.eye(4))
    coarse = resample_isotropic(volume, 2.0)
    assert coarse.hu.shape == (2, 2, 2)
    torch.testing.assert_close(coarse.centre_mm, volume.centre_mm)
    assert (coarse.hu == round(1000 * 0.75**3 - 1000)).all()  # 27 voxels of water in 64 mm3


def test_labels_do_not_shift(affine: Tensor) -> None:
    volume, _ = _blob((40, 40, 40), affine)
    labels = torch.zeros((40, 40, 40), dtype=torch.uint8)
    labels[4:36, 4:36, 4:36] = 9
    volume = Volume(hu=volume.hu, ct_from_voxel=torch.eye(4), labels=labels, label_names={9: "hip"})
    for spacing_mm in (1.0, 2.0, 4.0):
        coarse = resample_isotropic(volume, spacing_mm)
        assert coarse.labels is not None
        assert coarse.labels.dtype == torch.uint8
        assert coarse.label_names == {9: "hip"}
        centre = _positions_mm(coarse)[coarse.labels == 9].mean(0)
        torch.testing.assert_close(centre, volume.centre_mm, atol=1e-9, rtol=0)


@settings(max_examples=50, deadline=None)
@given(
    counts=st.tuples(*[st.integers(2, 12)] * 3),
    spacings=st.tuples(*[st.floats(0.3, 4.0)] * 3),
    spacing_mm=st.floats(0.3, 6.0),
    seed=st.integers(0, 99),
)
def test_any_grid_keeps_centre_mass_and_cover(
    counts: tuple[int, int, int], spacings: tuple[float, float, float], spacing_mm: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    volume = Volume(
        hu=torch.randint(-1000, 3000, counts, generator=random).to(torch.float32),
        ct_from_voxel=torch.diag(torch.tensor([*spacings, 1.0], dtype=torch.float64)),
        air_hu=-1000.0,
    )
    new = resample_isotropic(volume, spacing_mm)
    torch.testing.assert_close(new.centre_mm, volume.centre_mm)
    rounding = 0.5e-3 * 0.02 * new.hu.numel() * spacing_mm**3
    assert _mass(new) == pytest.approx(_mass(volume), rel=1e-5, abs=rounding)
    for n_new, n_old, old_mm in zip(new.hu.shape, counts, spacings[::-1], strict=True):
        assert 0 <= n_new * spacing_mm - n_old * old_mm + 1e-5 < spacing_mm + 2e-5


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, math.nan, math.inf])
def test_spacing_must_be_positive(spacing_mm: float) -> None:
    volume = Volume(hu=torch.zeros((3, 3, 3)), ct_from_voxel=torch.eye(4))
    with pytest.raises(InputError, match="spacing_mm must be positive and finite"):
        resample_isotropic(volume, spacing_mm)


def _cut(volume: Volume, first: tuple[int, int, int], size: tuple[int, int, int]) -> Volume:
    """A box of a CT that is zero outside it, as a part; it may begin before the CT."""
    padded = torch.nn.functional.pad(volume.hu, (2,) * 6, value=-1000.0)
    z, y, x = (start + 2 for start in first)
    depth, height, width = size
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = torch.tensor(first[::-1], dtype=torch.float64)
    return Volume(
        hu=padded[z : z + depth, y : y + height, x : x + width],
        ct_from_voxel=volume.ct_from_voxel @ shift,
        labels=None,
        air_hu=-1000.0,
    )


@pytest.mark.parametrize("spacing_mm", [0.6, 1.3, 2.0, 5.0])
@pytest.mark.parametrize("touching", [False, True])
def test_a_part_is_resampled_as_if_it_had_not_been_cut_out(
    spacing_mm: float, touching: bool, affine: Tensor
) -> None:
    """A part on the cubes of the whole, with exactly the values that the whole grid has there."""
    shape, first = (12, 18, 21), (0, 13, 16) if touching else (4, 5, 6)
    box = tuple(slice(start, start + 5) for start in first)
    hu = torch.full(shape, -1000.0)
    hu[box] = 3000.0 * torch.rand((5, 5, 5), generator=torch.Generator().manual_seed(3))
    whole = Volume(hu=hu, ct_from_voxel=affine, air_hu=-1000.0)
    z, y, x = first
    part = _cut(whole, (z - 1, y - 1, x - 1), (7, 7, 7))
    found = resample_isotropic(part, spacing_mm, cut_from=whole)
    expected = resample_isotropic(whole, spacing_mm)
    where = first_voxel(found, expected)
    inverse = torch.linalg.inv(expected.ct_from_voxel) @ found.ct_from_voxel
    torch.testing.assert_close(inverse[:3, 3].round(), inverse[:3, 3], atol=1e-9, rtol=0)
    torch.testing.assert_close(inverse[:3, :3], torch.eye(3, dtype=torch.float64))
    inside = tuple(
        slice(start, start + size) for start, size in zip(where, found.hu.shape, strict=True)
    )
    assert torch.equal(expected.hu[inside], found.hu)
    elsewhere = expected.hu.clone()
    elsewhere[inside] = -1000
    assert bool((elsewhere == -1000).all())
    assert _mass(found) == pytest.approx(_mass(part), rel=1e-3)


@pytest.mark.parametrize("spacing_mm", [0.8, 1.5, 3.0])
def test_a_smooth_part_stays_where_it_was(spacing_mm: float, affine: Tensor) -> None:
    whole, centre = _blob((35, 88, 110), affine)
    found = resample_isotropic(_cut(whole, (2, 9, 12), (32, 77, 92)), spacing_mm, cut_from=whole)
    torch.testing.assert_close(_centroid_mm(found), centre, atol=0.05, rtol=0)
    assert max(found.hu.shape) < max(resample_isotropic(whole, spacing_mm).hu.shape)


@pytest.mark.parametrize("spacing_mm", [0.7, 2.0, 3.1])
def test_a_part_has_the_labels_of_the_whole(spacing_mm: float) -> None:
    labels = torch.zeros((12, 14, 16), dtype=torch.uint8)
    labels[3:9, 2:8, 5:11] = 4
    labels[:3, 9:, 12:] = 4
    hu = torch.where(labels > 0, 1000, 0).to(torch.int16)
    whole = Volume(hu=hu, ct_from_voxel=torch.eye(4), labels=labels)
    coarse = resample_isotropic(whole, spacing_mm)
    found = resample_isotropic(bones_of(whole, (4,)), spacing_mm, cut_from=whole)
    assert coarse.labels is not None
    assert found.labels is not None
    own, there = found.labels.nonzero(), coarse.labels.nonzero()
    assert torch.equal(own + torch.tensor(first_voxel(found, coarse)), there)
