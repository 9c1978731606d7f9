"""Mutual information: the normal distribution's, SimpleITK's, SciPy's splines, and no bias."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
import torch
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from tests.similarity.conftest import Pair

from wsreg.errors import InputError
from wsreg.similarity.grey_range import grey_range
from wsreg.similarity.mutual_information import MutualInformation, bin_shares, mutual_information


def shares(values: torch.Tensor, bins: int) -> torch.Tensor:
    return bin_shares(grey_range(values).scaled(values), bins)


def correlated(correlation: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images [N] of normally distributed pixels, of which a part is common."""
    generator = torch.Generator().manual_seed(2)
    a, noise = torch.randn(2, 40_000, generator=generator, dtype=torch.float64)
    return a, correlation * a + math.sqrt(1.0 - correlation**2) * noise


def test_bins_share_a_pixel() -> None:
    """At a bin, a sixth goes to either neighbour; between two, each has 23 of 48 parts."""
    places = torch.tensor([0.0, 0.5 / 7, 1.0, 2.0], dtype=torch.float64)
    at_bin, between, last, beyond = bin_shares(places, 10)
    assert at_bin.tolist() == pytest.approx([1 / 6, 2 / 3, 1 / 6] + 7 * [0.0])
    assert between.tolist() == pytest.approx([1 / 48, 23 / 48, 23 / 48, 1 / 48] + 6 * [0.0])
    assert last.tolist() == pytest.approx(7 * [0.0] + [1 / 6, 2 / 3, 1 / 6])
    assert beyond.tolist() == last.tolist()


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_it_is_that_of_normal_distributions(correlation: float) -> None:
    """-log(1 - r^2) / 2 in nats, less what the bins' width takes."""
    a, b = (shares(image, 32) for image in correlated(correlation))
    expected = -0.5 * math.log(1.0 - correlation**2)
    assert float(mutual_information(a, b)) == pytest.approx(expected, rel=0.1, abs=0.015)


def test_it_is_near_that_of_another_library() -> None:
    """SimpleITK's has boxes for the fixed image and ends where the images do."""
    a, b = correlated(0.8)
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=36)
    method.SetInterpolator(SimpleITK.sitkNearestNeighbor)
    method.SetInitialTransform(SimpleITK.TranslationTransform(2))
    images = [SimpleITK.GetImageFromArray(image.reshape(200, 200).numpy()) for image in (a, b)]
    theirs = -float(method.MetricEvaluate(*images))
    ours = float(mutual_information(shares(a, 32), shares(b, 32)))
    assert ours == pytest.approx(theirs, rel=0.1)


def test_it_is_what_the_definition_says(pair: Pair) -> None:
    """Bin by bin, with SciPy's splines and NumPy's logarithms."""
    bins = 9
    prepared = MutualInformation(bins=bins).prepare(pair.fixed, pair.mask)
    spline = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)

    def weights(pixels: torch.Tensor) -> NDArray[np.float64]:
        places = 1.0 + (bins - 3) * pixels.clamp(0, 1).numpy()
        return np.nan_to_num(np.asarray(spline(places[:, None] - np.arange(bins)), np.float64))

    def information(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        joint = a.T @ b / len(a)
        apart = joint.sum(axis=1)[:, None] * joint.sum(axis=0)
        seen = joint > 0
        return float((joint[seen] * np.log(joint[seen] / apart[seen])).sum())

    a = weights(prepared.pixels.fixed)
    b = weights(prepared.pixels.scaled(pair.moving)[0])
    expected = information(a, b) / math.sqrt(information(a, a) * information(b, b))
    assert float(prepared.similarity(pair.moving)) == pytest.approx(expected)
    assert float(prepared.loss(pair.moving)) == pytest.approx(1.0 - expected)


def test_a_relation_of_any_kind_counts(pair: Pair) -> None:
    """A crooked curve of the fixed image matches better than a noisy copy of it."""
    prepared = MutualInformation().prepare(pair.fixed, pair.mask)
    curve = (pair.fixed - 0.4).square()[None]
    assert float(prepared.similarity(curve)) > float(prepared.similarity(pair.moving)) + 0.1


@pytest.mark.parametrize("bins", [4, 0, 16.0])
def test_bad_settings_are_named(bins: int) -> None:
    with pytest.raises(InputError, match="bins of mutual-information must be a whole number of at"):
        MutualInformation(bins=bins)
