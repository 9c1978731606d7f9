"""Bodies of a CT and where they turn: from the labels, or as it is given."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.registration.bodies import Body, make_bodies
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.volume import Volume

TIES = TieConfig()
JOINT_MM = (60.0, -10.0, 20.0)


@pytest.fixture(name="ct", scope="module")
def _ct() -> PreparedCt:
    """Two bones that meet nowhere, in a box from (-2.5, -52.5, -2.5) to (97.5, 47.5, 97.5) mm."""
    labels = torch.zeros(20, 20, 20, dtype=torch.uint8)
    labels[2:8, 2:8, 2:8], labels[12:18, 12:18, 12:18] = 1, 2
    hu = torch.where(labels > 0, 1000, 0).to(torch.int16)
    affine = torch.diag(torch.tensor([5.0, 5.0, 5.0, 1.0], dtype=torch.float64))
    affine[1, 3] = -50.0
    names = {1: "hip_left", 2: "femur_left"}
    return PreparedCt(volume=Volume(hu=hu, ct_from_voxel=affine, labels=labels, label_names=names))


def bodies_with(ct: PreparedCt, joints_mm: Any) -> tuple[Body, ...]:
    bodies = {"pelvis": (1,), "left-femur": (2,)}
    return make_bodies(ct, bodies, pivot_mm=ct.volume.centre_mm, joints_mm=joints_mm, ties=TIES)


def test_bones_that_meet_nowhere_are_loose_about_the_pivot(ct: PreparedCt) -> None:
    pelvis, femur, rest = bodies_with(ct, {})
    assert (pelvis.name, femur.name, rest.name) == ("pelvis", "left-femur", "rest")
    assert (pelvis.tie, femur.tie, rest.tie) == (None, TIES.loose, TIES.rest)
    assert femur.joint is None
    assert torch.equal(femur.pivot_mm, ct.volume.centre_mm)


@pytest.mark.parametrize(
    "joint", [JOINT_MM, list(JOINT_MM), np.array(JOINT_MM), torch.tensor(JOINT_MM)]
)
def test_a_joint_that_is_given_is_where_a_bone_turns(ct: PreparedCt, joint: Any) -> None:
    _, femur, _ = bodies_with(ct, {"left-femur": joint})
    assert torch.equal(femur.pivot_mm, torch.tensor(JOINT_MM, dtype=torch.float64))
    assert femur.tie == TIES.ball
    assert femur.joint is not None
    assert femur.joint.given


def test_a_joint_may_lie_a_little_outside_the_ct(ct: PreparedCt) -> None:
    _, femur, _ = bodies_with(ct, {"left-femur": (0.0, 0.0, -102.0)})
    assert femur.pivot_mm[2] == -102.0


@pytest.mark.parametrize(
    ("joints_mm", "said"),
    [
        ({"left-femur": (0.0, 0.0, -103.0)}, "must lie within 100 mm of the CT, .*, which is 100 "),
        ({"left-femur": (60.0, -500.0, 20.0)}, r"got \[60.0, -500.0, 20.0\], which is 448 mm away"),
        ({"left-femur": (1.0, 2.0)}, r"joints_mm of left-femur must be 3 finite numbers, got \(1"),
        ({"left-femur": None}, "joints_mm of left-femur must be 3 finite numbers, got None"),
        ({"left-femur": ("1", "2", "3")}, "joints_mm of left-femur must be 3 finite numbers"),
        ({"left-femur": (1.0, 2.0, float("nan"))}, "joints_mm of left-femur must be 3 finite"),
        (
            {"pelvis": JOINT_MM},
            r"^joints_mm must be of bodies \['left-femur'\], got one of 'pel",
        ),
        ({"rest": JOINT_MM}, r"joints_mm must be of bodies \['left-femur'\], got one of 'rest'"),
        (JOINT_MM, r"joints_mm must name a body for each centre, got \(60.0"),
    ],
)
def test_joints_that_cannot_be_are_one_sentence(ct: PreparedCt, joints_mm: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        bodies_with(ct, joints_mm)
    assert "\n" not in str(error.value)


def test_the_distance_to_an_oblique_ct_is_along_its_own_axes() -> None:
    """A CT turned by a quarter about z, 10 voxels of 10 mm: x of the patient is its rows."""
    affine: Tensor = torch.tensor(
        [[0, -10, 0, 0], [10, 0, 0, 0], [0, 0, 10, 0], [0, 0, 0, 1]], dtype=torch.float64
    )
    labels = torch.zeros(10, 10, 10, dtype=torch.uint8)
    labels[:2], labels[5:7] = 1, 2
    ct = PreparedCt(
        volume=Volume(
            hu=torch.where(labels > 0, 1000, 0).to(torch.int16), ct_from_voxel=affine, labels=labels
        )
    )
    for x_mm, away_mm in ((-195.0, None), (-205.0, 110), (105.0, None), (115.0, 110)):
        joints = {"left-femur": (x_mm, 50.0, 50.0)}
        if away_mm is None:
            assert bodies_with(ct, joints)[1].pivot_mm[0] == x_mm
            continue
        with pytest.raises(InputError, match=re.escape(f"which is {away_mm} mm away")):
            bodies_with(ct, joints)
