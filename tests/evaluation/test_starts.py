"""Starts lie exactly as far off as asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.distances import mtre_3d_mm, re_deg, te_mm
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.evaluation.starts import perturbed_start, seeded_start

SampleMaker = Callable[..., Sample]


@pytest.mark.parametrize("distance_mm", [0.0, 0.5, 20.0, 120.0])
def test_the_landmarks_are_as_far_off_as_asked(
    make_sample: SampleMaker, distance_mm: float
) -> None:
    sample = make_sample()
    landmarks = landmarks_of(sample)
    for seed in range(5):
        start = perturbed_start(
            sample.camera_from_ct,
            landmarks,
            sample.volume.centre_mm,
            distance_mm,
            np.random.default_rng(seed),
        )
        assert torch.allclose(start[:3, :3] @ start[:3, :3].T, torch.eye(3).double())
        found = float(mtre_3d_mm(landmarks, start, sample.camera_from_ct))
        assert found == pytest.approx(distance_mm, abs=1e-6)


def test_starts_are_turned_and_moved_in_the_stated_ratio(make_sample: SampleMaker) -> None:
    sample = make_sample()
    true, pivot = sample.camera_from_ct, sample.volume.centre_mm
    ratios, axes = [], []
    for seed in range(50):
        start = seeded_start(sample, 20.0, seed)
        turn_mm = 80.0 * np.deg2rad(float(re_deg(start, true)))  # landmarks 80 mm from the pivot
        ratios.append(turn_mm / (turn_mm + float(te_mm(pivot, start, true))))
        axes.append((start[:3, 3] - true[:3, 3]).tolist())
    assert min(ratios) > 0.1
    assert max(ratios) < 0.9
    assert max(ratios) - min(ratios) > 0.5
    assert (np.ptp(np.array(axes), axis=0) > 10.0).all()


def test_a_start_depends_on_the_seed_and_the_sample_alone(make_sample: SampleMaker) -> None:
    first = seeded_start(make_sample("A", "000"), 20.0, 0)
    assert torch.equal(first, seeded_start(make_sample("A", "000"), 20.0, 0))
    assert not torch.allclose(first, seeded_start(make_sample("A", "001"), 20.0, 0))
    assert not torch.allclose(first, seeded_start(make_sample("A", "000"), 20.0, 1))


@pytest.mark.parametrize("distance_mm", [-1.0, float("nan"), float("inf")])
def test_an_impossible_distance_is_refused(make_sample: SampleMaker, distance_mm: float) -> None:
    with pytest.raises(InputError, match="distance_mm must be finite"):
        seeded_start(make_sample(), distance_mm, 0)


def test_landmarks_at_the_pivot_are_refused(make_sample: SampleMaker) -> None:
    sample = make_sample()
    centre = sample.volume.centre_mm
    with pytest.raises(InputError, match="must not all lie at pivot_mm"):
        perturbed_start(sample.camera_from_ct, centre[None], centre, 1.0, np.random.default_rng(0))
