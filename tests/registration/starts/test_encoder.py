"""A start by an encoder: where its states lie, how many there are, and when a search helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wsreg import register
from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.networks.checkpoint import ModelCard
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.asked import asked_views
from wsreg.registration.asked_start import asked_view
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.starts.encoder import FEWEST_REFINED, encoder
from wsreg.registration.starts.pose_estimator import LOST, PoseEstimator
from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.volume import Volume


def estimator_of(
    volume: Volume, camera: Camera, pose: Tensor, log_variance: float
) -> PoseEstimator:
    """An encoder that finds one pose in whatever it sees."""
    x, y, z = volume.centre_mm.tolist()
    frame = PoseFrame(
        camera=camera.resized(32, 32), view="PA", pivot_mm=(x, y, z), depth_mm=700.0,
        scale=(0.2, 0.3, 0.1, 40.0, 40.0, 50.0),
    )  # fmt: skip
    numbers = frame.numbers(pose[None])

    def network(readings: Tensor) -> tuple[Tensor, Tensor]:
        found = numbers.float().expand(len(readings), 6)
        return found, torch.full_like(found, log_variance)

    card = ModelCard(kind="pose-encoder", config={}, size_px=32, data_sha256=ct_sha256(volume))
    return PoseEstimator(card=card, network=network, frame=frame)


@pytest.fixture
def asking(pair: Problem, true_state: Tensor) -> Callable[[float], Problem]:
    """The problem with an encoder that finds the true pose and is so sure."""

    def make(log_variance: float) -> Problem:
        camera = pair.views[0].camera
        found = estimator_of(pair.volume, camera, true_state[0], log_variance)
        views = tuple(dataclasses.replace(view, rois=None) for view in pair.views)
        return dataclasses.replace(pair, views=views, init="encoder", encoder=found)

    return make


def test_the_surer_the_encoder_the_fewer_states(
    asking: Callable[[float], Problem], true_state: Tensor
) -> None:
    problem = asking(-8.0)  # deviations of e^-4
    (level,) = make_levels(problem)
    sure = encoder(problem, level)
    assert len(sure) == FEWEST_REFINED
    with torch.no_grad():
        values = level.loss(sure)
    assert bool((values.diff() >= 0).all())
    torch.testing.assert_close(sure[0, 0], true_state[0], atol=2.0, rtol=0.0)
    less = encoder(asking(-1.5), level)
    assert len(less) > len(sure)
    assert torch.equal(encoder(asking(-1.5), level), less)  # the seed is a setting


def test_where_the_encoder_knows_nothing_a_search_helps_out(
    asking: Callable[[float], Problem],
) -> None:
    problem = asking(0.0)
    assert LOST < 1.0
    (level,) = make_levels(problem)
    found = encoder(problem, level)
    (searched,) = {problem.settings.search.refined}
    assert len(found) > searched


def test_an_x_ray_is_registered_from_the_encoders_pose(
    phantom: Volume,
    radiograph: Radiograph,
    camera: Camera,
    truth: Tensor,
    quick: RegistrationConfig,
) -> None:
    found = estimator_of(phantom, camera, truth, -4.0)
    result = register(radiograph, phantom, init=found, config=quick, bodies=None)
    assert result.init == "encoder"
    torch.testing.assert_close(result.camera_from_ct, truth, atol=0.5, rtol=0.0)


def test_an_encoder_that_is_not_there_or_not_named(
    phantom: Volume, radiograph: Radiograph, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"must hold model.safetensors and model.json"):
        register(radiograph, phantom, init=f"encoder:{tmp_path}")
    with pytest.raises(
        InputError, match=r"one of search, dicom, roi, encoder:DIR, landmarks:FILE, got 'encoder'"
    ):
        register(radiograph, phantom, init="encoder")


def test_an_encoder_of_another_ct_is_refused_by_the_front_door(
    phantom: Volume, radiograph: Radiograph, camera: Camera, truth: Tensor, tmp_path: Path
) -> None:
    found = estimator_of(phantom, camera, truth, -4.0)
    other = dataclasses.replace(found, card=dataclasses.replace(found.card, data_sha256="ab"))
    with pytest.raises(InputError, match="the encoder must be of this CT"):
        register(radiograph, phantom, init=other)
    with pytest.raises(InputError, match="init must name the encoder's folder"):
        register(radiograph, phantom, init="encoder:")


def test_the_header_s_view_comes_before_the_encoder_s(
    phantom: Volume, radiograph: Radiograph, camera: Camera, truth: Tensor
) -> None:
    found = estimator_of(phantom, camera, truth, -4.0)
    views = asked_views(dataclasses.replace(radiograph, view_position="AP"), None, camera, None)
    assert asked_view(views, None, found) == "AP"
    assert asked_view(views, "LAT", found) == "LAT"
    plain = asked_views(radiograph, None, camera, None)
    learnt = dataclasses.replace(found, frame=dataclasses.replace(found.frame, view="RLAT"))
    assert asked_view(plain, None, learnt) == "RLAT"
