"""All distances of one answer, by their names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.pose_errors import DISTANCES, NO_ANSWER, pose_errors


def test_a_millimetre_to_the_side_under_every_name(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample()
    moved = sample.camera_from_ct.clone()
    moved[0, 3] += 1.0
    found = pose_errors(sample, moved, sample.volume.centre_mm)
    # landmarks at depths 620, 700 (four of them) and 780 mm
    on_detector = 1020 * (1 / 620 + 4 / 700 + 1 / 780) / 6
    assert found.mtre_3d_mm == pytest.approx(1.0)
    assert found.te_mm == pytest.approx(1.0)
    assert found.translation_vector_difference_mm == pytest.approx(1.0)
    assert found.mpd_mm == pytest.approx(on_detector)
    assert found.mpd_isocentre_mm == pytest.approx(1.0)
    assert found.mrpe_mm == pytest.approx(on_detector - 1.0)
    assert found.mtre_diffpose_mm == pytest.approx(0.194 * (on_detector - 1.0))
    assert found.re_deg == pytest.approx(0.0, abs=1e-9)
    assert found.rotation_vector_difference_deg == pytest.approx(0.0, abs=1e-9)


def test_te_is_measured_at_the_pivot_that_is_named(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample()
    turned = sample.camera_from_ct.clone()
    turned[:3, :3] = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned[:3, 3] = torch.tensor([0.0, 0.0, 5.0])
    still = torch.tensor([0.0, 0.0, 0.0], dtype=torch.float64)
    expected = torch.linalg.norm(sample.camera_from_ct[:3, 3] - turned[:3, 3])
    assert pose_errors(sample, turned, still).te_mm == pytest.approx(float(expected))


def test_no_answer_has_no_number() -> None:
    assert set(dataclasses.asdict(NO_ANSWER)) == set(DISTANCES)
    assert all(math.isnan(value) for value in dataclasses.asdict(NO_ANSWER).values())


def test_a_sample_without_landmarks_is_refused(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample("17-1882", "005", landmarks_mm={})
    with pytest.raises(InputError, match="17-1882/005 must have landmarks"):
        pose_errors(sample, sample.camera_from_ct, sample.volume.centre_mm)
