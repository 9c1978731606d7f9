"""Scatter, collimator, tools and read-out, each on its own."""

from __future__ import annotations

import numpy as np
import pytest

from wsreg.simulation.detector import exposed_field, read_out, scatter, steel_thickness_mm
from wsreg.simulation.parameters import Collimator, Tool, XrayParameters


def test_rod_is_thickest_on_its_middle_line_and_round() -> None:
    rod = Tool(points_px=((10.0, 20.0), (50.0, 20.0)), radius_px=5.0, thickness_mm=8.0)
    steel = steel_thickness_mm((rod,), rows=40, columns=60, factor=1)
    assert steel.shape == (40, 60)
    assert steel[20, 30] == pytest.approx(8.0)
    assert steel[23, 30] == pytest.approx(8.0 * 0.8)  # 3-4-5 triangle
    assert steel[25, 30] == 0.0
    assert steel[20, 53] == pytest.approx(8.0 * 0.8)  # its end is round too
    assert steel[20, 56] == 0.0


def test_finer_sampling_sees_the_same_rod() -> None:
    rod = Tool(points_px=((10.0, 5.0), (30.0, 30.0), (50.0, 12.0)), radius_px=6.0, thickness_mm=2.0)
    coarse = steel_thickness_mm((rod,), rows=40, columns=60, factor=1)
    fine = steel_thickness_mm((rod,), rows=40, columns=60, factor=4)
    means = fine.reshape(40, 4, 60, 4).mean(axis=(1, 3))
    assert np.abs(means - coarse).max() < 0.45  # the rim is steep
    assert means.sum() == pytest.approx(coarse.sum(), rel=5e-3)


def test_tools_add_up() -> None:
    rod = Tool(points_px=((2.0, 2.0), (7.0, 7.0)), radius_px=2.0, thickness_mm=1.0)
    one = steel_thickness_mm((rod,), 10, 10, 1)
    np.testing.assert_allclose(steel_thickness_mm((rod, rod), 10, 10, 1), 2 * one)
    assert steel_thickness_mm((), 10, 10, 1).max() == 0.0


def test_scatter_has_the_asked_share_behind_the_patient() -> None:
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


def test_round_field() -> None:
    collimator = Collimator(shape="circle", half_size=(0.4, 0.4), edge_px=2.0, leakage=0.05)
    field = exposed_field(collimator, rows=100, columns=140)
    assert field.shape == (100, 140)
    assert field[50, 70] == 1.0
    assert field[0, 70] == pytest.approx(0.05)
    assert field[50, 70 - 43] == pytest.approx(0.05)
    assert field[50, 70 - 38] == 1.0
    share = (field.mean() - 0.05) / 0.95
    assert share == pytest.approx(np.pi * 40**2 / (100 * 140), rel=1e-3)
    np.testing.assert_allclose(field, field[::-1, ::-1], atol=1e-6)  # centred


def test_rectangular_field() -> None:
    collimator = Collimator(
        shape="rectangle", centre=(0.5, 0.4), half_size=(0.4, 0.2), edge_px=1.0, leakage=0.0
    )
    field = exposed_field(collimator, rows=100, columns=100)
    np.testing.assert_allclose(np.flatnonzero(field[40] == 1.0), np.arange(10, 90))
    np.testing.assert_allclose(np.flatnonzero(field[:, 50] == 1.0), np.arange(20, 60))
    assert field[61, 50] == 0.0


def test_no_collimator_leaves_everything() -> None:
    assert exposed_field(Collimator(), 4, 6).min() == 1.0


def _plain(**changes: float) -> XrayParameters:
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
