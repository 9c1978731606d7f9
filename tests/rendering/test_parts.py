"""Parts of a CT as they are rendered: at one pose their images add up to that of the whole."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.rendering import prepared as module
from wsreg.rendering.prepared import VOXEL_SIZES_MM, PreparedCt, prepare
from wsreg.rendering.render import render, render_with_jacobian
from wsreg.vocabulary import Backend
from wsreg.volumes.bodies import Bodies, parts_of_bodies
from wsreg.volumes.parts import WHOLE_CT, CtPart, bones_of
from wsreg.volumes.volume import Volume

GROUPS = {"first": (1,), "second": (2, 3)}
SIZES_MM = (6.0, 4.0, None)

pytestmark = pytest.mark.parametrize("dtype", [torch.float32, torch.int16])


@pytest.fixture(name="ct")
def _ct(noisy_volume: Volume, dtype: torch.dtype) -> Volume:
    """Texture on an oblique grid, with bones at its border, and noise below what counts as air."""
    hu = noisy_volume.hu + 900.0
    hu[:, :10] = -1000.0
    noise = torch.rand(hu[:, -6:].shape, generator=torch.Generator().manual_seed(2))
    hu[:, -6:] = -800.0 - 200.0 * noise
    labels = torch.zeros(hu.shape, dtype=torch.uint8)
    labels[8:20, 12:24, 10:24] = 1
    labels[20:30, 16:30, 30:40] = 2
    labels[:9, 20:34, :12] = 3
    return dataclasses.replace(noisy_volume, hu=hu.to(dtype), labels=labels)


@pytest.mark.parametrize(("backend", "tolerance"), [("reference", 1e-6), ("numba", 2e-4)])
@pytest.mark.parametrize("view", ["PA", "LAT", "oblique"])
def test_the_images_of_all_parts_add_up_to_that_of_the_whole(
    ct: Volume, camera: Camera, poses: dict[str, Tensor], view: str, backend: Backend,
    tolerance: float,
) -> None:  # fmt: skip
    """At every level; the parts of a resampled CT are rounded to 1 HU each, 2e-5 for each mm."""
    assert ct.labels is not None
    prepared, pose = PreparedCt(volume=ct), poses[view]
    parts = parts_of_bodies(ct, GROUPS)
    wholes = prepared.levels(SIZES_MM)
    for number, (size, whole) in enumerate(zip(SIZES_MM, wholes, strict=True)):
        pieces = [prepared.levels(SIZES_MM, part)[number] for part in parts.values()]
        images = [render(piece, camera, pose, backend=backend) for piece in pieces]
        expected = render(whole, camera, pose, backend=backend)
        assert float(expected.max()) > 0.5
        for image in images:
            assert float(image.min()) >= 0.0
            assert float(image.max()) > 0.02 * float(expected.max())
        rounding = 0.0 if size is None else 2e-5
        off = (torch.stack(images).sum(dim=0) - expected).abs().max()
        assert float(off) <= (tolerance + rounding) * float(expected.max())


def test_so_do_their_derivatives(ct: Volume, camera: Camera, poses: dict[str, Tensor]) -> None:
    prepared = PreparedCt(volume=ct)
    pivot = ct.centre_mm + 20.0
    for size in (None, 4.0):
        (whole,) = prepared.levels((size,))
        _, expected = render_with_jacobian(whole, camera, poses["PA"], pivot_mm=pivot)
        pieces = [prepared.levels((size,), p)[0] for p in parts_of_bodies(ct, GROUPS).values()]
        slopes = [
            render_with_jacobian(piece, camera, poses["PA"], pivot_mm=pivot)[1] for piece in pieces
        ]
        off = (torch.stack(slopes).sum(dim=0) - expected).abs().amax(dim=(0, 1, 2, 3))
        assert bool((off <= 2e-3 * expected.abs().amax(dim=(0, 1, 2, 3))).all())


def test_a_bone_at_a_level_is_small_and_lies_where_it_was(ct: Volume) -> None:
    prepared = PreparedCt(volume=ct)
    bone = CtPart(kind="bones", groups=((3,),))
    own = prepared.levels((None,), bone)[0].volume
    assert torch.equal(own.hu, bones_of(ct, (3,)).hu)
    (coarse, finer), (whole, _) = (prepared.levels((6.0, 4.0), part) for part in (bone, WHOLE_CT))
    assert coarse.volume.hu.numel() < 0.5 * whole.volume.hu.numel()
    for level in (coarse.volume, finer.volume):
        torch.testing.assert_close(centroid_mm(level), centroid_mm(own), atol=0.3, rtol=0)
        assert level.label_values == (3,)
    # Of a level made from the next finer one, not from the CT.
    (direct,) = PreparedCt(volume=ct).levels((6.0,), bone)
    assert not torch.equal(direct.volume.hu, coarse.volume.hu)


def centroid_mm(volume: Volume) -> Tensor:
    grids = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) for n in volume.hu.shape), indexing="ij"
    )
    weight = volume.attenuation.double()
    index = torch.stack([(grid * weight).sum() / weight.sum() for grid in reversed(grids)])
    return volume.ct_from_voxel[:3, :3] @ index + volume.ct_from_voxel[:3, 3]


def test_parts_are_made_once_whoever_asks(ct: Volume) -> None:
    parts = parts_of_bodies(ct, GROUPS)
    first, second = PreparedCt(volume=ct), PreparedCt(volume=ct)
    for part in parts.values():
        for a, b in zip(first.levels(SIZES_MM, part), second.levels(SIZES_MM, part), strict=True):
            assert a is b
    assert first.levels((6.0,), parts["first"])[0] is not first.levels((6.0,), parts["second"])[0]
    for kind in ("bones", "rest"):
        with pytest.raises(InputError, match="labels must name labels of the volume"):
            first.levels((6.0,), CtPart(kind=kind, groups=((9,),)))


@pytest.mark.parametrize(("bodies", "names"), [
    (GROUPS, ["first", "second", "rest"]),
    ("auto", ["pelvis", "left-femur", "rest"]),
    (None, ["ct"]),
])  # fmt: skip
def test_prepare_makes_the_parts_of_all_bodies_ahead(
    ct: Volume, monkeypatch: pytest.MonkeyPatch, bodies: Bodies, names: list[str]
) -> None:
    if bodies == "auto":
        ct = dataclasses.replace(ct, label_names={1: "hip_left", 2: "femur_left", 3: "skull"})
    parts = parts_of_bodies(ct, bodies)
    assert list(parts) == names
    prepared = prepare(ct, bodies=bodies)

    def refuse(*_: object, **__: object) -> Volume:
        raise AssertionError

    for name in ("resample_isotropic", "bones_of", "rest_of"):
        monkeypatch.setattr(module, name, refuse)
    for part in parts.values():
        assert len(prepared.levels(VOXEL_SIZES_MM, part)) == 3


def test_what_is_kept_is_made_once_and_goes_with_the_ct(ct: Volume) -> None:
    made: list[int] = []

    def make() -> Tensor:
        made.append(1)
        return torch.ones(3)

    prepared = PreparedCt(volume=ct)
    kept = prepared.keep(("joint", 1), make)
    assert PreparedCt(volume=ct).keep(("joint", 1), make) is kept
    assert prepared.keep(("joint", 2), make) is not kept
    assert len(made) == 2
    own = Volume(hu=ct.hu.clone(), ct_from_voxel=ct.ct_from_voxel, labels=ct.labels)
    holder = PreparedCt(volume=own)
    there = weakref.ref(holder.keep("it", make))
    for part in parts_of_bodies(own, GROUPS).values():
        holder.levels((6.0, None), part)
    alive = weakref.ref(own)
    del holder, own
    gc.collect()
    assert there() is None
    assert alive() is None
