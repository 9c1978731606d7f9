"""Whole simulated X-rays of a bone ball in a water box."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.simulation.beam import Filtration, energy_weights
from wsreg.simulation.collimator import Collimator
from wsreg.simulation.joseph import project_attenuation
from wsreg.simulation.materials import MASS_ATTENUATION_CM2_PER_G
from wsreg.simulation.parameters import (
    SamplingRanges,
    XrayParameters,
    parameters_from_record,
    parameters_to_record,
    sample_parameters,
)
from wsreg.simulation.scene import MaterialGrid, ScenePart
from wsreg.simulation.tools import Tool
from wsreg.simulation.xray import simulate_scene, simulate_xray
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=41, columns=61, pixel_spacing_mm=(5.0, 5.0))
CLEAN = XrayParameters(
    scatter_fraction=0.0,
    photons=1e9,
    electronic_noise=0.0,
    focal_blur_px=0.0,
    detector_blur_px=0.0,
    saturation=2.0,
)
WATER_MM = 100.0


@pytest.fixture(scope="module")
def volume() -> Volume:
    """Water 100 mm thick on a 4 mm grid with a ball of bone, 40 mm across; air around, padded."""
    hu = torch.full((45, 35, 45), -2048, dtype=torch.int16)
    hu[5:40, 5:30, 5:40] = 0
    z, y, x = torch.meshgrid(*(torch.arange(n) for n in hu.shape), indexing="ij")
    ball = torch.hypot(torch.hypot(x - 30.0, y - 17.0), z - 22.0) < 5.0
    hu[ball] = 1200
    affine = torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = -4.0 * torch.tensor([22.0, 17.0, 22.0])
    return Volume(hu=hu, ct_from_voxel=affine)


@pytest.fixture(scope="module")
def pose() -> Tensor:
    """The origin at 600 mm; columns along +x, rows along -z, depth along +y."""
    return torch.tensor(
        [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 600.0], [0, 0, 0, 1]], dtype=torch.float64
    )


def test_open_beam_water_and_bone(volume: Volume, pose: Tensor) -> None:
    image = simulate_xray(volume, CAMERA, pose, CLEAN, seed=0).transmission
    assert image.shape == (41, 61)
    assert image.dtype == torch.float32
    assert float(image[20, 0]) == pytest.approx(1.0, abs=1e-3)  # padding at -2048 is air
    water = sum(
        weight * math.exp(-coefficient * WATER_MM / 10.0)
        for weight, coefficient in zip(
            energy_weights(90.0, "4Al+0.1Cu"), MASS_ATTENUATION_CM2_PER_G[0], strict=True
        )
    )
    assert float(image[20, 30]) == pytest.approx(water, rel=1e-2)  # splines overshoot a little
    bone_column = 30 + 1000 * 32 / 600 / 5  # the ball is 32 mm aside
    darkest = divmod(int(image[:, 30:50].argmin()), 20)
    assert darkest[0] == pytest.approx(20, abs=2)
    assert darkest[1] + 30 == pytest.approx(bone_column, abs=3)
    assert float(image.min()) < 0.7 * water


def test_contrast_follows_the_monoenergetic_projection(volume: Volume, pose: Tensor) -> None:
    image = simulate_xray(volume, CAMERA, pose, CLEAN, seed=0).transmission
    attenuation = project_attenuation(volume, CAMERA, pose)
    both = torch.stack((-torch.log(image).flatten(), attenuation.flatten()))
    assert float(torch.corrcoef(both)[0, 1]) > 0.98


def test_record_and_seed_replay_the_image(volume: Volume, pose: Tensor) -> None:
    ranges = SamplingRanges(
        collimators={"circle": 1.0}, tool_counts={1: 1.0}, tool_kinds={"screw": 1.0}
    )
    drawn = sample_parameters(np.random.default_rng(7), CAMERA, ranges)
    first = simulate_xray(volume, CAMERA, pose, drawn, seed=11)
    record = json.loads(json.dumps(parameters_to_record(first.parameters)))
    again = simulate_xray(volume, CAMERA, pose, parameters_from_record(record), first.seed)
    assert torch.equal(first.transmission, again.transmission)
    other = simulate_xray(volume, CAMERA, pose, drawn, seed=12)
    assert not torch.equal(first.transmission, other.transmission)


def test_scatter_brightens_behind_the_patient(volume: Volume, pose: Tensor) -> None:
    clean = simulate_xray(volume, CAMERA, pose, CLEAN, seed=0).transmission
    parameters = dataclasses.replace(CLEAN, scatter_fraction=0.5)
    scattered = simulate_xray(volume, CAMERA, pose, parameters, seed=0).transmission
    behind = clean < 0.5
    fraction = 1.0 - clean[behind] / scattered[behind]
    assert float(fraction.median()) == pytest.approx(0.5, abs=0.01)


def test_opaque_tool_and_collimator_are_dark(volume: Volume, pose: Tensor) -> None:
    rod = Tool(points_px=((5.0, 20.0), (55.0, 20.0)), radius_px=3.0, thickness_mm=15.0)
    field = Collimator(shape="rectangle", half_size=(0.6, 0.3), edge_px=1.0, leakage=0.02)
    parameters = dataclasses.replace(CLEAN, tools=(rod,), collimator=field)
    image = simulate_xray(volume, CAMERA, pose, parameters, seed=0).transmission
    clean = simulate_xray(volume, CAMERA, pose, CLEAN, seed=0).transmission
    assert float(image[20, 10:50].max()) < 0.01
    assert float(image[1, 30]) == pytest.approx(0.02 * float(clean[1, 30]), rel=0.01)
    assert float(image[12, 30]) == pytest.approx(float(clean[12, 30]), rel=1e-3)


def test_a_scene_of_two_parts_is_what_they_are_together(pose: Tensor) -> None:
    """Muscle with a bone in it, as one part and as a body and the bone less the muscle."""
    bone = torch.zeros(20, 20, 20)
    bone[6:14, 6:14, 6:14] = 1.0
    muscle = torch.full_like(bone, 1.05)
    affine = torch.diag(torch.tensor([5.0, 5.0, 5.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = -47.5

    def part(soft: Tensor, bony: Tensor) -> ScenePart:
        grid = MaterialGrid(
            density=torch.stack((soft, bony), dim=-1).numpy(),
            materials=("soft tissue", "cortical bone"),
            part_from_voxel=affine,
        )
        return ScenePart(grid=grid, camera_from_part=pose)

    whole = [part(muscle - 1.05 * bone, 1.9 * bone)]
    pieces = [part(muscle, torch.zeros_like(bone)), part(-1.05 * bone, 1.9 * bone)]
    images = [simulate_scene(parts, CAMERA, CLEAN, 0).transmission for parts in (whole, pieces)]
    torch.testing.assert_close(images[0], images[1], rtol=0, atol=1e-3)
    only_body = simulate_scene(pieces[:1], CAMERA, CLEAN, 0).transmission
    assert float((only_body - images[0]).max()) > 0.05


def test_a_harder_beam_gets_through(volume: Volume, pose: Tensor) -> None:
    cases: tuple[tuple[float, Filtration], ...] = ((60.0, "3Al"), (110.0, "4Al+0.3Cu"))
    soft, hard = (
        dataclasses.replace(CLEAN, tube_voltage_kv=kv, filtration=filtration)
        for kv, filtration in cases
    )
    images = [simulate_xray(volume, CAMERA, pose, p, seed=0).transmission for p in (soft, hard)]
    assert float(images[1][20, 30]) > 1.3 * float(images[0][20, 30])
    assert float(images[1][20, 0]) == pytest.approx(float(images[0][20, 0]), abs=1e-3)
