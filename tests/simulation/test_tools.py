"""Shadows of metal, of shapes known by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from wsreg.geometry.camera import Camera
from wsreg.simulation.tools import Tool, metal_density, sample_tool

CAMERA = Camera(source_to_detector_mm=1020.0, rows=400, columns=400, pixel_spacing_mm=(0.7, 0.7))
G_PER_CM2_OF_1_MM_STEEL = 0.787


def _thickness_mm(tools: Sequence[Tool], rows: int, columns: int, parts: int = 1) -> np.ndarray:
    return metal_density(tools, "steel", rows, columns, parts) / G_PER_CM2_OF_1_MM_STEEL


def test_rod_is_thickest_on_its_middle_line_and_round() -> None:
    rod = Tool(points_px=((10.0, 20.0), (50.0, 20.0)), radius_px=5.0, thickness_mm=8.0)
    steel = _thickness_mm([rod], 40, 60)
    assert steel.shape == (40, 60)
    assert steel[20, 30] == pytest.approx(8.0)
    assert steel[23, 30] == pytest.approx(8.0 * 0.8)  # 3-4-5 triangle
    assert steel[25, 30] == 0.0
    assert steel[20, 53] == pytest.approx(8.0 * 0.8)  # its end is round too
    assert steel[20, 56] == 0.0


def test_finer_sampling_sees_the_same_rod() -> None:
    rod = Tool(points_px=((10.0, 5.0), (30.0, 30.0), (50.0, 12.0)), radius_px=6.0, thickness_mm=2.0)
    coarse = _thickness_mm([rod], 40, 60)
    fine = _thickness_mm([rod], 40, 60, parts=4)
    means = fine.reshape(40, 4, 60, 4).mean(axis=(1, 3))
    assert np.abs(means - coarse).max() < 0.45  # the rim is steep
    assert means.sum() == pytest.approx(coarse.sum(), rel=5e-3)


def test_tools_add_up() -> None:
    rod = Tool(points_px=((2.0, 2.0), (7.0, 7.0)), radius_px=2.0, thickness_mm=1.0)
    one = _thickness_mm([rod], 10, 10)
    np.testing.assert_allclose(_thickness_mm([rod, rod], 10, 10), 2 * one)
    assert _thickness_mm([], 10, 10).max() == 0.0


def test_metals_are_told_apart() -> None:
    bar = Tool(
        points_px=((2.0, 5.0), (8.0, 5.0)), radius_px=2.0, thickness_mm=10.0, metal="titanium"
    )
    assert metal_density([bar], "steel", 10, 10, 1).max() == 0.0
    assert metal_density([bar], "titanium", 10, 10, 1)[5, 5] == pytest.approx(4.51)


def test_a_tool_beside_the_image_casts_no_shadow() -> None:
    rod = Tool(points_px=((-50.0, 5.0), (-20.0, 5.0)), radius_px=3.0, thickness_mm=5.0)
    assert _thickness_mm([rod], 10, 10).max() == 0.0


def test_a_tapered_bar_is_thinner_at_its_tip_in_both_ways() -> None:
    bar = Tool(
        points_px=((10.0, 20.0), (90.0, 20.0)), radius_px=8.0, thickness_mm=6.0, tip_fraction=0.5
    )
    steel = _thickness_mm([bar], 40, 100)
    assert steel[20, 10] == pytest.approx(6.0)
    assert steel[20, 50] == pytest.approx(6.0 * 0.75)
    assert steel[20, 90] == pytest.approx(6.0 * 0.5)
    widths = (steel > 0.0).sum(axis=0)
    assert (widths[11], widths[50], widths[89]) == (15, 11, 9)


def test_the_thread_of_a_screw_winds_around_it() -> None:
    """Crests every pitch, those of one side between those of the other."""
    screw = Tool(
        points_px=((10.0, 20.0), (90.0, 20.0)), radius_px=6.0, thickness_mm=4.0,
        thread_pitch_px=8.0, thread_depth=0.5,
    )  # fmt: skip
    steel = _thickness_mm([screw], 40, 100)
    above, below = (steel[:20] > 0.0).sum(axis=0), (steel[21:] > 0.0).sum(axis=0)
    crest, groove = above[20:80].max(), above[20:80].min()
    assert crest >= groove + 2
    np.testing.assert_array_equal(above[20:70], above[28:78])
    np.testing.assert_array_equal(above[20:70], below[24:74])
    assert above[30:38].argmax() != below[30:38].argmax()


@pytest.mark.parametrize("seed", range(5))
def test_sampled_kinds_differ_in_length_width_and_shape(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rod, wire, screw = (sample_tool(generator, CAMERA, k) for k in ("rod", "wire", "screw"))
    assert (rod.kind, wire.kind, screw.kind) == ("rod", "wire", "screw")
    assert wire.radius_px < min(rod.radius_px, screw.radius_px)
    assert _length_px(wire) > 190.0
    assert _length_px(screw) < 80.0 * 1.4 / 0.7 + 1e-6
    assert screw.thread_depth > 0.1
    assert screw.tip_fraction < 1.0
    assert (wire.thread_depth, rod.thread_depth) == (0.0, 0.0)
    for tool in (rod, wire, screw):
        assert metal_density([tool], tool.metal, 400, 400, 1).max() > 0.1


def _length_px(tool: Tool) -> float:
    return float(np.linalg.norm(np.diff(np.array(tool.points_px), axis=0), axis=1).sum())
