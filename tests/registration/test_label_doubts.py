"""Labels that look wrong: exchanged, too high, too large, femurs without a head; each by itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from wsreg.registration.bodies import Body, make_bodies
from wsreg.registration.joints import Joint
from wsreg.registration.label_doubts import label_doubts
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.parts import CtPart
from wsreg.volumes.volume import Volume

NAMES = {1: "hip_left", 2: "hip_right", 3: "femur_left", 4: "femur_right", 5: "sacrum"}
CENTRE = torch.zeros(3, dtype=torch.float64)
Box = tuple[slice, slice, slice]


def ct_of(**boxes: Box) -> PreparedCt:
    """A CT of 6 mm voxels (x to the left, z upwards) with boxes [z,y,x] by the name of a label."""
    labels = torch.zeros((60, 20, 40), dtype=torch.uint8)
    values = {name: value for value, name in NAMES.items()}
    for name, box in boxes.items():
        labels[box] = values[name]
    affine = torch.diag(torch.tensor([6.0, 6.0, 6.0, 1.0], dtype=torch.float64))
    hu = torch.where(labels > 0, 1000, 0).to(torch.int16)
    return PreparedCt(volume=Volume(hu=hu, ct_from_voxel=affine, labels=labels, label_names=NAMES))


def box(x: int, z: int, size: int = 5) -> Box:
    """A cube of so many voxels that begins at x and z."""
    return slice(z, z + size), slice(5, 5 + size), slice(x, x + size)


GOOD = {
    "hip_right": box(5, 30),
    "hip_left": box(25, 31),
    "femur_right": box(5, 10),
    "femur_left": box(25, 10),
}


def bodies(radius_mm: float | None = 24.0, *, joint: bool = True) -> tuple[Body, ...]:
    """The pelvis and its left femur."""
    found = Joint(centre_mm=CENTRE, radius_mm=radius_mm) if joint else None
    femur = CtPart(kind="bones", groups=((3,),))
    return (
        Body(name="pelvis", pivot_mm=CENTRE, labels=(1, 2, 4, 5)),
        Body(name="left-femur", pivot_mm=CENTRE, part=femur, labels=(3,), joint=found),
    )


def test_right_labels_are_not_doubted() -> None:
    assert label_doubts(ct_of(**GOOD), bodies()) == ()


def test_of_one_body_nothing_is_asked() -> None:
    wrong = ct_of(hip_left=GOOD["hip_right"], hip_right=GOOD["hip_left"])
    assert label_doubts(wrong, bodies()[:1]) == ()


@pytest.mark.parametrize(("kind", "name"), [("hip", "hemipelvis"), ("femur", "femur")])
def test_left_and_right_exchanged(kind: str, name: str) -> None:
    """Which is all that is said of this pair."""
    left, right = f"{kind}_left", f"{kind}_right"
    wrong = {**GOOD, left: GOOD[right], right: GOOD[left]}
    assert label_doubts(ct_of(**wrong), bodies()) == (
        f"The labels of left-{name} and right-{name} look exchanged: the left one lies on the "
        "patient's right.",
    )


@pytest.mark.parametrize(("higher", "doubted"), [(15, False), (-15, False), (17, True)])
def test_one_much_higher_than_the_other(higher: int, doubted: bool) -> None:
    """They are 120 mm apart: a patient who lies turned by 0.8 of that is not doubted."""
    wrong = {**GOOD, "hip_left": box(25, 30 + higher)}
    said = "The labels of left-hemipelvis and right-hemipelvis look wrong: one lies 102 mm higher"
    assert label_doubts(ct_of(**wrong), bodies()) == (
        (f"{said} than the other.",) if doubted else ()
    )


@pytest.mark.parametrize(
    ("kind", "name", "size", "times"),
    [
        ("hip", "hemipelvis", 6, "1.7"),  # 216 of 125 voxels
        ("hip", "hemipelvis", 4, "2.0"),  # 125 of 64
        ("femur", "femur", 7, None),  # 343 of 125: a CT may end within one
        ("femur", "femur", 8, "4.1"),
    ],
)
def test_one_much_larger_than_the_other(kind: str, name: str, size: int, times: str | None) -> None:
    wrong = {**GOOD, f"{kind}_right": box(5, 30 if kind == "hip" else 10, size)}
    said = f"The labels of left-{name} and right-{name} look wrong: one is {times} times as large"
    assert label_doubts(ct_of(**wrong), bodies()) == ((f"{said} as the other.",) if times else ())


def test_a_femur_must_have_a_head_in_the_pelvis() -> None:
    said = (
        "The labels of left-femur show no round head in the pelvis: where it turns is not known.",
    )
    ct = ct_of(**GOOD)
    assert label_doubts(ct, bodies(None)) == said
    assert label_doubts(ct, bodies(joint=False)) == said
    pelvis, femur = bodies(joint=False)
    for other in (
        dataclasses.replace(femur, name="sacrum"),
        dataclasses.replace(femur, part=CtPart(kind="rest", groups=((3,),))),
    ):
        assert label_doubts(ct, (pelvis, other)) == ()


def test_a_bone_without_its_partner_is_not_doubted() -> None:
    assert label_doubts(ct_of(hip_left=GOOD["hip_right"]), bodies()) == ()


def test_parts_of_a_bone_are_taken_together(phantom: Volume) -> None:
    """DeepFluoro's names and TotalSegmentator's alike; the phantom's labels are right."""
    ct = PreparedCt(volume=phantom)
    parts = make_bodies(ct, "pelvis", pivot_mm=phantom.centre_mm, joints_mm={}, ties=TieConfig())
    assert label_doubts(ct, parts) == ()
    names = dict(phantom.label_names)
    names[8], names[14] = "right-hemipelvis", "left-hemipelvis"
    renamed = PreparedCt(volume=dataclasses.replace(phantom, label_names=names))
    (doubt,) = label_doubts(renamed, parts)
    assert "left-hemipelvis and right-hemipelvis look exchanged" in doubt
