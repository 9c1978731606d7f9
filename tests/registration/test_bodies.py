"""Bodies of a CT: parts, pivots, joints, and how each holds on to the first."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.registration import bodies as module
from wsreg.registration.bodies import Body, level_bodies, make_bodies, whole_ct
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.bodies import Bodies
from wsreg.volumes.parts import WHOLE_CT, CtPart
from wsreg.volumes.volume import Volume

PELVIS, LEFT, RIGHT = (1, 2, 3, 4, 5, 6, 7, 8, 14), (9,), (15,)
TIES = TieConfig()
PIVOT = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


@pytest.fixture(name="ct", scope="module")
def _ct(phantom: Volume) -> PreparedCt:
    return PreparedCt(volume=phantom)


def made(ct: PreparedCt, asked: Bodies = "auto", **joints_mm: Tensor) -> tuple[Body, ...]:
    return make_bodies(ct, asked, pivot_mm=PIVOT, joints_mm=joints_mm, ties=TIES)


def test_a_pelvis_with_its_femurs(ct: PreparedCt) -> None:
    pelvis, left, right, rest = made(ct)
    assert [body.name for body in (pelvis, left, right, rest)] == [
        "pelvis", "left-femur", "right-femur", "rest",
    ]  # fmt: skip
    assert [body.labels for body in (pelvis, left, right, rest)] == [PELVIS, LEFT, RIGHT, ()]
    assert [body.tie for body in (pelvis, left, right, rest)] == [
        None,
        TIES.ball,
        TIES.ball,
        TIES.rest,
    ]
    assert pelvis.pivot_mm is PIVOT
    assert rest.pivot_mm is PIVOT
    assert rest.joint is None
    assert pelvis.joint is None
    assert left.part == CtPart(kind="bones", groups=(LEFT, PELVIS, RIGHT))
    assert rest.part == CtPart(kind="rest", groups=(PELVIS, LEFT, RIGHT))
    # The middles of the heads, as the phantom is made, of 24 mm.
    for femur, centre in ((left, (84.0, 5.0, -98.0)), (right, (-79.8, 5.0, -103.0))):
        assert femur.joint is not None
        torch.testing.assert_close(
            femur.pivot_mm, torch.tensor(centre, dtype=torch.float64), atol=0.3, rtol=0
        )
        assert femur.joint.centre_mm is femur.pivot_mm
        assert femur.joint.radius_mm == pytest.approx(24.0, abs=1.0)


def test_without_a_head_a_bone_is_held_loosely_where_it_meets_the_first(ct: PreparedCt) -> None:
    """The sacrum meets the hips flat; rib 12 and the femur are far from each other."""
    hips, sacrum, _ = made(ct, {"hips": (8, 14), "sacrum": (7,)})
    assert hips.tie is None
    assert sacrum.tie == TIES.loose
    assert sacrum.joint is not None
    assert sacrum.joint.radius_mm is None
    assert torch.equal(sacrum.pivot_mm, sacrum.joint.centre_mm)
    _, rib, _ = made(ct, {"femur": (9,), "rib": (13,)})
    assert rib.tie == TIES.loose
    assert rib.joint is None
    assert rib.pivot_mm is PIVOT


def test_a_joint_that_is_given_is_a_ball_there(ct: PreparedCt) -> None:
    centre = torch.tensor([10.0, 20.0, 30.0])
    _, left, right, _ = made(ct, "auto", **{"left-femur": centre})
    assert torch.equal(left.pivot_mm, centre.double())
    assert left.pivot_mm.dtype == torch.float64
    assert left.joint is not None
    assert left.joint.radius_mm == pytest.approx(24.0, abs=1.0)
    assert right.pivot_mm[0] < -70.0
    _, rib, _ = made(ct, {"femur": (9,), "rib": (13,)}, rib=centre)
    assert rib.tie == TIES.ball
    assert rib.joint is not None
    assert rib.joint.radius_mm is None


@pytest.mark.parametrize(
    ("name", "centre", "said"),
    [
        ("femur", [0.0, 0.0, 0.0], r"^joints_mm must be of bodies \['left-femur', 'right-femur'\]"),
        ("pelvis", [0.0, 0.0, 0.0], "got one of 'pelvis'"),
        ("rest", [0.0, 0.0, 0.0], "got one of 'rest'"),
        ("left-femur", [0.0, 0.0], r"^joints_mm of left-femur must be 3 finite numbers, got"),
        ("left-femur", [0.0, 0.0, float("nan")], "must be 3 finite numbers, got"),
    ],
)
def test_joints_that_cannot_be_are_refused(
    ct: PreparedCt, name: str, centre: list[float], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        made(ct, "auto", **{name: torch.tensor(centre)})
    with pytest.raises(InputError, match=r"^joints_mm must be of bodies \[\], got one of"):
        made(ct, None, **{name: torch.zeros(3)})


def test_a_joint_is_looked_for_once(ct: PreparedCt, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(ct)

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "find_joint", refuse)
    again = made(PreparedCt(volume=ct.volume))
    assert again[1].joint is not None
    assert first[1].joint is not None
    assert torch.equal(again[1].joint.centre_mm, first[1].joint.centre_mm)
    with pytest.raises(AssertionError):
        made(ct, {"hip": (8,), "left-femur": (9,)})  # with another bone it is another joint


def test_one_body_has_every_label_and_bones_their_own(ct: PreparedCt) -> None:
    (whole,) = made(ct, None)
    assert (whole.name, whole.part, whole.labels, whole.tie) == ("ct", WHOLE_CT, (), None)
    assert whole.has(3)
    pelvis, left, _, rest = made(ct)
    assert [pelvis.has(8), left.has(8), rest.has(8)] == [True, False, False]
    (together,) = whole_ct((pelvis, left, rest))
    assert (together.name, together.part, together.tie) == ("ct", WHOLE_CT, None)
    assert together.pivot_mm is PIVOT


def test_bodies_at_a_level_are_parts_that_add_up(ct: PreparedCt) -> None:
    bodies = made(ct)
    levels = level_bodies(bodies, ct, (16.0, 8.0), 1)
    assert all(a.pivot_mm is b.pivot_mm for a, b in zip(levels, bodies, strict=True))
    (whole,) = level_bodies(whole_ct(bodies), ct, (16.0, 8.0), 1)
    masses = [float(level.volume.volume.attenuation.double().sum()) for level in (whole, *levels)]
    assert sum(masses[1:]) == pytest.approx(masses[0], rel=1e-4)
    sizes = [level.volume.volume.hu.numel() for level in levels]
    assert all(small < sizes[3] for small in sizes[:3])
    for a, b in itertools.pairwise(levels):
        assert a.volume is not b.volume


def test_labels_by_themselves_are_a_body_amid_a_rest_that_hardly_holds_on(ct: PreparedCt) -> None:
    bone, rest = make_bodies(
        ct, None, render_labels=(9, 8), pivot_mm=PIVOT, joints_mm={}, ties=TIES
    )
    assert (bone.labels, bone.part.kind, bone.tie) == ((8, 9), "bones", None)
    assert [bone.has(label) for label in (7, 8, 9)] == [False, True, True]
    assert (rest.labels, rest.part.kind, rest.tie) == ((), "rest", TIES.around)
    assert TIES.around.rotation_rad > 10.0 * TIES.rest.rotation_rad


def test_the_papers_loop_renders_labels_alone(ct: PreparedCt) -> None:
    (alone,) = make_bodies(
        ct, None, render_labels=(9, 8), pivot_mm=PIVOT, joints_mm={}, ties=TIES, method="adam"
    )
    assert (alone.labels, alone.part.kind, alone.part.groups) == ((8, 9), "alone", ((8, 9),))


def test_a_bone_by_itself_turns_about_its_middle(ct: PreparedCt) -> None:
    """The whole CT about the CT's; where a centre is given, both about that."""
    labels, affine = ct.volume.labels, ct.volume.ct_from_voxel
    assert labels is not None
    voxels = (labels == 8).nonzero().double().mean(dim=0).flip(-1)
    expected = affine[:3, :3] @ voxels + affine[:3, 3]
    for given, of_bone, of_ct in ((None, expected, ct.volume.centre_mm), (PIVOT, PIVOT, PIVOT)):
        bone, rest = make_bodies(
            ct, None, render_labels=(8,), pivot_mm=given, joints_mm={}, ties=TIES
        )
        (whole,) = make_bodies(ct, None, pivot_mm=given, joints_mm={}, ties=TIES)
        torch.testing.assert_close(bone.pivot_mm, of_bone)
        torch.testing.assert_close(rest.pivot_mm, of_bone)
        torch.testing.assert_close(whole.pivot_mm, of_ct)
