"""What is known of a pose, by cause."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.verdict.calibration import CalibrationTolerance
from wsreg.registration.verdict.deviation import covariance
from wsreg.registration.verdict.evaluation import evaluate
from wsreg.registration.verdict.uncertainty import (
    MOVED_REST,
    Uncertainty,
    together,
    uncertainty_of,
)

IDENTITY = torch.eye(4, dtype=torch.float64)


def test_independent_errors_add_up_by_their_squares() -> None:
    assert together([3.0, 4.0, 12.0]) == 13.0
    shares = torch.zeros((2, 12), dtype=torch.float64)
    shares[:, 5] = torch.tensor([3.0, 4.0])
    shares[:, 11] = torch.tensor([1.0, 2.0])
    found = Uncertainty(shares=shares, causes=("image", "other"))
    assert found.total[[5, 11]].tolist() == pytest.approx([5.0, 5.0**0.5])
    whole, own = found.of_body(1)
    assert whole.tolist() == pytest.approx([0.0] * 5 + [5.0**0.5])
    assert own.tolist() == [0.0] * 5 + [1.0]
    assert found.of_depth() == {"image": 3.0, "other": 4.0}  # of the first body


def test_every_cause_has_its_share_of_the_depth(pair_level: Level, true_state: Tensor) -> None:
    level = dataclasses.replace(pair_level, views=pair_level.views[:1])
    end = evaluate(level, true_state, derivatives=True)
    found = uncertainty_of(end, IDENTITY, CalibrationTolerance())
    depths = found.of_depth()
    assert list(depths) == [
        "image", "anatomy", "source-to-detector distance", "pixel spacing", "principal point",
    ]  # fmt: skip
    assert together((depths["image"], depths["anatomy"])) == (
        pytest.approx(MOVED_REST * depths["image"])
    )
    assert depths["source-to-detector distance"] > 5.0 > depths["image"]
    assert depths["pixel spacing"] == pytest.approx(0.5 * depths["source-to-detector distance"])
    assert float(found.total[5]) == pytest.approx(together(depths.values()))
    model = end.image_model()
    assert model is not None
    expected = covariance(model, float(level.views[0].mask.sum())).diagonal().sqrt()
    torch.testing.assert_close(found.shares[0], expected)


def test_deviations_are_about_the_axes_of_the_camera_that_is_named(
    pair_level: Level, true_state: Tensor
) -> None:
    """A quarter turn about the camera's y axis makes the rig's x the camera's depth."""
    end = evaluate(pair_level, true_state, derivatives=True)
    turn = IDENTITY.clone()
    turn[:3, :3] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    plain, turned = (
        uncertainty_of(end, pose, CalibrationTolerance()).total for pose in (IDENTITY, turn)
    )
    torch.testing.assert_close(turned[[5, 4, 3]], plain[[3, 4, 5]])
    torch.testing.assert_close(turned[[2, 1, 0]], plain[[0, 1, 2]])


def test_without_a_model_nothing_is_known(pair_level: Level, true_state: Tensor) -> None:
    class Plain:
        def loss(self, moving: Tensor) -> Tensor:
            return moving.mean(dim=(1, 2))

        similarity = loss

    views = tuple(dataclasses.replace(view, measure=Plain()) for view in pair_level.views)
    level = dataclasses.replace(pair_level, views=views)
    end = dataclasses.replace(evaluate(pair_level, true_state, derivatives=True), level=level)
    found = uncertainty_of(end, IDENTITY, CalibrationTolerance())
    assert found.shares.isnan().all()
    assert found.total.shape == (12,)
