"""The registration benchmark's cases: simulated X-rays of two real CTs, true poses and starts.

Everything follows from fixed seeds.  Each case is kept as two files under ``benchmarks/output``:
``NAME.npy``, the X-ray as a detector reads it (transmission), and ``NAME.json``, the rest.

    python benchmarks/cases.py            # make what is missing, and show some
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from wsreg import Camera, Volume, read_volume, view_pose
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.geometry.rigid import perturb
from wsreg.simulation.collimator import exposed_field
from wsreg.simulation.parameters import (
    SamplingRanges,
    XrayParameters,
    parameters_from_record,
    parameters_to_record,
    sample_parameters,
)
from wsreg.simulation.xray import simulate_xray
from wsreg.volumes.examples import fetch_example

VolumeKey = Literal["chest", "pelvis"]
VOLUME_KEYS: tuple[VolumeKey, ...] = ("chest", "pelvis")

FOLDER = Path(__file__).parent / "output" / "cases"
CASES_FOR_EACH_CT = 18
STARTS_FOR_EACH_CASE = 3
START_DISTANCE_MM = 20.0
ROTATION_RANGE_DEG = 15.0
TRANSLATION_RANGE_MM = (50.0, 50.0, 80.0)

CAMERA = Camera(
    source_to_detector_mm=1020.0,
    rows=384,
    columns=384,
    pixel_spacing_mm=(300.0 / 384, 300.0 / 384),
)

LANDMARKS = 20
LANDMARK_MIN_HU, LANDMARK_MAX_HU = 300, 2000
"""Bone, not metal."""
LANDMARK_REACH_MM = 80.0
"""Landmarks lie within this distance of the CT's centre along each axis."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One X-ray to register.

    Args:
        name: of its files.
        volume_key: which CT.
        camera: geometry of the X-ray.
        image_path: the X-ray (.npy), to be read as transmission.
        image: the same, [rows,columns] float32.
        camera_from_ct: [4,4] the true pose.
        starts: [S,4,4] poses from which to register, each ``START_DISTANCE_MM`` off.
        landmarks_mm: [N,3] on bone, CT coordinates.
        parameters: what the X-ray was simulated with.
        seed: of its noise.
    """

    name: str
    volume_key: VolumeKey
    camera: Camera
    image_path: Path
    image: Tensor
    camera_from_ct: Tensor
    starts: Tensor
    landmarks_mm: Tensor
    parameters: XrayParameters
    seed: int


def load_cases(key: VolumeKey, count: int = CASES_FOR_EACH_CT) -> list[Case]:
    """The first ``count`` cases of a CT, made now if they are not on disk."""
    paths = [FOLDER / f"{key}-{index:02d}.json" for index in range(count)]
    if not all(path.is_file() for path in paths):
        volume = read_volume(fetch_example(key).ct)
        landmarks_mm = choose_landmarks(volume)
        FOLDER.mkdir(parents=True, exist_ok=True)
        for index, path in enumerate(tqdm(paths, desc=f"{key} X-rays")):
            if not path.is_file():
                _write(_make_case(key, index, volume, landmarks_mm))
    return [_read(path) for path in paths]


def choose_landmarks(volume: Volume) -> Tensor:
    """[LANDMARKS,3] points on bone around the CT's centre (LPS mm), spread as far as can be.

    Each is the candidate farthest from those before it, the first is drawn with a fixed seed.
    """
    bone = (volume.hu > LANDMARK_MIN_HU) & (volume.hu < LANDMARK_MAX_HU)
    index = bone.nonzero().flip(-1).to(torch.float64)  # (z,y,x) to (x,y,z)
    points = index @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]
    points = points[((points - volume.centre_mm).abs() < LANDMARK_REACH_MM).all(dim=-1)]
    chosen = [int(np.random.default_rng(0).integers(len(points)))]
    distance = torch.full((len(points),), torch.inf, dtype=torch.float64)
    while len(chosen) < LANDMARKS:
        latest = torch.linalg.norm(points - points[chosen[-1]], dim=-1)
        distance = torch.minimum(distance, latest)
        chosen.append(int(distance.argmax()))
    return points[chosen]


def _make_case(key: VolumeKey, index: int, volume: Volume, landmarks_mm: Tensor) -> Case:
    generator = np.random.default_rng([VOLUME_KEYS.index(key), index])
    pose = draw_pose(generator, volume)
    starts = [
        draw_start(generator, pose, volume, landmarks_mm) for _ in range(STARTS_FOR_EACH_CASE)
    ]
    parameters = sample_parameters(
        generator,
        CAMERA,
        SamplingRanges(
            collimators={"circle" if index % 2 else "none": 1.0},
            tool_counts={1 if index % 3 == 2 else 0: 1.0},
        ),
    )
    name = f"{key}-{index:02d}"
    return Case(
        name=name,
        volume_key=key,
        camera=CAMERA,
        image_path=FOLDER / f"{name}.npy",
        image=simulate_xray(volume, CAMERA, pose, parameters, index).transmission,
        camera_from_ct=pose,
        starts=torch.stack(starts),
        landmarks_mm=landmarks_mm,
        parameters=parameters,
        seed=index,
    )


def draw_pose(generator: np.random.Generator, volume: Volume) -> Tensor:
    """A pose around PA: turned about, and moved from, the centre of the CT."""
    rotation = np.deg2rad(generator.uniform(-ROTATION_RANGE_DEG, ROTATION_RANGE_DEG, size=3))
    translation = generator.uniform(-1.0, 1.0, size=3) * TRANSLATION_RANGE_MM
    motion = torch.from_numpy(np.concatenate((rotation, translation)))
    return perturb(view_pose(volume, CAMERA, view="PA"), motion, volume.centre_mm)


def draw_start(
    generator: np.random.Generator, pose: Tensor, volume: Volume, landmarks_mm: Tensor
) -> Tensor:
    """A pose whose landmarks are ``START_DISTANCE_MM`` off on average, turned and moved at random.

    The fraction of turning is random too.
    """
    radius_mm = float(torch.linalg.norm(landmarks_mm - volume.centre_mm, dim=-1).mean())
    turning = generator.uniform(0.1, 0.9)
    rotation = _direction(generator) * turning / radius_mm
    translation = _direction(generator) * (1.0 - turning)
    motion = torch.from_numpy(np.concatenate((rotation, translation)))

    def start(scale: float) -> Tensor:
        return perturb(pose, scale * motion, volume.centre_mm)

    def excess(scale: float) -> float:
        return float(mtre_3d_mm(landmarks_mm, start(scale), pose)) - START_DISTANCE_MM

    return start(_root(excess))


def _root(excess: Callable[[float], float]) -> float:
    """Where an increasing function that is negative at 0 crosses zero."""
    from scipy.optimize import brentq

    high = START_DISTANCE_MM
    while excess(high) < 0.0:
        high *= 1.5
    return float(brentq(excess, 0.0, high, xtol=1e-9))


def _direction(generator: np.random.Generator) -> np.ndarray:
    vector = generator.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _write(case: Case) -> None:
    np.save(case.image_path, case.image.numpy())
    record = {
        "name": case.name,
        "volume_key": case.volume_key,
        "camera": dataclasses.asdict(case.camera),
        "camera_from_ct": case.camera_from_ct.tolist(),
        "starts": case.starts.tolist(),
        "landmarks_mm": case.landmarks_mm.tolist(),
        "parameters": parameters_to_record(case.parameters),
        "seed": case.seed,
    }
    case.image_path.with_suffix(".json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def _read(path: Path) -> Case:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    image_path = path.with_suffix(".npy")
    return Case(
        name=record["name"],
        volume_key=record["volume_key"],
        camera=Camera(**record["camera"]),
        image_path=image_path,
        image=torch.from_numpy(np.load(image_path)),
        camera_from_ct=torch.tensor(record["camera_from_ct"], dtype=torch.float64),
        starts=torch.tensor(record["starts"], dtype=torch.float64),
        landmarks_mm=torch.tensor(record["landmarks_mm"], dtype=torch.float64),
        parameters=parameters_from_record(record["parameters"]),
        seed=record["seed"],
    )


def write_contact_sheet(cases: list[Case], path: Path, across: int = 3) -> None:
    """A picture of some X-rays, log-converted, each stretched over its exposed field."""
    from PIL import Image

    tiles = []
    for case in cases:
        attenuation = -np.log(np.maximum(case.image.numpy(), 1e-4))
        field = exposed_field(case.parameters.collimator, case.camera.rows, case.camera.columns)
        low, high = np.percentile(attenuation[field == 1.0], (1, 99.5))
        tiles.append(np.clip((attenuation - low) / (high - low), 0.0, 1.0))
    rows = [np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)]
    Image.fromarray((255 * np.vstack(rows)).astype(np.uint8)).save(path)


def main(sheets: Path = FOLDER) -> None:
    """Make the cases of both CTs and a contact sheet of six each.

    Args:
        sheets: folder for the contact sheets.
    """
    for key in VOLUME_KEYS:
        start = time.perf_counter()
        cases = load_cases(key)
        write_contact_sheet(cases[:6], sheets / f"sim_{key}.png")
        print(f"{key}: {len(cases)} cases, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    tyro.cli(main)
