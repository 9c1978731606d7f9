from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from wsreg.methods.adam import adam_loop, plain_mncc
from wsreg.methods.preset import PRESETS
from wsreg.similarity.ncc import GlobalNcc

TINY = PRESETS["tiny"]


def ncc(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_mncc_is_half_global_and_half_the_mean_of_windows() -> None:
    """Windows of 3 pixels, a pixel apart; the floor is a ten-thousandth."""
    preset = dataclasses.replace(TINY, window_px=3)
    generator = np.random.default_rng(0)
    fixed, moving = generator.normal(size=(2, 8, 8))
    windows = [
        ncc(fixed[r : r + 3, c : c + 3], moving[r : r + 3, c : c + 3])
        for r in range(6)
        for c in range(6)
    ]
    wanted = 0.5 * ncc(fixed, moving) + 0.5 * float(np.mean(windows))
    measure = plain_mncc(preset).prepare(
        torch.from_numpy(fixed), torch.ones(8, 8, dtype=torch.bool)
    )
    found = torch.from_numpy(moving)[None]
    assert float(measure.similarity(found)) == pytest.approx(wanted, abs=2e-3)
    assert float(measure.loss(found)) == pytest.approx(1.0 - wanted, abs=2e-3)


def test_the_loop_is_the_papers() -> None:
    config = adam_loop(PRESETS["paper"], GlobalNcc(), roi_weight=0.1)
    assert config.method == "adam"
    assert (config.adam.steps, config.adam.decay, config.adam.decay_every) == (250, 0.9, 25)
    assert config.adam_rates.vector(1).tolist() == [7.5e-3] * 3 + [7.5] * 3
    assert (config.rois.dice_weight, config.rois.distance_weight) == (0.1, 0.0)
    assert [(level.image_px, level.voxel_mm) for level in config.levels] == [(256, None)]
