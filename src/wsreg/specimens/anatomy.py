"""From a person to posed bones and landmarks: hips, sacrum, femurs, lumbar vertebrae."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wsreg.specimens.person import SEX_SCORE, Person
from wsreg.specimens.shape_model import (
    LEFT_FEMUR_NODES,
    PELVIS_NODES,
    femur_mesh,
    load_shape_model,
    pelvis_mesh,
    pelvis_pieces,
)
from wsreg.specimens.surface import Surface, unit
from wsreg.specimens.vertebra import L3, L4, L5, VertebraSize, vertebra

FloatArray = NDArray[np.float64]

LANDMARK_NODES: Mapping[str, int] = {
    "ASIS-l": 1004, "ASIS-r": 466,  # anterior superior iliac spine
    "GSN-l": 888, "GSN-r": 348,  # greater sciatic notch
    "IOF-l": 579, "IOF-r": 41,  # inferior margin of the obturator foramen
    "MOF-l": 609, "MOF-r": 71,  # medial margin of the obturator foramen
    "SPS-l": 637, "SPS-r": 96,  # superior end of the pubic symphysis
    "IPS-l": 622, "IPS-r": 82,  # inferior end of the pubic symphysis
}  # fmt: skip
"""Node of the pelvis at each landmark; the femoral heads (FH-l, FH-r) are centres of spheres."""

FEMORAL_HEAD_NODES = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 30, 31, 32, 35,
    36, 37, 38, 40, 41, 42, 43, 44, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66,
    67, 68, 69, 70, 83, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 105, 106, 107, 108, 109, 110, 111,
    112, 113, 114, 115, 116, 117, 118, 119, 120,
)  # fmt: skip
"""Nodes of the left femur on the articular sphere."""

ENDPLATE_NODES = (
    1278, 1294, 1295, 1296, 1299, 1303, 1305, 1306, 1307, 1308, 1735, 1748, 1749, 1752, 1755, 1757,
    1758,
)  # fmt: skip
"""Nodes of the sacrum on the plate that carries the spine."""
ENDPLATE_FRONT_NODE, ENDPLATE_BACK_NODE = 1293, 1303

LUMBOSACRAL_TURNS_DEG = (14.0, 9.0, 10.0, 3.0, 8.0)
"""Mean turns up the spine: disc L5/S1, body of L5, disc L4/L5, body of L4, disc L3/L4."""
DISC_MM = 10.0

ROUGH_HEAD_RADIUS_MM = 23.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """Bones of a person in LPS mm; the origin is midway between the femoral heads.

    Args:
        bones: ``left-hemipelvis``, ``right-hemipelvis``, ``vertebrae``, ``upper-sacrum``,
            ``left-femur``, ``right-femur``: closed surfaces whose union is the bone.
        landmarks_mm: DeepFluoro's 14 landmarks, each [3].
        head_radius_mm: of the femoral heads.
    """

    bones: Mapping[str, tuple[Surface, ...]]
    landmarks_mm: Mapping[str, FloatArray]
    head_radius_mm: float


def build_anatomy(person: Person) -> Anatomy:
    """Build the bones of a person, supine."""
    nodes = load_shape_model().nodes(shape_scores(person))
    pelvis, femur = nodes[PELVIS_NODES], nodes[LEFT_FEMUR_NODES]
    centre, radius_mm = _sphere(femur[list(FEMORAL_HEAD_NODES)])
    mirror = _mirror(pelvis)
    upright = _anatomical_frame(pelvis, centre, _apply(mirror, centre))
    frame = _rotation((person.pelvic_tilt_deg, 0.0, 0.0)) @ upright
    pelvis = _apply(frame, pelvis)
    left, right, sacrum = (pelvis_mesh().surface(pelvis).of(piece) for piece in pelvis_pieces())
    head_l, head_r = _apply(frame, centre), _apply(frame @ mirror, centre)
    thigh = femur_mesh().surface(femur)
    landmarks = {name: pelvis[node] for name, node in LANDMARK_NODES.items()}
    left_femur, right_femur = (
        _hanging(thigh.moved(to_frame), head, _hip(angles, side))
        for to_frame, head, angles, side in (
            (frame, head_l, person.left_femur_deg, 1.0),
            (frame @ mirror, head_r, person.right_femur_deg, -1.0),
        )
    )
    return Anatomy(
        bones={
            "left-hemipelvis": (left,),
            "right-hemipelvis": (right,),
            "vertebrae": _spine(pelvis, person),
            "upper-sacrum": (sacrum,),
            "left-femur": (left_femur,),
            "right-femur": (right_femur,),
        },
        landmarks_mm={**landmarks, "FH-l": head_l, "FH-r": head_r},
        head_radius_mm=radius_mm,
    )


def shape_scores(person: Person) -> FloatArray:
    """Return [K] the person's scores in the shape model, moved by what goes with the sex."""
    shift = SEX_SCORE if person.sex == "female" else -SEX_SCORE
    scores: FloatArray = np.array(person.scores) + shift * _subpubic_direction()
    return scores


def surface_distance_mm(first: Sequence[Surface], second: Sequence[Surface]) -> float:
    """Return the mean distance (mm) from two bones' vertices to the other's nearest, both ways."""
    from scipy.spatial import cKDTree

    a = np.concatenate([surface.vertices_mm for surface in first])
    b = np.concatenate([surface.vertices_mm for surface in second])
    there, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    return float(0.5 * (there.mean() + back.mean()))


@cache
def _subpubic_direction() -> FloatArray:
    """Return [K] unit scores along which the subpubic angle opens fastest at the mean."""
    model = load_shape_model()
    steps = np.eye(len(model.variances)) * 0.5
    gradient = np.array([_subpubic_angle(step) - _subpubic_angle(-step) for step in steps])
    return unit(gradient)


def _subpubic_angle(scores: FloatArray) -> float:
    """Return the angle (rad) at the lower symphysis between the obturator foramina's edges."""
    pelvis = load_shape_model().nodes(scores)[PELVIS_NODES]
    mark = {name: pelvis[node] for name, node in LANDMARK_NODES.items()}
    apex = 0.5 * (mark["IPS-l"] + mark["IPS-r"])
    a, b = mark["IOF-l"] - apex, mark["IOF-r"] - apex
    return float(np.arccos(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))))


def _anatomical_frame(pelvis: FloatArray, head_l: FloatArray, head_r: FloatArray) -> FloatArray:
    """Return [4,4] to axes with x through the heads to the left, anterior pelvic plane upright."""
    mark = {name: pelvis[node] for name, node in LANDMARK_NODES.items()}
    spines = 0.5 * (mark["ASIS-l"] + mark["ASIS-r"])
    symphysis = 0.5 * (mark["SPS-l"] + mark["SPS-r"])
    x = (head_l - head_r) + (mark["ASIS-l"] - mark["ASIS-r"])
    x /= np.linalg.norm(x)
    z = spines - symphysis
    z -= (z @ x) * x
    z /= np.linalg.norm(z)
    frame = np.eye(4)
    frame[:3, :3] = np.stack((x, np.cross(z, x), z))
    frame[:3, 3] = -frame[:3, :3] @ (0.5 * (head_l + head_r))
    return frame


def _mirror(pelvis: FloatArray) -> FloatArray:
    """Return [4,4] reflection and rigid motion from this person's left hip to the right one."""
    left, right = _mirror_pairs()
    return _fit(pelvis[left], pelvis[right])


@cache
def _mirror_pairs() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return nodes of the left hip around the joint and their counterparts on the right one.

    The hips are meshed apart, so counterparts are found on the mean by closest points.
    """
    from scipy.spatial import cKDTree

    model, mesh = load_shape_model(), pelvis_mesh()
    pelvis = model.mean[PELVIS_NODES]
    head, _ = _sphere(model.mean[LEFT_FEMUR_NODES][list(FEMORAL_HEAD_NODES)])
    hips = []
    for triangles in pelvis_pieces()[:2]:
        vertices = np.unique(triangles)
        hips.append(np.unique(mesh.node_indices[vertices][mesh.weights[vertices] != 0.0]))
    left, right = hips
    left = left[np.linalg.norm(pelvis[left] - head, axis=1) < 3.5 * ROUGH_HEAD_RADIUS_MM]
    tree = cKDTree(pelvis[right])
    marks = [name for name in LANDMARK_NODES if name.endswith("-l")]
    motion = _fit(
        pelvis[[LANDMARK_NODES[name] for name in marks]],
        pelvis[[LANDMARK_NODES[name[:-1] + "r"] for name in marks]],
    )
    for _ in range(40):
        nearest = right[tree.query(_apply(motion, pelvis[left]))[1]]
        motion = _fit(pelvis[left], pelvis[nearest])
    return left, nearest


def _fit(points: FloatArray, targets: FloatArray) -> FloatArray:
    """Return [4,4] orthogonal motion with a reflection that fits points [N,3] to targets best."""
    a, b = points - points.mean(axis=0), targets - targets.mean(axis=0)
    u, _, vt = np.linalg.svd(b.T @ a)
    motion = np.eye(4)
    motion[:3, :3] = u @ np.diag([1.0, 1.0, -np.sign(np.linalg.det(u @ vt))]) @ vt
    motion[:3, 3] = targets.mean(axis=0) - motion[:3, :3] @ points.mean(axis=0)
    return motion


def _spine(pelvis: FloatArray, person: Person) -> tuple[Surface, ...]:
    """Stack L5, L4 and L3 on the sacrum's endplate, each turned less than the one below."""
    plate = pelvis[list(ENDPLATE_NODES)]
    back = pelvis[ENDPLATE_BACK_NODE] - pelvis[ENDPLATE_FRONT_NODE]
    slope = np.arctan2(-back[1], back[2])  # of the plate's way back: pi/2 less the sacral slope
    top = plate.mean(axis=0)
    tilt_deg = np.degrees(slope) + 90.0  # how far the plate's normal leans forward
    turns = [turn * person.lordosis for turn in LUMBOSACRAL_TURNS_DEG]
    surfaces: list[Surface] = []
    for index, mean_size in enumerate((L5, L4, L3)):
        size = _scaled(mean_size, person.vertebra_scale)
        height = 0.5 * (size.front_mm + size.back_mm)
        tilt_deg -= 0.5 * turns[2 * index]
        top = top + _leaning(tilt_deg) * DISC_MM
        tilt_deg -= 0.5 * turns[2 * index]
        body_turn = turns[2 * index + 1] if 2 * index + 1 < len(turns) else 0.0
        tilt_deg -= 0.5 * body_turn
        pose = _rotation((tilt_deg, 0.0, 0.0))
        pose[:3, 3] = top + _leaning(tilt_deg) * 0.5 * height
        surfaces += [surface.moved(pose) for surface in vertebra(size)]
        top = top + _leaning(tilt_deg) * height
        tilt_deg -= 0.5 * body_turn
    return tuple(surfaces)


def _scaled(size: VertebraSize, scale: float) -> VertebraSize:
    return VertebraSize(
        width_mm=size.width_mm * scale,
        depth_mm=size.depth_mm * scale,
        front_mm=size.front_mm * scale,
        back_mm=size.back_mm * scale,
    )


def _leaning(tilt_deg: float) -> FloatArray:
    """Return [3] the upward direction, leaning forward by an angle."""
    return _rotation((tilt_deg, 0.0, 0.0))[:3, 2]


def _hip(angles_deg: tuple[float, float, float], side: float) -> FloatArray:
    """Return [4,4] turn of a femur by flexion, abduction, outward rotation; ``side`` 1 is left."""
    flexion, abduction, outward = angles_deg
    return _rotation((-flexion, -side * abduction, side * outward))


def _hanging(femur: Surface, head: FloatArray, turn: FloatArray) -> Surface:
    """Return the femur with its mechanical axis, head to knee, straight down and then turned.

    The people of the shape model lay with their hips bent by up to 40 degrees.
    """
    from scipy.spatial.transform import Rotation

    reach = np.linalg.norm(femur.vertices_mm - head, axis=1)
    knee = femur.vertices_mm[reach > 0.93 * reach.max()].mean(axis=0) - head
    straight = np.eye(4)
    straight[:3, :3] = Rotation.align_vectors([[0.0, 0.0, -1.0]], [unit(knee)])[0].as_matrix()
    return femur.moved(_turn_about(head, turn @ straight))


def _turn_about(point: FloatArray, rotation: FloatArray) -> FloatArray:
    turn = rotation.copy()
    turn[:3, 3] = point - rotation[:3, :3] @ point
    return turn


def _rotation(angles_deg: tuple[float, float, float]) -> FloatArray:
    """Return [4,4] rotation about x, then y, then z."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    return matrix


def _sphere(points: FloatArray) -> tuple[FloatArray, float]:
    """Return centre [3] and radius of the sphere that fits points [N,3] in least squares."""
    system = np.column_stack((2.0 * points, np.ones(len(points))))
    *centre, rest = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    return np.array(centre), float(np.sqrt(rest + np.dot(centre, centre)))


def _apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    moved: FloatArray = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved
