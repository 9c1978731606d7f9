"""Registration with regions of interest: far starts, both solvers, evidence, refusals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.evaluation.distances import mpd_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.optimisation.adam import AdamConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.registration.starts.config import SearchConfig
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.volumes.volume import Volume

NAMES = ("hip_left", "hip_right", "sacrum", "femur_left", "femur_right")


@pytest.fixture(name="config", scope="module")
def _config(quick: RegistrationConfig) -> RegistrationConfig:
    """With a search of few poses that stays near."""
    search = SearchConfig(poses=32, refined=4, kept=2, rotation_deg=6.0, shift_mm=20.0)
    return dataclasses.replace(quick, search=search)


@pytest.fixture(name="rois", scope="module")
def _rois(phantom: Volume, truth: Tensor, camera: Camera) -> RoiTarget:
    values = {name: value for value, name in phantom.label_names.items()}
    labels = tuple((values[name],) for name in NAMES)
    masks = (rendered_rois(phantom, camera, truth[None], labels)[0] > 0.5).float()
    return RoiTarget(names=NAMES, masks=masks, labels=labels)


@pytest.fixture(name="far", scope="module")
def _far(phantom: Volume, truth: Tensor) -> Tensor:
    step = torch.tensor([0.3, -0.2, 0.35, -120.0, 100.0, 50.0], dtype=torch.float64)
    return perturb(truth, step, phantom.centre_mm)


def error_mm(volume: Volume, pose: Tensor, truth: Tensor, camera: Camera) -> float:
    """On the detector, of points on bone."""
    assert volume.labels is not None
    index = volume.labels.nonzero()[::5000].flip(-1).to(torch.float64)
    points = index @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]
    return float(mpd_mm(points, pose, truth, camera))


@pytest.fixture(name="found", scope="module")
def _found(
    radiograph: Radiograph,
    phantom: Volume,
    far: Tensor,
    rois: RoiTarget,
    config: RegistrationConfig,
) -> RegistrationResult:
    return register(radiograph, phantom, init=far, rois=rois, config=config)


def test_regions_bring_a_far_start_home_without_a_search(
    found: RegistrationResult,
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    far: Tensor,
    camera: Camera,
    config: RegistrationConfig,
) -> None:
    assert error_mm(phantom, far, truth, camera) > 150.0
    alone = register(radiograph, phantom, init=far, bodies=None, config=config)
    assert alone.renders > found.renders + config.search.poses // 2
    assert error_mm(phantom, found.camera_from_ct, truth, camera) < 0.5
    assert found.verdict.status == "pass", found.verdict


def test_the_result_says_what_the_regions_were_and_how_they_agree(
    found: RegistrationResult,
) -> None:
    assert set(found.config["rois"]) == set(NAMES)
    assert found.config["rois_moving"] == "rendered"
    dice = found.config["evidence"]["roi_dice"]
    assert set(dice) == set(NAMES)
    assert min(dice.values()) > 0.9
    assert any("mean Dice of 0.9" in reason for reason in found.verdict.reasons)
    assert found.comparison.rois_end.shape[0] == len(NAMES)


def said_of_regions(result: RegistrationResult) -> list[str]:
    return [reason for reason in result.verdict.reasons if reason.startswith("Region")]


def exchanged(rois: RoiTarget) -> Tensor:
    return rois.masks[[1, 0, 2, 4, 3]]


def shifted(rois: RoiTarget) -> Tensor:
    return rois.masks.roll(40, dims=-1)


def anything(rois: RoiTarget) -> Tensor:
    coarse = torch.rand(5, 1, 7, 8, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, rois.masks.shape[1:], mode="bilinear")
    return (fine[:, 0] > 0.6).float()


@pytest.mark.parametrize("wrong", [exchanged, shifted, anything])
@pytest.mark.parametrize("init", ["pose", "search"])
def test_bad_masks_change_nothing_where_the_image_is_good(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
    camera: Camera,
    config: RegistrationConfig,
    wrong: Callable[[RoiTarget], Tensor],
    init: str,
) -> None:
    """The answer is to the last bit that without regions, and the regions are named."""
    beside = torch.tensor([0.04, -0.03, 0.05, 6.0, -4.0, 10.0], dtype=torch.float64)
    start = perturb(truth, beside, phantom.centre_mm) if init == "pose" else init
    bad = dataclasses.replace(rois, masks=wrong(rois))
    alone = register(radiograph, phantom, init=start, config=config)
    result = register(radiograph, phantom, init=start, rois=bad, config=config)
    assert error_mm(phantom, alone.camera_from_ct, truth, camera) < 0.5
    assert torch.equal(result.camera_from_ct, alone.camera_from_ct)
    assert alone.verdict.status == "pass"
    assert result.verdict.status == "check"
    (reason,) = said_of_regions(result)
    assert reason.startswith("Regions ")
    assert reason.endswith(" contradict the image.")
    assert reason == result.verdict.reasons[0]


def test_a_region_that_is_wrong_is_named_and_the_others_are_not(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
    config: RegistrationConfig,
) -> None:
    masks = rois.masks.clone()
    masks[3] = masks[3].roll(40, dims=-1)
    bad = dataclasses.replace(rois, masks=masks)
    result = register(radiograph, phantom, init=truth, rois=bad, config=config)
    assert said_of_regions(result) == ["Region femur_left contradicts the image."]


def test_masks_of_nothing_drop_out_and_the_verdict_says_so(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
    config: RegistrationConfig,
) -> None:
    start = perturb(
        truth, torch.tensor([0.03, 0, 0, 4.0, 0, 0], dtype=torch.float64), phantom.centre_mm
    )
    nothing = dataclasses.replace(rois, masks=torch.zeros_like(rois.masks))
    result = register(radiograph, phantom, init=start, rois=nothing, config=config)
    alone = register(radiograph, phantom, init=start, config=config)
    assert torch.equal(result.camera_from_ct, alone.camera_from_ct)
    assert result.verdict.status == "check"
    assert "No region of interest took part" in result.verdict.reasons[0]


def test_regions_of_bones_that_are_not_rendered_take_no_part(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
    config: RegistrationConfig,
) -> None:
    pelvis = [label for group in rois.labels[:3] for label in group]
    result = register(
        radiograph, phantom, init=truth, rois=rois, render_labels=pelvis, config=config
    )
    assert set(result.config["evidence"]["roi_dice"]) == set(NAMES[:3])


def test_a_search_with_regions(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
    camera: Camera,
    config: RegistrationConfig,
) -> None:
    result = register(radiograph, phantom, init="search", rois=rois, config=config)
    assert error_mm(phantom, result.camera_from_ct, truth, camera) < 0.5


@pytest.mark.parametrize("source", ["rendered", "network"])
def test_the_papers_loop_with_regions(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
    camera: Camera,
    config: RegistrationConfig,
    source: str,
) -> None:
    """The network is one that finds whatever attenuates more than a half of the most."""
    start = perturb(
        truth, torch.tensor([0.05, 0.04, 0, 6.0, -5.0, 0], dtype=torch.float64), phantom.centre_mm
    )
    if source == "network":

        def dense(images: Tensor) -> Tensor:
            return torch.sigmoid(10.0 * (images / images.amax() - 0.5))

        masks = (dense(radiograph.image[None]) > 0.5).float()
        rois = RoiTarget(names=("dense",), masks=masks, moving_segmenter=dense)
    finest = dataclasses.replace(config.levels[1], image_px=64)
    adam = dataclasses.replace(
        config, method="adam", levels=(config.levels[0], finest), adam=AdamConfig(steps=40)
    )
    result = register(radiograph, phantom, init=start, rois=rois, config=adam)
    before, after = (error_mm(phantom, p, truth, camera) for p in (start, result.camera_from_ct))
    assert after < 0.5 * before
    assert result.config["rois_moving"] == source
    assert min(result.config["evidence"]["roi_dice"].values()) > 0.7


def test_regions_that_do_not_fit_are_refused(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    rois: RoiTarget,
) -> None:
    small = dataclasses.replace(rois, masks=rois.masks[:, ::2, ::2])
    with pytest.raises(InputError, match="rows x columns, 112 x 128, got 56 x 64"):
        register(radiograph, phantom, init=truth, rois=small)
    unknown = dataclasses.replace(rois, labels=((99,), *rois.labels[1:]))
    with pytest.raises(InputError, match=r"ROI hip_left must be made of labels of the CT.*\[99\]"):
        register(radiograph, phantom, init=truth, rois=unknown)
    network = RoiTarget(names=("a",), masks=rois.masks[:1], moving_segmenter=lambda images: images)
    with pytest.raises(InputError, match="method must be adam for regions that a network finds"):
        register(radiograph, phantom, init=truth, rois=network)


def test_with_a_weight_regions_stay_in_the_loss_to_the_end(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    camera: Camera,
    rois: RoiTarget,
    config: RegistrationConfig,
) -> None:
    """Masks 3 pixels beside pull an answer of the image, the more the more they weigh."""
    beside = dataclasses.replace(rois, masks=rois.masks.roll(3, dims=-1))
    step = torch.tensor([0.02, -0.02, 0.02, 4.0, -3.0, 10.0], dtype=torch.float64)
    start = perturb(truth, step, phantom.centre_mm)
    pulled = [
        error_mm(phantom, one.camera_from_ct, truth, camera)
        for one in (
            register(
                radiograph, phantom, init=start, rois=beside, bodies=None,
                config=dataclasses.replace(config, roi_weight=weight),
            )
            for weight in (None, 0.02, 0.1)
        )
    ]  # fmt: skip
    assert pulled[0] < pulled[1] < pulled[2]
    assert pulled[2] < 1.0


def test_a_weight_is_a_number() -> None:
    for weight in (-0.1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="roi_weight must be at least 0, got"):
            RegistrationConfig(roi_weight=weight)
    assert RegistrationConfig(roi_weight=0.3).roi_terms.dice_weight == 0.3


def test_paper_is_another_name_of_its_solver() -> None:
    assert RegistrationConfig(method="paper") == RegistrationConfig(method="adam")


def test_no_weight_lets_wrong_regions_spoil_a_right_image(
    radiograph: Radiograph,
    phantom: Volume,
    truth: Tensor,
    camera: Camera,
    rois: RoiTarget,
    config: RegistrationConfig,
) -> None:
    beside = dataclasses.replace(rois, masks=rois.masks.roll(8, dims=-1))
    step = torch.tensor([0.02, -0.02, 0.02, 4.0, -3.0, 10.0], dtype=torch.float64)
    found = register(
        radiograph, phantom, init=perturb(truth, step, phantom.centre_mm), rois=beside,
        bodies=None, config=dataclasses.replace(config, roi_weight=1e9),
    )  # fmt: skip
    assert error_mm(phantom, found.camera_from_ct, truth, camera) < 1.0
