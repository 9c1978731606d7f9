"""The X-ray simulator: agreement with the reference renderer, and time for a scene of many parts.

Agreement is of noise-free line integrals at one energy, by projectors that share no code.  Time is
of one X-ray of a body of 1 mm voxels with eight hollow bones of 0.6 mm voxels, on one core.

    WSREG_THREADS=1 python benchmarks/simulator.py --write
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch
import tyro
from torch import Tensor

from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, Volume, read_volume, render, view_pose
from wsreg.geometry.carm import CArmAngles
from wsreg.simulation.joseph import project_attenuation
from wsreg.simulation.parameters import XrayParameters
from wsreg.simulation.scene import MaterialGrid, ScenePart
from wsreg.simulation.xray import simulate_scene
from wsreg.volumes.examples import fetch_example
from wsreg.volumes.phantom import analytic_phantom

DETECTOR_MM = 298.0
ANGLES_DEG = ((0.0, 0.0), (30.0, 20.0), (90.0, 0.0))
SIZES_PX = (384, 1536)
REPEATS = 5


def camera_of(size_px: int) -> Camera:
    """A C-arm's detector with this many pixels along each side."""
    return Camera(
        source_to_detector_mm=1020.0,
        rows=size_px,
        columns=size_px,
        pixel_spacing_mm=(DETECTOR_MM / size_px,) * 2,
    )


def agreement(name: str, volume: Volume, size_px: int = 384) -> Iterator[str]:
    """Rows of a table: largest and typical difference as fractions of the brightest pixel."""
    camera = camera_of(size_px)
    for primary_deg, secondary_deg in ANGLES_DEG:
        view = CArmAngles(
            primary_rad=math.radians(primary_deg), secondary_rad=math.radians(secondary_deg)
        )
        pose = view_pose(volume, camera, view)
        rendered = render(volume, camera, pose, backend="reference")[0, 0]
        error = (project_attenuation(volume, camera, pose) - rendered).abs() / rendered.max()
        yield (
            f"| {name} | {primary_deg:g}, {secondary_deg:g} | {float(error.max()):.4%} "
            f"| {float(error.pow(2).mean().sqrt()):.4%} |"
        )


def scene_of_a_body() -> list[ScenePart]:
    """An elliptical body 400 x 300 x 420 mm with eight hollow balls of bone, 100 mm wide."""
    z, y, x = np.ogrid[:420, :300, :400]
    inside = ((x - 199.5) / 190.0) ** 2 + ((y - 149.5) / 130.0) ** 2 + 0.0 * z < 1.0
    body = np.stack((1.05 * inside, 0.1 * inside), axis=-1)
    n = 180
    axis = np.arange(n) - 0.5 * (n - 1)
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    shell = (radius < 0.46 * n) & (radius > 0.36 * n)
    bone = np.stack((-1.0 * shell, 1.8 * shell), axis=-1)
    grids = [
        MaterialGrid(density=density, materials=("soft tissue", other), part_from_voxel=affine)
        for density, other, affine in (
            (body, "fat", _centred((420, 300, 400), 1.0)),
            (bone, "cortical bone", _centred((n, n, n), 0.6)),
        )
    ]
    places = [(0.0, 0.0, 0.0)]
    places += [
        (70.0 * side, 0.0, 70.0 * level) for side in (-1, 1) for level in (-1.5, -0.5, 0.5, 1.5)
    ]
    return [
        ScenePart(grid=grids[min(i, 1)], camera_from_part=_pose(place))
        for i, place in enumerate(places)
    ]


def _centred(shape: tuple[int, int, int], spacing_mm: float) -> Tensor:
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = -0.5 * spacing_mm * (np.array(shape[::-1]) - 1)
    return torch.from_numpy(affine)


def _pose(place_mm: tuple[float, float, float]) -> Tensor:
    """Half oblique, 730 mm from the source."""
    c, s = math.cos(0.4), math.sin(0.4)
    pose = torch.tensor(
        [[c, s, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [-s, c, 0.0, 730.0], [0.0, 0.0, 0.0, 1.0]],
        dtype=torch.float64,
    )
    pose[:3, 3] += pose[:3, :3] @ torch.tensor(place_mm, dtype=torch.float64)
    return pose


def seconds(parts: list[ScenePart], size_px: int) -> float:
    """Median time of one X-ray."""
    times = []
    for seed in range(REPEATS + 1):
        start = time.perf_counter()
        simulate_scene(parts, camera_of(size_px), XrayParameters(), seed)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main(*, write: bool = False) -> None:
    """Measure, print, and write to docs/results.md where asked.

    Args:
        write: put the tables into docs/results.md.
    """
    torch.set_num_threads(1)
    cases = {"pelvis CT": read_volume(fetch_example("pelvis").ct), "phantom": analytic_phantom()}
    lines = ["### X-ray simulator", "", describe_hardware(1, ("torch", "numba", "numpy")), ""]
    lines += ["| CT | C-arm angles (deg) | largest difference | root mean square |"]
    lines += ["|---|---|---|---|"]
    lines += [row for name, volume in cases.items() for row in agreement(name, volume)]
    parts = scene_of_a_body()
    lines += ["", "| image | time on one core |", "|---|---|"]
    lines += [f"| {size} x {size} | {seconds(parts, size):.1f} s |" for size in SIZES_PX]
    text = "\n".join(lines)
    print(text)
    if write:
        write_section("simulator", text)


if __name__ == "__main__":
    tyro.cli(main)
