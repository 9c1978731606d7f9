"""One X-ray of a specimen: its acquisition, drawn first, and the image that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsreg.datasets.sample import PELVIS
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles, rotation_from_angles
from wsreg.geometry.rigid import exp_so3, rigid
from wsreg.simulation.parameters import (
    SamplingRanges,
    XrayParameters,
    parameters_from_record,
    parameters_to_record,
    sample_parameters,
)
from wsreg.simulation.scene import ScenePart
from wsreg.simulation.xray import simulate_scene
from wsreg.specimens.silhouettes import label_map, silhouettes
from wsreg.specimens.specimen import Specimen

ORBITAL_SD_DEG, TILT_SD_DEG, ROLL_SD_DEG = 20.0, 12.0, 6.0
ORBITAL_MAX_DEG, TILT_MAX_DEG, ROLL_MAX_DEG = 50.0, 32.0, 15.0
ISOCENTRE_SD_MM = (30.0, 15.0, 30.0)
"""How far (LPS) the point on the beam's axis is from the middle of the pelvis."""
SOURCE_TO_PELVIS_MM = (660.0, 800.0)
TURNED_FRACTION = 0.4
"""Fraction of X-rays that the detector stored with the patient's head down."""
FEMUR_SD_DEG = (4.0, 2.5, 6.0)
"""How far femurs have turned since the CT, about x, y and z."""
TISSUE_SD_MM, TISSUE_SD_SCALE = 0.8, 0.005
"""How far soft tissue has shifted and spread since the CT."""
RANGES = SamplingRanges(
    collimators={"circle": 0.5, "rectangle": 0.2, "none": 0.3},
    tool_counts={0: 0.7, 1: 0.2, 2: 0.1},
    tool_kinds={"rod": 0.4, "screw": 0.3, "wire": 0.3},
    gain=(0.7, 1.0),
    saturation=(0.7, 1.2),
)
TORSO_MM = (380.0, 230.0)
"""Width and depth of a torso, for the tube voltage."""
GOOD_VIEW_FRACTION = 0.5
"""A femur is seen well if this fraction of its upper end is in the image."""
UPPER_FEMUR_MM = 70.0
FEMORAL_HEADS: Mapping[str, str] = {"left-femur": "FH-l", "right-femur": "FH-r"}
"""Landmark about which each femur turns."""
POSE_KEYS: Mapping[str, str] = {
    PELVIS: "camera_from_ct",
    "left-femur": "camera_from_left_femur",
    "right-femur": "camera_from_right_femur",
}
"""Key of each body's pose in the record that is stored with an X-ray."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Acquisition:
    """Everything that makes one X-ray of a specimen what it is.

    Args:
        poses: body -> [4,4] float64 pose: ``pelvis`` (and spine), ``left-femur``, ``right-femur``.
        camera_from_tissue: [4,4] float64 affine pose of the soft tissue.
        rot_180_for_up: whether the detector stored the image head down.
        parameters: of beam, detector, collimator and tools.
        seed: of the noise.
    """

    poses: Mapping[str, Tensor]
    camera_from_tissue: Tensor
    rot_180_for_up: bool
    parameters: XrayParameters
    seed: int

    @property
    def camera_from_ct(self) -> Tensor:
        """Return the [4,4] float64 pose of the pelvis."""
        return self.poses[PELVIS]

    def camera_from_bone(self, name: str) -> Tensor:
        """Return the [4,4] pose of a bone by its name: its own, or that of the pelvis."""
        return self.poses.get(name, self.camera_from_ct)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """The image and the truth, in this package's frames (source at the origin, z to the detector).

    Args:
        transmission: [rows,columns] float32 detector signal, bright where little is in the way.
        labels: [rows,columns] uint8.
        landmarks_px: name -> [2] float64 (column,row).
        valid: femur -> whether enough of it is in view for its pose to be valid.
    """

    transmission: Tensor
    labels: Tensor
    landmarks_px: Mapping[str, Tensor]
    valid: Mapping[str, bool]


def sample_acquisition(
    specimen: Specimen,
    camera: Camera,
    generator: np.random.Generator,
    camera_from_ct: Tensor | None = None,
) -> Acquisition:
    """Draw everything that makes one X-ray: its pose, unless that is given, and all the rest."""
    landmarks = specimen.anatomy.landmarks_mm
    middle = np.mean([landmarks[name] for name in ("FH-l", "FH-r", "ASIS-l", "ASIS-r")], axis=0)
    if camera_from_ct is None:
        camera_from_ct = _sample_pose(middle, generator)
    poses = {PELVIS: camera_from_ct} | {
        femur: camera_from_ct @ _sample_turn(torch.from_numpy(landmarks[head]), generator)
        for femur, head in FEMORAL_HEADS.items()
    }
    return Acquisition(
        poses=poses,
        camera_from_tissue=camera_from_ct @ _sample_shift(landmarks, generator),
        rot_180_for_up=bool(generator.random() < TURNED_FRACTION),
        parameters=sample_parameters(
            generator, camera, RANGES, body_thickness_mm=_body_thickness_mm(camera_from_ct)
        ),
        seed=int(generator.integers(2**31)),
    )


def expose(specimen: Specimen, camera: Camera, acquisition: Acquisition) -> Exposure:
    """Simulate the X-ray; the same arguments give the same image."""
    c = acquisition
    xray = simulate_scene(scene_of(specimen, c), camera, c.parameters, c.seed)
    poses = {name: c.camera_from_bone(name) for name in specimen.bones}
    landmarks = {
        name: _projected(camera, c.camera_from_ct, point)
        for name, point in specimen.anatomy.landmarks_mm.items()
    }
    return Exposure(
        transmission=xray.transmission,
        labels=label_map(silhouettes(specimen.anatomy, camera, poses)),
        landmarks_px=landmarks,
        valid={
            femur: _sees_femur(specimen, camera, femur, c.poses[femur]) for femur in FEMORAL_HEADS
        },
    )


def scene_of(specimen: Specimen, acquisition: Acquisition) -> list[ScenePart]:
    """Return the specimen's parts, each at its own pose."""
    parts = [
        ScenePart(grid=specimen.body_material, camera_from_part=acquisition.camera_from_tissue)
    ]
    for name, grid in specimen.bone_materials.items():
        parts.append(ScenePart(grid=grid, camera_from_part=acquisition.camera_from_bone(name)))
    return parts


def acquisition_to_record(acquisition: Acquisition) -> dict[str, Any]:
    """Return the acquisition as plain values that JSON can hold."""
    c = acquisition
    return {
        **{key: c.poses[body].tolist() for body, key in POSE_KEYS.items()},
        "camera_from_tissue": c.camera_from_tissue.tolist(),
        "rot_180_for_up": c.rot_180_for_up,
        "parameters": parameters_to_record(c.parameters),
        "seed": c.seed,
    }


def acquisition_from_record(record: Mapping[str, Any]) -> Acquisition:
    """Return the acquisition of a record, also after a way through JSON."""

    def pose(key: str) -> Tensor:
        return torch.tensor(record[key], dtype=torch.float64)

    return Acquisition(
        poses={body: pose(key) for body, key in POSE_KEYS.items()},
        camera_from_tissue=pose("camera_from_tissue"),
        rot_180_for_up=record["rot_180_for_up"],
        parameters=parameters_from_record(record["parameters"]),
        seed=record["seed"],
    )


def _sample_pose(middle_mm: np.ndarray, generator: np.random.Generator) -> Tensor:
    """Draw a [4,4] float64 pose: C-arm angles, roll, a point near the pelvis on the beam's axis."""

    def angle(sd_deg: float, most_deg: float) -> float:
        return math.radians(float(np.clip(generator.normal(0.0, sd_deg), -most_deg, most_deg)))

    angles = CArmAngles(
        primary_rad=angle(ORBITAL_SD_DEG, ORBITAL_MAX_DEG),
        secondary_rad=angle(TILT_SD_DEG, TILT_MAX_DEG),
    )
    rotation = rotation_from_angles(angles, roll_rad=angle(ROLL_SD_DEG, ROLL_MAX_DEG))
    isocentre = torch.from_numpy(middle_mm + generator.normal(0.0, ISOCENTRE_SD_MM))
    depth = torch.tensor([0.0, 0.0, generator.uniform(*SOURCE_TO_PELVIS_MM)], dtype=torch.float64)
    return rigid(rotation, depth - rotation @ isocentre)


def _body_thickness_mm(camera_from_ct: Tensor) -> float:
    """Return how much of an elliptic torso the beam's axis runs through."""
    x, y, _ = camera_from_ct[2, :3].tolist()
    width, depth = TORSO_MM
    return 1.0 / math.hypot(x / width, y / depth)


def _sample_turn(centre_mm: Tensor, generator: np.random.Generator) -> Tensor:
    """Draw a [4,4] float64 rotation about a point."""
    turn = torch.from_numpy(np.radians(generator.normal(0.0, FEMUR_SD_DEG)))
    rotation = exp_so3(turn)
    return rigid(rotation, centre_mm - rotation @ centre_mm)


def _sample_shift(landmarks: Mapping[str, np.ndarray], generator: np.random.Generator) -> Tensor:
    """Draw a [4,4] float64 affine about the middle of the pelvis."""
    middle = torch.from_numpy(np.mean(list(landmarks.values()), axis=0))
    scale = torch.from_numpy(
        1.0 + np.clip(generator.normal(0.0, TISSUE_SD_SCALE, 3), -0.015, 0.015)
    )
    shift = torch.from_numpy(np.clip(generator.normal(0.0, TISSUE_SD_MM, 3), -2.5, 2.5))
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, :3] = torch.diag(scale)
    affine[:3, 3] = middle - scale * middle + shift
    return affine


def _projected(camera: Camera, camera_from_ct: Tensor, point_mm: np.ndarray) -> Tensor:
    point = torch.from_numpy(point_mm)
    return camera.project(camera_from_ct[:3, :3] @ point + camera_from_ct[:3, 3])


def _sees_femur(specimen: Specimen, camera: Camera, name: str, pose: Tensor) -> bool:
    head = specimen.anatomy.landmarks_mm[FEMORAL_HEADS[name]]
    points = np.concatenate([s.vertices_mm for s in specimen.anatomy.bones[name]])
    upper = torch.from_numpy(points[np.linalg.norm(points - head, axis=1) < UPPER_FEMUR_MM])
    column, row = camera.project(upper @ pose[:3, :3].T + pose[:3, 3]).unbind(-1)
    seen = (column >= 0) & (column < camera.columns) & (row >= 0) & (row < camera.rows)
    return float(seen.double().mean()) >= GOOD_VIEW_FRACTION
