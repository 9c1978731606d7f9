"""Parts of a CT: what each attenuates is known by hand, and together they are the whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError
from wsreg.volumes.parts import bones_of, first_voxel, rest_of
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.volume import Volume

SHAPE = (9, 14, 17)
FIRST, SECOND = (1, 2), (3,)


def row(*hu: int, labels: tuple[int, ...]) -> Volume:
    """A CT of one row of voxels."""
    return Volume(
        hu=torch.tensor(hu, dtype=torch.int16)[None, None],
        ct_from_voxel=torch.eye(4),
        labels=torch.tensor(labels, dtype=torch.uint8)[None, None],
    )


@pytest.fixture(params=[torch.int16, torch.float32], name="ct")
def _ct(request: pytest.FixtureRequest, oblique_affine: NDArray[np.float64]) -> Volume:
    """Noise from below air to metal on an oblique grid; bones touch each other and the border."""
    hu = torch.randint(-1400, 2500, SHAPE, generator=torch.Generator().manual_seed(0))
    hu = hu.to(request.param)
    if hu.is_floating_point():
        hu += torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(SHAPE, dtype=torch.uint8)
    labels[3:6, 4:8, 5:9] = 1
    labels[3:6, 4:8, 9:12] = 3
    labels[7:, :5, 12:] = 2
    labels[:2, 9:, :4] = 3
    return Volume(
        hu=hu, ct_from_voxel=torch.from_numpy(oblique_affine), labels=labels, label_names={3: "hip"}
    )


def on_grid(part: Volume, whole: Volume) -> Tensor:
    """[D,H,W] a part's attenuation on the grid it was cut out of, which must hold all of it."""
    there, here = whole.ct_from_voxel[:3, :3], part.ct_from_voxel[:3, :3]
    torch.testing.assert_close(here, there)
    padded = torch.nn.functional.pad(torch.zeros(whole.hu.shape), (1,) * 6)
    z, y, x = (first + 1 for first in first_voxel(part, whole))
    depth, height, width = part.hu.shape
    padded[z : z + depth, y : y + height, x : x + width] = part.attenuation
    inside = padded[1:-1, 1:-1, 1:-1]
    assert float(padded.sum()) == pytest.approx(float(inside.sum()))
    return inside


def test_a_bone_is_what_is_denser_than_soft_tissue_in_its_labels_and_beside_them() -> None:
    ct = row(-1000, 30, 60, 61, 1040, 1040, 200, labels=(0, 1, 1, 1, 1, 0, 0))
    bone, rest = bones_of(ct, (1,)), rest_of(ct, [bones_of(ct, (1,))])
    assert bone.hu[1, 1].tolist() == [-1000, -1000, -1000, -1000, -999, -20, -20, -1000, -1000]
    assert bone.labels is not None
    assert bone.labels[1, 1].tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert bone.ct_from_voxel[:3, 3].tolist() == [-1, -1, -1]  # a margin
    assert rest.hu[0, 0].tolist() == [-1000, 30, 60, 60, 60, 60, 200]
    assert ct.hu[0, 0].tolist() == [-1000, 30, 60, 61, 1040, 1040, 200]  # as it was


def test_where_two_bones_meet_they_belong_to_neither() -> None:
    ct = row(*[1060] * 8, labels=(0, 1, 0, 2, 0, 0, 0, 1))
    first, second = bones_of(ct, (1,), (2,)), bones_of(ct, (2,), (1,))
    assert first.hu[1, 1, 1:-1].tolist() == [0, 0, -1000, -1000, -1000, -1000, 0, 0]
    assert second.hu[1, 1, 1:-1].tolist() == [-1000, -1000, 0, 0, -1000]
    assert rest_of(ct, [first, second]).hu[0, 0].tolist() == [
        60, 60, 1060, 60, 60, 1060, 60, 60
    ]  # fmt: skip


def test_what_counted_as_air_still_does() -> None:
    ct = dataclasses.replace(row(-920, -890, 1040, labels=(0, 0, 1)), air_hu=-900.0)
    rest = rest_of(ct, [bones_of(ct, (1,))])
    assert rest.hu[0, 0].tolist() == [-1000, -890, 60]
    torch.testing.assert_close(rest.attenuation[0, 0], torch.tensor([0.0, 0.0022, 0.0212]))


def test_the_least_number_of_a_scanner_is_no_bone() -> None:
    ct = row(-32768, 1040, 32767, labels=(1, 1, 1))
    bone = bones_of(ct, (1,))
    assert bone.hu[1, 1, 1:-1].tolist() == [-1000, -20, 31707]
    assert rest_of(ct, [bone]).hu[0, 0].tolist() == [-1000, 60, 60]


def beside(inside: Tensor) -> Tensor:
    """Voxels that are true, or have a true one among their 26 neighbours."""
    return torch.nn.functional.max_pool3d(inside[None, None].float(), 3, 1, 1)[0, 0] > 0


def test_parts_add_up_to_the_whole_in_every_voxel(ct: Volume) -> None:
    bones = [bones_of(ct, FIRST, SECOND), bones_of(ct, SECOND, FIRST)]
    parts = [rest_of(ct, bones), *bones]
    for part in parts:
        assert float(part.attenuation.min()) >= 0.0
        assert part.hu.dtype == ct.hu.dtype
    assert ct.labels is not None
    for bone, group, other in zip(bones, (FIRST, SECOND), (SECOND, FIRST), strict=True):
        attenuating = on_grid(bone, ct) > 0
        inside, elsewhere = (torch.isin(ct.labels, torch.tensor(n)) for n in (group, other))
        near = beside(inside) & ~beside(elsewhere)
        assert torch.equal(attenuating, (inside | near) & (ct.hu > 60))
    total = torch.stack([on_grid(part, ct) for part in parts]).sum(dim=0)
    torch.testing.assert_close(total, ct.attenuation, atol=2e-8, rtol=1e-6)


@pytest.mark.parametrize("spacing_mm", [0.8, 1.7, 3.0, 6.0])
def test_resampled_parts_lie_on_the_wholes_grid_and_add_up(ct: Volume, spacing_mm: float) -> None:
    whole = resample_isotropic(ct, spacing_mm)
    bones = [
        resample_isotropic(bones_of(ct, group, other), spacing_mm, cut_from=ct)
        for group, other in ((FIRST, SECOND), (SECOND, FIRST))
    ]
    parts = [rest_of(whole, bones), *bones]
    assert all(float(part.attenuation.min()) >= 0.0 for part in parts)
    total = torch.stack([on_grid(part, whole) for part in parts]).sum(dim=0)
    # Bones are rounded to whole HU by themselves: what is left may be 1 HU short of nothing.
    torch.testing.assert_close(total, whole.attenuation, atol=2.1e-5, rtol=1e-6)


def test_a_part_keeps_its_names_and_its_place(ct: Volume) -> None:
    bone = bones_of(ct, SECOND)
    assert bone.label_names == ct.label_names
    assert bone.label_values == SECOND
    assert bone.labels is not None
    assert ct.labels is not None
    first = (ct.labels == 3).nonzero()[0]
    own = (bone.labels == 3).nonzero()[0]
    one = torch.ones(1, dtype=torch.float64)
    torch.testing.assert_close(
        bone.ct_from_voxel @ torch.cat((own.flip(0).double(), one)),
        ct.ct_from_voxel @ torch.cat((first.flip(0).double(), one)),
    )
    assert first_voxel(bone, ct) == (-1, 1, -1)  # both of its corners touch the CT's border


@pytest.mark.parametrize("labels", [(), (7,), (1, 7)])
def test_labels_that_the_ct_lacks_are_refused(ct: Volume, labels: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"labels must name labels of the volume \[1, 2, 3\], got"):
        bones_of(ct, labels)
    with pytest.raises(InputError, match=r"labels must name labels of the volume \[\], got"):
        bones_of(dataclasses.replace(ct, labels=None), labels)


def test_a_bone_must_hold_something_dense() -> None:
    with pytest.raises(
        InputError,
        match=r"^labels \[1\] must hold something denser than soft tissue \(60 HU\), they hold",
    ):
        bones_of(row(60, 30, 60, 1000, labels=(1, 1, 0, 0)), [1])
