"""The compiled march: vectors do what numbers do, and a second process need not compile."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from numba import njit

from wsreg.kernels.simd import (
    LANES,
    any_lane,
    clamp,
    first_lane,
    gather_pairs,
    high_half,
    keep_between,
    lane,
    lane_numbers,
    load,
    low_half,
    splat,
    square_root,
    store,
    to_float,
    truncate,
)


@njit
def _arithmetic(out):  # type: ignore[no-untyped-def]
    x = lane_numbers() * splat(np.float32(2)) - splat(np.float32(3))
    store(out, np.int64(0), x / splat(np.float32(2)))
    store(out, np.int64(8), clamp(x, splat(np.float32(0)), splat(np.float32(4))))
    store(out, np.int64(16), square_root(lane_numbers()))
    store(out, np.int64(24), to_float(truncate(x + splat(np.float32(3.9)))))
    five, two = splat(np.float32(5)), splat(np.float32(2))
    store(out, np.int64(32), keep_between(lane_numbers(), five, two, x))


def test_vectors_do_what_numbers_do() -> None:
    out = np.zeros(40, np.float32)
    _arithmetic(out)
    lanes = np.arange(LANES, dtype=np.float32)
    x = 2 * lanes - 3
    np.testing.assert_allclose(out[:8], x / 2)
    np.testing.assert_allclose(out[8:16], np.clip(x, 0, 4))
    np.testing.assert_allclose(out[16:24], np.sqrt(lanes), rtol=1e-6)
    np.testing.assert_allclose(out[24:32], np.trunc(x + np.float32(3.9)))
    np.testing.assert_allclose(out[32:], np.where((lanes >= 2) & (lanes <= 5), x, 0))


@njit
def _pairs(values, out):  # type: ignore[no-untyped-def]
    index = truncate(lane_numbers() * splat(np.float32(3)))
    pairs = gather_pairs(values, np.int64(1), index)
    store(out, np.int64(0), to_float(low_half(pairs)))
    store(out, np.int64(8), to_float(high_half(pairs)))
    return first_lane(index + splat(np.int32(7)))


def test_pairs_of_16_bit_neighbours() -> None:
    values = (np.arange(40) * 1600).astype(np.uint16)
    out = np.zeros(16, np.float32)
    assert _pairs(values, out) == 7
    np.testing.assert_array_equal(out[:8], values[1:24:3])
    np.testing.assert_array_equal(out[8:], values[2:25:3])


@njit
def _single_lanes(values, number):  # type: ignore[no-untyped-def]
    x = load(values, np.int64(3))
    whole = truncate(x)
    return lane(x, number), lane(whole, number), any_lane(whole)


def test_single_lanes() -> None:
    values = np.linspace(0.5, 20.0, 40).astype(np.float32)
    for number in range(LANES):
        x, whole, anything = _single_lanes(values, number)
        assert (x, whole, anything) == (values[3 + number], int(values[3 + number]), True)
    values[:] = 0.9
    assert not _single_lanes(values, 0)[2]
    values[10] = -1.0
    assert _single_lanes(values, 0)[2]


def test_a_second_process_loads_from_disk_all_that_rendering_needs() -> None:
    script = (
        "from wsreg.rendering.loading import load_kernels\n"
        "from wsreg.kernels.march import march_image, march_labels\n"
        "load_kernels()\n"
        "import torch, wsreg\n"
        "volume = wsreg.Volume(hu=torch.zeros(3, 3, 3), ct_from_voxel=torch.eye(4),"
        " labels=torch.ones(3, 3, 3, dtype=torch.uint8))\n"
        "camera = wsreg.Camera(source_to_detector_mm=100.0, rows=3, columns=3,"
        " pixel_spacing_mm=(1.0, 1.0))\n"
        "poses = torch.stack([wsreg.view_pose(volume, camera, v) for v in ('PA', 'LAT', 'PA')])\n"
        "wsreg.render(volume, camera, poses, rois=[1], step_mm=2.0)\n"
        "wsreg.render_with_jacobian(volume, camera, poses[0])\n"
        "for kernel in (march_image, march_labels):\n"
        "    print(sum(kernel.stats.cache_hits.values()), len(kernel.signatures))\n"
    )
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
    assert run.stdout.split() == ["1"] * 4  # one specialisation each, not compiled
