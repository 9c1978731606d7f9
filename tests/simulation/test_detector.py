"""Scatter, read-out and digitisation, each on its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wsreg.simulation.detector import digitise, read_out, scatter
from wsreg.simulation.parameters import XrayParameters


def test_scatter_has_the_asked_fraction_behind_the_patient() -> None:
    primary = np.ones((80, 80), dtype=np.float32)
    primary[20:60, 20:60] = np.linspace(0.02, 0.2, 1600, dtype=np.float32).reshape(40, 40)
    added = scatter(primary, 0.4, (10.0, 10.0))
    body = primary < 0.5
    assert np.median(added[body] / (added + primary)[body]) == pytest.approx(0.4, rel=1e-5)
    assert added.min() >= 0.0
    assert np.ptp(added[:, 40]) < 0.5 * np.ptp(primary[:, 40])  # far smoother than the primary


def test_no_scatter_without_patient_or_share() -> None:
    open_beam = np.ones((16, 16), dtype=np.float32)
    assert scatter(open_beam, 0.5, (4.0, 4.0)).max() == 0.0
    assert scatter(0.1 * open_beam, 0.0, (4.0, 4.0)).max() == 0.0


def test_scatter_is_finite_behind_opaque_steel() -> None:
    primary = np.full((16, 16), 0.1, dtype=np.float32)
    primary[4:8] = 0.0
    assert np.isfinite(scatter(primary, 0.5, (4.0, 4.0))).all()


def test_coarse_pixels_spread_scatter_as_fine_ones_do() -> None:
    """A narrow spread is computed on the pixels themselves, a wide one on blocks of them."""
    primary = np.full((150, 130), 0.9, dtype=np.float32)
    primary[50:100, 40:90] = 0.05
    from scipy.ndimage import gaussian_filter

    added = scatter(primary, 0.5, (40.0, 40.0))
    direct = gaussian_filter(-primary * np.log(primary), 40.0, mode="nearest")
    body = primary < 0.5
    direct *= np.median(added[body]) / np.median(direct[body])
    assert added.shape == primary.shape
    np.testing.assert_allclose(added, direct, rtol=0.02)


def _plain(**changes: Any) -> XrayParameters:
    return XrayParameters(**{"electronic_noise": 0.0, "detector_blur_px": 0.0, **changes})


def test_quantum_noise_is_the_square_root_of_the_quanta() -> None:
    signal = np.full((200, 200), 0.25, dtype=np.float32)
    read = read_out(signal, _plain(photons=10_000.0), seed=1)
    assert read.mean() == pytest.approx(0.25, rel=1e-3)
    assert read.std() == pytest.approx(50.0 / 10_000.0, rel=0.02)


def test_electronic_noise_adds_in_quadrature() -> None:
    signal = np.full((200, 200), 0.09, dtype=np.float32)
    read = read_out(signal, _plain(photons=10_000.0, electronic_noise=40.0), seed=1)
    assert read.std() == pytest.approx(50.0 / 10_000.0, rel=0.02)  # 30, 40 -> 50


def test_scintillator_blur_smooths_the_noise() -> None:
    signal = np.full((100, 100), 0.25, dtype=np.float32)
    sharp, soft = (read_out(signal, _plain(detector_blur_px=b), seed=1) for b in (0.0, 1.0))
    assert soft.std() < 0.4 * sharp.std()


def test_saturation_and_gain() -> None:
    signal = np.array([[0.0, 0.2, 0.9]], dtype=np.float32)
    read = read_out(signal, _plain(photons=1e9, saturation=0.6, gain=2.0), seed=0)
    np.testing.assert_allclose(read, [[0.0, 0.4, 1.2]], atol=1e-3)
    assert read.dtype == np.float32


def test_noise_depends_on_the_seed_alone() -> None:
    signal = np.full((8, 8), 0.3, dtype=np.float32)
    first, again, other = (read_out(signal, XrayParameters(), seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_counts_of_the_detector() -> None:
    signal = np.array([[-0.1, 0.0, 0.5, 1.0, 3.0]], dtype=np.float32)
    counts = digitise(signal)
    assert counts.dtype == np.uint16
    assert counts.tolist() == [[0, 0, 32744, 65487, 65535]]
    assert digitise(signal, open_beam_counts=1000.0)[0, 3] == 1000
