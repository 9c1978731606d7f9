from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import transform_points
from wsreg.rendering.prepared import PreparedCt
from wsreg.training.config import FitConfig
from wsreg.training.encoder_config import NARROW, EncoderConfig, paper_config, reach
from wsreg.training.encoder_data import (
    HELD_OUT,
    EncoderData,
    encoder_batch,
    load_encoder_data,
    render_compared,
)
from wsreg.training.pose_sampling import PoseRange, sample_numbers
from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=64, columns=64, pixel_spacing_mm=(3.0, 3.0))


@pytest.fixture(scope="module")
def data(volume: Volume, small: EncoderConfig) -> EncoderData:
    return load_encoder_data(PreparedCt(volume=volume), CAMERA, small)


def test_what_is_known_of_the_ct(data: EncoderData, volume: Volume, small: EncoderConfig) -> None:
    assert data.regions == (
        ("left-hemipelvis", (1,)), ("left-femur", (5,)), ("right-femur", (6,)),
    )  # fmt: skip
    assert data.sha256 == ct_sha256(volume)
    assert data.frame.camera == CAMERA.resized(32, 32)
    # The hip is the box of voxels 12..27, 10..19, 18..26 of 2 mm from (-39, -29, -29).
    assert data.frame.pivot_mm == pytest.approx((0.0, 0.0, 15.0), abs=0.5)
    middle = transform_points(data.frame.middle, data.frame.pivot[None])[0]
    torch.testing.assert_close(middle, torch.tensor([0.0, 0.0, 715.0], dtype=torch.float64))
    assert data.frame.scale == small.poses.scale


def test_a_batch_shows_its_poses_and_follows_from_seed_and_number(
    data: EncoderData, small: EncoderConfig
) -> None:
    images, valid, numbers, who, compared = encoder_batch((data,), small, 3, 0.0)
    assert not who.any()
    poses = data.frame.pose(numbers)
    assert torch.equal(compared, render_compared(data, small, poses))
    assert compared.shape == (small.fit.batch, 4, 16, 16)  # the CT and three regions
    assert images.shape == valid.shape == (small.fit.batch, 1, 32, 32)
    assert bool(valid.all())
    assert torch.equal(numbers, sample_numbers(small.poses, small.fit.seed, 3, small.fit.batch))
    # What is densest, a bone, lies where its pose has it: its middle within the bones' outline.
    again = encoder_batch((data,), small, 3, 0.0)
    assert torch.equal(images, again.images)
    assert not torch.equal(images, encoder_batch((data,), small, 4, 0.0).images)
    augmented, hidden, same, _, _ = encoder_batch((data,), small, 3, 1.0)
    assert torch.equal(same, numbers)
    assert not torch.equal(augmented, images)
    assert hidden.dtype == torch.bool


def test_a_shift_of_the_pose_shifts_the_image(data: EncoderData, small: EncoderConfig) -> None:
    narrow = PoseRange(
        rotation_sd_deg=(1e-6,) * 3, shift_sd_mm=(20.0, 1e-6), depth_sd_mm=1e-6, cut_sd=2.0
    )
    moving = dataclasses.replace(small, poses=narrow)
    frame = dataclasses.replace(data.frame, scale=narrow.scale)
    still = dataclasses.replace(data, frame=frame)
    images, _, numbers, _, _ = encoder_batch((still,), moving, 0, 0.0)
    columns = torch.arange(32.0) - 15.5
    bright = (images[:, 0] - images[:, 0].amin(dim=(1, 2), keepdim=True)).square()
    middle = (bright.sum(dim=1) * columns).sum(dim=1) / bright.sum(dim=(1, 2))
    # 6 mm pixels at 1000 mm; the pivot is at 715 mm.
    expected = numbers[:, 3] * 20.0 * 1000.0 / 715.0 / 6.0
    slope = float((middle * expected).sum() / expected.square().sum())
    assert slope == pytest.approx(1.0, abs=0.25)


def test_labels_that_are_missing(volume: Volume, small: EncoderConfig) -> None:
    bare = PreparedCt(volume=dataclasses.replace(volume, labels=None, label_names={}))
    with pytest.raises(InputError, match=r"need the label map .* --roi-weight 0 leaves them out"):
        load_encoder_data(bare, CAMERA, small)
    plain = dataclasses.replace(small, roi_weight=0.0)
    assert load_encoder_data(bare, CAMERA, plain).regions == ()
    with pytest.raises(InputError, match=r"--rois must name labels of the CT .*got 'skull'"):
        load_encoder_data(PreparedCt(volume=volume), CAMERA, small, ("skull",))
    hips = load_encoder_data(PreparedCt(volume=volume), CAMERA, small, ("hip_left",))
    assert hips.regions == (("hip_left", (1,)),)


def test_a_ct_of_nothing(volume: Volume, small: EncoderConfig) -> None:
    hu = torch.zeros_like(volume.hu)
    water = dataclasses.replace(volume, hu=hu, labels=None, label_names={})
    plain = dataclasses.replace(small, roi_weight=0.0)
    with pytest.raises(InputError, match="must hold bone"):
        load_encoder_data(PreparedCt(volume=water), CAMERA, plain)


def test_poses_that_leave_the_detector_empty(volume: Volume, small: EncoderConfig) -> None:
    far = dataclasses.replace(small, poses=PoseRange(shift_sd_mm=(400.0, 400.0)))
    with pytest.raises(InputError, match=r"\d\d% of its poses leave the detector"):
        load_encoder_data(PreparedCt(volume=volume), CAMERA, far)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_px": 16}, "size_px must be at least 32"),
        ({"loss_px": 5}, "loss_px at least window_px, got 64, 5 and 7"),
        ({"roi_weight": -1.0}, "must be finite, at least 0 and not all 0"),
        ({"roi_weight": math.nan}, "must be finite, at least 0 and not all 0"),
        ({"size_px": 32, "fit": FitConfig(batch=1)}, "batch must be at least 2"),
        (
            {"roi_weight": 0.0, "image_weight": 0.0, "geodesic_weight": 0.0},
            "at least 0 and not all 0",
        ),
        ({"validated": 0}, "validated must be at least 1, got 0"),
        ({"roi_images": 0}, "roi_images must be 1 to the 32 of a batch, got 0"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EncoderConfig(**changes)  # type: ignore[arg-type]


def test_the_papers_settings() -> None:
    config = paper_config()
    assert (config.geodesic_weight, config.roi_weight, config.image_weight) == (1e-2, 1e-1, 1.0)
    assert (config.fit.optimiser, config.fit.learning_rate) == ("adam", 1e-3)
    assert (config.width, config.stem) == (64, "resnet")


def test_the_range_grows_to_all_of_it(data: EncoderData, small: EncoderConfig) -> None:
    config = dataclasses.replace(small, widening=0.5, fit=FitConfig(steps=100, batch=8))
    assert reach(config, 0) == NARROW
    assert reach(config, 25) == pytest.approx((1.0 + NARROW) / 2.0)
    assert reach(config, 50) == reach(config, 99) == 1.0
    assert reach(dataclasses.replace(config, widening=0.0), 0) == 1.0
    narrow = encoder_batch((data,), config, 3, 0.0, 0.25).numbers
    wide = encoder_batch((data,), config, 3, 0.0).numbers
    assert torch.equal(narrow[:, [2, 5]], wide[:, [2, 5]])
    torch.testing.assert_close(narrow[:, [0, 1, 3, 4]], 0.25 * wide[:, [0, 1, 3, 4]])


def test_many_people_take_turns_and_some_are_held_out(
    data: EncoderData, small: EncoderConfig
) -> None:
    config = dataclasses.replace(small, fit=dataclasses.replace(small.fit, batch=16))
    people = [data] * 20  # of whom 7 and 14 are held out
    seen = [encoder_batch(people, config, number, 0.0).who for number in range(40)]
    for who in seen:
        assert who.shape == (16,)
        assert who.unique_consecutive(return_counts=True)[1].tolist() == [8, 8]
    assert set(torch.cat(seen).tolist()) == set(range(20)) - {7, 14}
    held_out = encoder_batch(people, config, HELD_OUT + 1, 0.0).who
    assert set(held_out.tolist()) == {7, 14}


def test_an_image_shows_the_person_that_it_is_said_to(
    data: EncoderData, small: EncoderConfig
) -> None:
    config = dataclasses.replace(small, fit=dataclasses.replace(small.fit, batch=16))
    z = data.frame.pivot_mm[2]
    low = dataclasses.replace(data.frame, pivot_mm=(*data.frame.pivot_mm[:2], z - 20.0))
    batch = encoder_batch((data, dataclasses.replace(data, frame=low)), config, 1, 0.0)
    for index, frame in enumerate((data.frame, low)):
        own = batch.who == index
        assert int(own.sum()) == 8
        expected = render_compared(data, config, frame.pose(batch.numbers[own]))
        assert torch.equal(batch.compared[own], expected)


def test_where_no_images_are_compared_none_are_rendered(
    data: EncoderData, small: EncoderConfig
) -> None:
    config = dataclasses.replace(small, image_weight=0.0, roi_weight=0.0)
    assert encoder_batch((data,), config, 0, 0.0).compared.shape == (small.fit.batch, 0, 16, 16)
