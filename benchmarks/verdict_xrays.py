"""X-rays and CTs of the verdict's benchmark: two halves that share neither a CT nor a person.

A third set, ``confirming``, has people and X-rays that were not looked at before the limits were
final; its real CT is that of the reporting half, in other poses.

Everything follows from fixed seeds; what takes long is kept under ``benchmarks/output``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cases import CAMERA, ROTATION_RANGE_DEG, TRANSLATION_RANGE_MM, VolumeKey, choose_landmarks
from wsreg import Camera, Volume, read_volume, view_pose
from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import PRESETS
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.geometry.rigid import perturb
from wsreg.simulation.parameters import SamplingRanges, sample_parameters
from wsreg.simulation.xray import simulate_xray
from wsreg.volumes.examples import fetch_example

Half = Literal["choosing", "reporting", "confirming"]
OUTPUT = Path(__file__).parent / "output"
FOLDER = OUTPUT / "verdict"
XRAYS_OF_A_PERSON = 5
VIEWS = ("PA",) * 10 + ("AP", "LAT", "AP", "RLAT")
"""Of the X-rays of a real CT."""
XRAY_SEEDS: Mapping[str, int] = {"choosing": 20, "reporting": 20, "confirming": 31}
"""Of the X-rays of real CTs."""


@dataclass(frozen=True, kw_only=True)
class People:
    """Virtual people: the file of their cohort, its seed, their names, X-rays made of each."""

    file: str
    seed: int
    names: tuple[str, ...]
    xrays: int


EXAMPLES: Mapping[Half, VolumeKey] = {
    "choosing": "chest", "reporting": "pelvis", "confirming": "pelvis",
}  # fmt: skip
PEOPLE: Mapping[Half, tuple[People, ...]] = {
    "choosing": (
        People(file="cohort-verdict-7.h5", seed=7, names=("17-1882", "18-1109"), xrays=8),
        People(
            file="cohort-verdict-11.h5",
            seed=11,
            names=("18-0725", "18-2799", "18-2800", "17-1905"),
            xrays=9,
        ),
    ),
    "reporting": (People(file="cohort-small.h5", seed=0, names=(), xrays=12),),
    "confirming": (People(file="cohort-verdict-23.h5", seed=23, names=(), xrays=5),),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Xray:
    """One X-ray with its truth.

    Args:
        name: of its file.
        subject: whose CT it shows; ``load_volume`` reads it.
        view: the named view that is nearest.
        camera: its geometry.
        path: [rows,columns] float32 transmission (.npy).
        camera_from_ct: [4,4] the true pose.
        landmarks_mm: [N,3] on bone, CT coordinates.
        centre_mm: [3] middle of the CT.
    """

    name: str
    subject: str
    view: str
    camera: Camera
    path: Path
    camera_from_ct: Tensor
    landmarks_mm: Tensor
    centre_mm: Tensor


def load_xrays(half: Half) -> list[Xray]:
    """Return every X-ray of a half, those of the real CT first; made now where missing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return [*_of_example(EXAMPLES[half], XRAY_SEEDS[half]), *_of_people(half)]


@functools.lru_cache(maxsize=1)
def load_volume(subject: str) -> Volume:
    """Return a subject's CT; the one asked for last is kept."""
    if subject in EXAMPLES.values():
        return _example(subject)
    file, name = subject.split("/")
    with DeepFluoroFile(OUTPUT / file) as cohort:
        return cohort.volume(name)


@functools.cache
def _example(key: str) -> Volume:
    return read_volume(fetch_example("chest" if key == "chest" else "pelvis").ct)


def _of_example(key: VolumeKey, seed: int) -> Iterator[Xray]:
    volume = _example(key)
    landmarks_mm = choose_landmarks(volume)
    for number, view in enumerate(VIEWS):
        generator = np.random.default_rng([seed, key == "pelvis", number])
        turn = np.deg2rad(generator.uniform(-ROTATION_RANGE_DEG, ROTATION_RANGE_DEG, size=3))
        shift = generator.uniform(-1.0, 1.0, size=3) * TRANSLATION_RANGE_MM
        motion = torch.from_numpy(np.concatenate((turn, shift)))
        pose = perturb(view_pose(volume, CAMERA, view=view), motion, volume.centre_mm)
        path = FOLDER / (
            f"{key}-{number:02d}.npy" if seed == 20 else f"{key}-{seed}-{number:02d}.npy"
        )
        if not path.exists():
            field = SamplingRanges(collimators={"circle" if number % 2 else "none": 1.0})
            parameters = sample_parameters(generator, CAMERA, field)
            np.save(path, simulate_xray(volume, CAMERA, pose, parameters, number).transmission)
        yield Xray(
            name=path.stem, subject=key, view=view, camera=CAMERA, path=path, camera_from_ct=pose,
            landmarks_mm=landmarks_mm, centre_mm=volume.centre_mm,
        )  # fmt: skip


def _of_people(half: Half) -> Iterator[Xray]:
    for people in PEOPLE[half]:
        file = OUTPUT / people.file
        if not file.exists():
            build_cohort(file, PRESETS["small"], people.seed, people.names, xrays=people.xrays)
        with DeepFluoroFile(file) as cohort:
            for person in cohort.specimens:
                for projection in cohort.projections(person)[:XRAYS_OF_A_PERSON]:
                    sample = cohort.sample(person, projection)
                    path = FOLDER / f"{file.stem}-{person}-{projection}.npy"
                    if not path.exists():
                        np.save(path, torch.exp(-sample.radiograph.image).numpy())
                    yield Xray(
                        name=path.stem, subject=f"{people.file}/{person}", view="PA",
                        camera=sample.camera, path=path, camera_from_ct=sample.camera_from_ct,
                        landmarks_mm=landmarks_of(sample), centre_mm=sample.volume.centre_mm,
                    )  # fmt: skip
