"""Labels that look wrong are named; those that lie as bones do, or that no body has, are not."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from wsreg.registration.bodies import make_bodies
from wsreg.registration.label_doubts import label_doubts
from wsreg.registration.register import _doubts
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.bodies import Bodies
from wsreg.volumes.volume import Volume

VOXEL_MM = 6.0
HIPS = {"left-hemipelvis": (40, 10), "right-hemipelvis": (10, 10)}
NO_HEAD = "The labels of {} show no round head in the pelvis: where it turns is not known."


def ct_with(places: Mapping[str, tuple[int, int]], size: int = 3) -> PreparedCt:
    """Cubes of bone around voxels (x, z); x runs to the patient's left."""
    labels = torch.zeros(60, 7, 60, dtype=torch.uint8)
    for label, (x, z) in enumerate(places.values(), start=1):
        half = size // 2
        labels[z - half : z + half + 1, 2:5, x - half : x + half + 1] = label
    return PreparedCt(
        volume=Volume(
            hu=torch.where(labels > 0, 1000, 0).to(torch.int16),
            ct_from_voxel=torch.diag(torch.tensor([VOXEL_MM] * 3 + [1.0], dtype=torch.float64)),
            labels=labels,
            label_names=dict(enumerate(places, start=1)),
        )
    )


def doubts(
    places: Mapping[str, tuple[int, int]],
    bodies: Bodies,
    joints_mm: Mapping[str, tuple[float, float, float]] | None = None,
) -> tuple[str, ...]:
    ct = ct_with(places)
    pivot = ct.volume.centre_mm
    found = make_bodies(ct, bodies, pivot_mm=pivot, joints_mm=joints_mm or {}, ties=TieConfig())
    return label_doubts(ct, found)


def test_bones_on_their_sides_are_not_doubted() -> None:
    assert doubts(HIPS, {"pelvis": tuple(HIPS)}) == ()


def test_exchanged_sides_are_named() -> None:
    exchanged = {"left-hemipelvis": (10, 10), "right-hemipelvis": (40, 10)}
    (said,) = doubts(exchanged, {"pelvis": tuple(HIPS)})
    assert said.startswith("The labels of left-hemipelvis and right-hemipelvis look exchanged:")


def test_a_bone_of_a_pair_that_lies_much_higher_is_named() -> None:
    """30 voxels are 180 mm from left to right, of which 0.8 are 144 mm, or 24 voxels."""
    for higher, expected in ((10, False), (23, False), (25, True)):
        said = doubts({**HIPS, "left-hemipelvis": (40, 10 + higher)}, {"pelvis": tuple(HIPS)})
        if not expected:
            assert said == (), "so far it may be how the patient lies"
        else:
            assert said == (
                "The labels of left-hemipelvis and right-hemipelvis look wrong: one lies 150 mm "
                "higher than the other.",
            )


def test_a_bone_beside_the_other_may_lie_60_mm_higher() -> None:
    """6 voxels apart; 60 mm are 10 voxels."""
    for higher, expected in ((9, 0), (11, 1)):
        places = {**HIPS, "left-hemipelvis": (16, 10 + higher)}
        assert len(doubts(places, {"pelvis": tuple(HIPS)})) == expected


def test_labels_that_no_body_has_are_not_looked_at() -> None:
    places = {**HIPS, "left-femur": (10, 40), "right-femur": (40, 40), "skull": (25, 50)}
    assert doubts(places, {"pelvis": tuple(HIPS), "head": ("skull",)}) == ()
    with_femurs = {"pelvis": tuple(HIPS), "legs": ("left-femur", "right-femur")}
    (said,) = doubts(places, with_femurs)
    assert "left-femur and right-femur look exchanged" in said


def test_a_femur_without_a_head_is_named_unless_it_is_given_where_it_turns() -> None:
    places = {**HIPS, "left-femur": (45, 40)}
    bodies = {"pelvis": tuple(HIPS), "left-femur": ("left-femur",)}
    assert doubts(places, bodies) == (NO_HEAD.format("left-femur"),)
    assert doubts(places, bodies, {"left-femur": (240.0, 18.0, 120.0)}) == ()


def test_one_body_has_no_doubts() -> None:
    exchanged = {"left-hemipelvis": (10, 10), "right-hemipelvis": (40, 10)}
    assert doubts(exchanged, None) == ()


def test_a_registration_does_not_take_doubts_for_those_of_other_joints() -> None:
    """They are kept with the CT: with and without a joint that is given, in either order."""
    places = {**HIPS, "left-femur": (51, 10)}  # it meets the hip, with a flat side
    bodies = {"pelvis": tuple(HIPS), "left-femur": ("left-femur",)}
    labels_alone: dict[str, tuple[float, float, float]] = {}
    given = {"left-femur": (276.0, 18.0, 60.0)}
    for order in ((labels_alone, given), (given, labels_alone)):
        ct, said = ct_with(places, size=11), {}
        for joints_mm in order:
            found = make_bodies(
                ct, bodies, pivot_mm=ct.volume.centre_mm, joints_mm=joints_mm, ties=TieConfig()
            )
            said[bool(joints_mm)] = _doubts(ct, found)
        assert said == {False: (NO_HEAD.format("left-femur"),), True: ()}
