"""What looks wrong about the labels that bodies are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wsreg.geometry.rigid import transform_points
from wsreg.registration.bodies import Body
from wsreg.rendering.prepared import VOXEL_SIZES_MM, PreparedCt
from wsreg.volumes.region_names import region_name
from wsreg.volumes.volume import Volume

PAIRS = ("hemipelvis", "femur")
"""Bones of which there is a left and a right one."""
MOST_HIGHER_MM, MOST_HIGHER = 60.0, 0.8
"""How much higher one bone of a pair may lie than the other, and how much for each millimetre that
they are apart from left to right: patients lie turned in the CT, by up to 39 degrees."""
MOST_LARGER = {"hemipelvis": 1.5, "femur": 3.0}
"""How much larger one bone of a pair may be; a CT may end within one femur."""


class _Bone(NamedTuple):
    """Voxels of a bone, and the middle of them (LPS mm)."""

    voxels: int
    middle_mm: Tensor


def label_doubts(ct: PreparedCt, bodies: Sequence[Body]) -> tuple[str, ...]:
    """Return what looks wrong about the labels of several bodies, a sentence each.

    Left and right bones must lie on their sides, be as high and as large as each other, and femurs
    must have a round head in the pelvis, unless it is given where they turn.  It takes no notice of
    labels with other names, nor of those that no body has.
    """
    if len(bodies) < 2:
        return ()
    coarse = ct.levels(VOXEL_SIZES_MM)[0].volume
    bones = _bones(coarse, {label for body in bodies for label in body.labels})
    doubts = []
    for kind in PAIRS:
        names = f"left-{kind}", f"right-{kind}"
        left, right = (bones.get(name) for name in names)
        if left is not None and right is not None:
            doubts += _of_pair(kind, left, right)
    for body in bodies[1:]:
        is_femur = body.name.endswith("-femur") and body.part.kind == "bones"
        joint = body.joint
        if is_femur and (joint is None or (joint.radius_mm is None and not joint.given)):
            doubts.append(
                f"The labels of {body.name} show no round head in the {bodies[0].name}: "
                "where it turns is not known."
            )
    return tuple(doubts)


def _bones(volume: Volume, labels: Collection[int]) -> dict[str, _Bone]:
    """Return the bones that some labels are parts of, by the regions' names."""
    assert volume.labels is not None
    points: dict[str, list[Tensor]] = {}
    for label in sorted(set(labels) & set(volume.label_values)):
        zyx = (volume.labels == label).nonzero()
        name = region_name(volume.label_names.get(label, ""))
        points.setdefault(name, []).append(zyx.flip(-1).double())
    return {
        name: _Bone(len(found), transform_points(volume.ct_from_voxel, found).mean(dim=0))
        for name, found in ((name, torch.cat(parts)) for name, parts in points.items())
    }


def _of_pair(kind: str, left: _Bone, right: _Bone) -> list[str]:
    """Return the doubts about a left and a right bone; x runs to the patient's left, z upwards."""
    both = f"The labels of left-{kind} and right-{kind}"
    if left.middle_mm[0] <= right.middle_mm[0]:
        return [f"{both} look exchanged: the left one lies on the patient's right."]
    doubts = []
    across, _, higher = (left.middle_mm - right.middle_mm).abs().tolist()
    if higher > max(MOST_HIGHER_MM, MOST_HIGHER * across):
        doubts.append(f"{both} look wrong: one lies {higher:.0f} mm higher than the other.")
    larger = max(left.voxels, right.voxels) / min(left.voxels, right.voxels)
    if larger > MOST_LARGER[kind]:
        doubts.append(f"{both} look wrong: one is {larger:.1f} times as large as the other.")
    return doubts
