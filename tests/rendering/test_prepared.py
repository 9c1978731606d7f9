"""What is prepared of a CT: levels by name, made once, shared, and gone with the CT."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.registration.config import RegistrationConfig
from wsreg.rendering import prepared as module
from wsreg.rendering.prepared import (
    VOXEL_SIZES_MM,
    PreparedCt,
    PreparedVolume,
    check_prepared,
    prepare,
)
from wsreg.rendering.rays import PlaneAxes
from wsreg.rendering.render import render
from wsreg.volumes.parts import CtPart
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

AXES = PlaneAxes(u=0, v=1, w=2)


@pytest.fixture
def ct() -> Volume:
    """A blob of two labels off the centre of an anisotropic grid."""
    axes = [torch.arange(n, dtype=torch.float32) for n in (20, 36, 40)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    hu = 2000 * torch.exp(-((x - 17) ** 2 + (y - 20) ** 2 + 4 * (z - 9) ** 2) / 60) - 1000
    labels = (hu > -600).to(torch.uint8)
    labels[:, :, 20:] *= 2
    affine = torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64))
    return Volume(hu=hu, ct_from_voxel=affine, labels=labels, air_hu=-1000.0)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Only reference counts free memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alone(*labels: int) -> CtPart:
    return CtPart(kind="alone", groups=(labels,))


def mass(volume: Volume) -> float:
    voxel_mm3 = abs(float(torch.linalg.det(volume.ct_from_voxel[:3, :3])))
    return float(volume.attenuation.double().sum()) * voxel_mm3


def centroid_mm(volume: Volume) -> Tensor:
    grids = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) for n in volume.hu.shape), indexing="ij"
    )
    weight = volume.attenuation.double()
    index = torch.stack([(grid * weight).sum() / weight.sum() for grid in reversed(grids)])
    return volume.ct_from_voxel[:3, :3] @ index + volume.ct_from_voxel[:3, 3]


def test_levels_keep_order_mass_and_place(ct: Volume) -> None:
    levels = PreparedCt(volume=ct).levels((4.0, 1.5, 2.5))
    assert [round(level.volume.spacing_mm[0], 6) for level in levels] == [4.0, 1.5, 2.5]
    for level in levels:
        torch.testing.assert_close(centroid_mm(level.volume), centroid_mm(ct), atol=0.01, rtol=0)
        assert mass(level.volume) == pytest.approx(mass(ct), rel=1e-3)


def test_a_level_is_made_from_the_next_finer_one_whatever_was_asked_before(ct: Volume) -> None:
    fine = resample_isotropic(ct, 1.5)
    prepared = PreparedCt(volume=ct)
    (alone,) = prepared.levels((3.0,))
    both = prepared.levels((3.0, 1.5))
    assert torch.equal(alone.volume.hu, resample_isotropic(ct, 3.0).hu)
    assert torch.equal(both[0].volume.hu, resample_isotropic(fine, 3.0).hu)
    assert torch.equal(both[1].volume.hu, fine.hu)


def test_no_level_is_finer_than_the_ct(ct: Volume) -> None:
    levels = PreparedCt(volume=ct).levels((2.0, 0.5, 0.25))
    assert [round(level.volume.spacing_mm[0], 6) for level in levels] == [2.0, 1.0, 1.0]
    assert levels[1] is levels[2]


def test_with_labels_only_these_attenuate(ct: Volume) -> None:
    prepared = PreparedCt(volume=ct)
    (left,), (right,), (both,) = (
        prepared.levels((2.0,), alone(*some)) for some in ((1,), (2,), (1, 2))
    )
    (whole,) = prepared.levels((2.0,))
    assert torch.equal(left.volume.hu, resample_isotropic(ct.restricted_to((1,)), 2.0).hu)
    assert 0 < mass(left.volume) < mass(both.volume) < mass(whole.volume)
    assert mass(left.volume) + mass(right.volume) == pytest.approx(mass(both.volume), rel=1e-3)
    assert prepared.levels((2.0,), alone(1, 2))[0] is both
    with pytest.raises(InputError, match=r"labels must name labels of the volume \[1, 2\]"):
        prepared.levels((2.0,), alone(7))


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_a_voxel_size_must_be_positive_and_finite(ct: Volume, size: float) -> None:
    with pytest.raises(InputError, match="voxel_sizes_mm must be positive and finite, got"):
        PreparedCt(volume=ct).levels((2.0, size))


def test_each_thing_is_made_once_though_many_ask_at_once(
    ct: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[float] = []
    start = threading.Barrier(8)

    def counted(volume: Volume, spacing_mm: float) -> Volume:
        made.append(spacing_mm)
        time.sleep(0.05)  # time enough for the others to ask as well
        return resample_isotropic(volume, spacing_mm)

    def ask(number: int) -> tuple[object, ...]:
        start.wait(timeout=30.0)
        levels = PreparedCt(volume=ct).levels((4.0, 2.0) if number % 2 else (2.0, 4.0))
        coarse = max(levels, key=lambda level: level.volume.spacing_mm)
        return coarse, coarse.attenuation_grid(AXES), coarse.label_grid(AXES, ((1,), (2,)))

    monkeypatch.setattr(module, "resample_isotropic", counted)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert sorted(made) == [2.0, 4.0]
    for answer in answers:
        assert all(a is b for a, b in zip(answer, answers[0], strict=True))


def test_two_views_of_one_volume_share_what_is_made(ct: Volume) -> None:
    first, second = PreparedVolume(volume=ct), PreparedVolume(volume=ct)
    assert first.attenuation_grid(AXES) is second.attenuation_grid(AXES)
    other = dataclasses.replace(AXES, u=1, v=0)
    assert first.attenuation_grid(other) is not first.attenuation_grid(AXES)
    assert first.label_grid(AXES, ((1,),)) is not first.label_grid(AXES, ((2,),))


def test_everything_dies_with_the_volume_by_reference_counts_alone(
    ct: Volume, camera: Camera, no_collector: None
) -> None:
    volume = Volume(hu=ct.hu.clone(), ct_from_voxel=ct.ct_from_voxel, labels=ct.labels)
    for some in (volume, *(level.volume for level in PreparedCt(volume=volume).levels((6.0, 3.0)))):
        pose = view_pose(some, camera).requires_grad_()
        render(some, camera, pose, rois=[1]).sum().backward()
    prepared = prepare(volume, labels=(1,))
    (level,) = prepared.levels((6.0,))
    alive = [
        weakref.ref(thing)
        for thing in (volume, volume.hu, level.volume, level.attenuation_grid(AXES).values)
    ]
    before = len(module._made)
    del volume, level, some
    assert all(thing() is not None for thing in alive)  # held by what is prepared
    del prepared
    assert [thing() for thing in alive] == [None] * 4
    assert len(module._made) < before


def test_prepare_does_the_work_of_a_registration_ahead(
    ct: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuple(level.voxel_mm for level in RegistrationConfig().levels) == VOXEL_SIZES_MM
    prepared = prepare(ct)
    assert prepared.volume is ct

    def refuse(volume: Volume, spacing_mm: float) -> Volume:
        raise AssertionError

    monkeypatch.setattr(module, "resample_isotropic", refuse)
    levels = prepared.levels(VOXEL_SIZES_MM)
    assert [round(level.volume.spacing_mm[0], 6) for level in levels[:2]] == [6.0, 3.0]
    assert levels[2].volume is ct


def test_a_prepared_ct_is_of_its_volume_or_of_an_equal_one(ct: Volume) -> None:
    prepared = PreparedCt(volume=ct)
    check_prepared(prepared, ct)
    check_prepared(prepared, dataclasses.replace(ct, hu=ct.hu.double()))
    bare = dataclasses.replace(ct, labels=None)
    check_prepared(PreparedCt(volume=bare), dataclasses.replace(bare))
    moved = ct.ct_from_voxel.clone()
    moved[0, 3] += 1.0
    denser = ct.hu.clone()
    denser[3, 4, 5] += 1.0
    assert ct.labels is not None
    for other, what in (
        (dataclasses.replace(ct, ct_from_voxel=moved), "voxel grid"),
        (Volume(hu=ct.hu[1:], ct_from_voxel=ct.ct_from_voxel), "voxel grid"),
        (dataclasses.replace(ct, hu=denser), "Hounsfield units"),
        (dataclasses.replace(ct, air_hu=-900.0), "Hounsfield units"),
        (dataclasses.replace(ct, labels=None), "labels"),
        (dataclasses.replace(ct, labels=ct.labels.flip(0)), "labels"),
    ):
        with pytest.raises(InputError, match=f"prepared must be of the volume given, .* {what}"):
            check_prepared(prepared, other)


def test_a_ct_with_very_fine_voxels_is_averaged(ct: Volume) -> None:
    affine = ct.ct_from_voxel.clone()
    affine[:3, :3] *= 0.2 / min(ct.spacing_mm)
    fine = dataclasses.replace(ct, ct_from_voxel=affine)
    (level,) = PreparedCt(volume=fine).levels((None,))
    assert min(level.volume.spacing_mm) == pytest.approx(0.8)


def test_what_is_prepared_can_be_sent_to_another_process(ct: Volume) -> None:
    prepared = PreparedCt(volume=ct)
    again = pickle.loads(pickle.dumps(prepared))
    check_prepared(again, ct)
    level = pickle.loads(pickle.dumps(prepared.levels((3.0,))[0]))
    assert torch.equal(level.volume.hu, prepared.levels((3.0,))[0].volume.hu)


def test_only_the_latest_label_grids_are_kept(ct: Volume) -> None:
    prepared = PreparedVolume(volume=ct)
    first = prepared.label_grid(AXES, ((1,),))
    assert prepared.label_grid(AXES, ((1,),)) is first
    for number in range(module.MOST_LABEL_GRIDS):
        prepared.label_grid(AXES, ((1,), (100 + number,)))
    assert len(prepared._made.recent) == module.MOST_LABEL_GRIDS
    assert prepared.label_grid(AXES, ((1,),)) is not first
