from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from wsreg.errors import InputError
from wsreg.files.tensor_file import read_tensors
from wsreg.geometry.camera import Camera
from wsreg.networks.checkpoint import ModelCard, read_card, read_weights
from wsreg.networks.generic import FOLDER
from wsreg.networks.normalisation import normalised
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render
from wsreg.segmentation.segmenter import Segmenter
from wsreg.training.encoder import FAILED_FILE, EncoderTask, encoder_task
from wsreg.training.encoder_config import EncoderConfig
from wsreg.training.encoder_data import EncoderData, encoder_batch, load_encoder_data
from wsreg.training.fit import fit
from wsreg.training.pose_losses import double_geodesic_mm, multiscale_ncc, se3_geodesic_mm
from wsreg.training.state import STATE_FILE
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=64, columns=64, pixel_spacing_mm=(3.0, 3.0))


@pytest.fixture(scope="module")
def data(volume: Volume, small: EncoderConfig) -> EncoderData:
    return load_encoder_data(PreparedCt(volume=volume), CAMERA, small)


class Fixed(nn.Module):
    """Finds the same numbers whatever it sees."""

    def __init__(self, numbers: Tensor, log_variance: float = 0.0) -> None:
        super().__init__()
        self.numbers = nn.Parameter(numbers.float())
        self.log_variance = nn.Parameter(torch.full_like(self.numbers, log_variance))

    def forward(self, readings: Tensor) -> tuple[Tensor, Tensor]:
        return self.numbers, self.log_variance


def run(
    data: EncoderData,
    config: EncoderConfig,
    folder: Path,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> ModelCard:
    return fit(encoder_task(data, config, folder), folder, progress=progress)


def test_a_killed_run_ends_with_the_same_weights(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        if done == 3:  # a step after the state of step 2
            raise KilledError

    card = run(data, small, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(data, small, tmp_path / "cut", kill)
    assert run(data, small, tmp_path / "cut") == card
    whole, cut = (read_tensors(tmp_path / name / STATE_FILE)[0] for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    for name in whole:
        assert torch.equal(whole[name], cut[name]), name


def test_the_card_holds_all_that_a_theatre_needs(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    card = run(data, small, tmp_path)
    assert card == read_card(tmp_path)
    assert (card.kind, card.step, card.size_px) == ("pose-encoder", 6, 32)
    assert card.data_sha256 == data.sha256
    assert card.roi_names == ("left-hemipelvis", "left-femur", "right-femur")
    assert card.config["network"] == {"width": 4, "hidden": 8, "stem": "resnet"}
    assert card.config["frame"]["camera"]["rows"] == 32
    assert card.config["frame"]["view"] == "PA"
    assert card.config["calibration"] == card.metrics["calibration"] > 0
    assert {"error_mm", "error_95_mm", "rotation_deg", "depth_mm", "coverage"} <= set(card.metrics)


def test_the_loss_is_the_papers_sum(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(small, roi_weight=0.0, sureness_weight=0.0)
    bare = dataclasses.replace(data, regions=())
    task = encoder_task(bare, config, tmp_path)
    batch = task.batch(0, 0)
    found = batch[2] + 0.3
    estimated, true = data.frame.pose(found.float()), data.frame.pose(batch[2])
    distance_mm = sum(
        measure(estimated, true, data.frame.pivot, 1000.0)
        for measure in (double_geodesic_mm, se3_geodesic_mm)
    )
    assert isinstance(distance_mm, Tensor)
    camera = CAMERA.resized(16, 16)
    fixed, moving = (render(data.compared, camera, poses)[:, 0] for poses in (true, estimated))
    ncc = multiscale_ncc(fixed, moving, 5)
    expected = (1e-2 * distance_mm + 1.0 - ncc).mean()
    assert float(task.loss(Fixed(found), batch).detach()) == pytest.approx(
        float(expected), rel=1e-4
    )
    with_regions = encoder_task(data, dataclasses.replace(small, sureness_weight=0.0), tmp_path)
    batch = with_regions.batch(0, 0)
    more = float(with_regions.loss(Fixed(found), batch).detach()) - float(expected)
    assert 0.0 < more < 0.1  # beta_2 (1 - Dice)


def test_regions_are_compared_in_the_first_images_only_where_asked(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    alone = {"geodesic_weight": 0.0, "image_weight": 0.0, "sureness_weight": 0.0}
    config = dataclasses.replace(small, roi_images=2, **alone)  # type: ignore[arg-type]
    task = encoder_task(data, config, tmp_path)
    batch = task.batch(0, 0)
    found = Fixed(batch[2] + 0.3)
    some = float(task.loss(found, batch).detach())
    every = encoder_task(data, dataclasses.replace(config, roi_images=None), tmp_path)
    first = tuple(part[:2] for part in batch)
    assert some == pytest.approx(
        float(every.loss(Fixed(batch[2][:2] + 0.3), first).detach()), rel=1e-5
    )
    assert some != pytest.approx(float(every.loss(found, batch).detach()), rel=1e-3)


@pytest.mark.parametrize("term", ["geodesic_weight", "image_weight", "roi_weight"])
def test_every_term_alone_leads_to_the_true_pose(
    data: EncoderData, small: EncoderConfig, tmp_path: Path, term: str
) -> None:
    alone = {"geodesic_weight": 0.0, "image_weight": 0.0, "roi_weight": 0.0, term: 1.0}
    config = dataclasses.replace(small, sureness_weight=0.0, **alone)  # type: ignore[arg-type]
    task = encoder_task(data, config, tmp_path)
    batch = task.batch(0, 0)
    network = Fixed(batch[2] + torch.tensor([0.1, -0.1, 0.1, 0.2, 0.1, -0.1]))
    before = float(task.loss(network, batch).detach())
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(25):
        optimiser.zero_grad()
        task.loss(network, batch).backward()
        optimiser.step()
    assert float(task.loss(network, batch).detach()) < 0.5 * before


def test_a_step_that_is_not_finite_leaves_its_poses(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    task = encoder_task(data, small, tmp_path)
    batch = task.batch(0, 0)
    broken = batch[2].clone()
    broken[2, 4] = torch.nan
    with pytest.raises(InputError, match=r"the loss is not finite .*failed-step.safetensors"):
        task.loss(Fixed(broken), batch)
    kept = read_tensors(tmp_path / FAILED_FILE)[0]
    torch.testing.assert_close(kept["true"], data.frame.pose(batch[2]))
    torch.testing.assert_close(kept["images"], batch[0])


def test_errors_and_sureness_of_what_is_held_out(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    task: EncoderTask = encoder_task(data, small, tmp_path)

    def validated(network: nn.Module) -> Mapping[str, float]:
        with torch.no_grad():
            return task.validate(network, 0)

    numbers = encoder_batch((data,), small, 2**40 + 1, small.augmented_fraction).numbers
    right = validated(Fixed(numbers))
    assert right["error_mm"] == pytest.approx(0.0, abs=1e-3)
    shifted = numbers.clone()
    shifted[:, 3] += 0.5  # of 40 mm
    off = validated(Fixed(shifted))
    assert off["error_mm"] == pytest.approx(20.0, abs=1e-3)
    assert off["shift_mm"] == pytest.approx(20.0, abs=1e-3)
    assert off["depth_mm"] == pytest.approx(0.0, abs=1e-3)
    # Errors of 1, where a deviation of e^-1 is stated, need deviations 1 / (1.645 e^-1) as large.
    errors = torch.ones_like(numbers)
    errors[1::2] = 0.9
    errors[1, :3] = 1.1  # 3 of 24 that are not those of the first half
    ones = validated(Fixed(numbers + errors, log_variance=-2.0))
    assert ones["calibration"] == pytest.approx(2.71828 / 1.6449, rel=1e-3)
    assert ones["coverage"] == pytest.approx(21 / 24)


def test_an_encoder_of_others_is_begun_with(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    run(data, small, tmp_path / "first")
    weights = read_weights(tmp_path / "first")
    task = encoder_task(data, small, tmp_path / "second", begin_with=tmp_path / "first")
    for name, tensor in task.network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert task.origin["begin_with"] != encoder_task(data, small, tmp_path).origin["begin_with"]
    wider = dataclasses.replace(small, width=8)
    with pytest.raises(InputError, match="does not fit its architecture"):
        encoder_task(data, wider, tmp_path / "third", begin_with=tmp_path / "first")


def test_regions_may_be_found_by_a_network_in_both_images(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    seen: list[tuple[int, ...]] = []

    def network(readings: Tensor, boxes: Tensor | None) -> Tensor:
        seen.append(tuple(readings.shape))
        return torch.sigmoid(readings[:, :1])

    card = ModelCard(kind="unet", config={}, size_px=16, roi_names=("bone",), data_sha256="ab")
    found = Segmenter(card=card, network=network, normalise=normalised)
    only = dataclasses.replace(small, geodesic_weight=0.0, image_weight=0.0, sureness_weight=0.0)
    bare = dataclasses.replace(data, regions=())
    task = encoder_task(bare, only, tmp_path, segmenter=found, segmenter_sha256="ab")
    batch = task.batch(0, 0)
    at_truth, beside = Fixed(batch[2]), Fixed(batch[2] + 0.3)
    lost = float(task.loss(at_truth, batch).detach())
    task.loss(beside, batch).backward()
    assert float(task.loss(beside, batch).detach()) > lost
    assert beside.numbers.grad is not None
    assert bool(beside.numbers.grad.any())
    assert seen[0] == (8, 2, 16, 16)
    assert task.origin["segmenter"] == "ab"


def test_two_people_are_each_compared_with_their_own_ct(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(
        small, sureness_weight=0.0, fit=dataclasses.replace(small.fit, batch=16)
    )
    z = data.frame.pivot_mm[2]
    low = dataclasses.replace(data.frame, pivot_mm=(*data.frame.pivot_mm[:2], z - 20.0))
    task = encoder_task((data, dataclasses.replace(data, frame=low)), config, tmp_path)
    batch = task.batch(0, 1)
    who, numbers = batch[3], batch[2]
    assert set(who.tolist()) == {0, 1}
    for index, frame in enumerate((data.frame, low)):
        own = who == index
        torch.testing.assert_close(task.poses(numbers, who)[own], frame.pose(numbers[own]))
    # at the true poses nothing is lost, whoever it is
    assert float(task.loss(Fixed(numbers), batch).detach()) < 1e-3
    assert float(task.loss(Fixed(numbers + 0.3), batch).detach()) > 0.1
    alone = encoder_task(data, config, tmp_path)
    assert task.origin["ct"] != alone.origin["ct"] == data.sha256
    assert task.card(0, {}).config["people"] == 2


def test_what_comes_with_the_package_is_begun_with(
    data: EncoderData, small: EncoderConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(small, width=32, hidden=256)
    task = encoder_task(data, config, tmp_path, begin_with=Path("generic"))
    weights = read_weights(FOLDER)
    for name, tensor in task.network.state_dict().items():
        assert torch.equal(tensor, weights[name].to(tensor.dtype)), name
