"""Rigid parts of the CT: what moves as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.arrays import finite_numbers, in_words
from wsreg.geometry.rigid import inverse_affine, transform_points
from wsreg.registration.joints import Joint, find_joint
from wsreg.registration.ties import Tie, TieConfig
from wsreg.rendering.prepared import PreparedCt, PreparedVolume
from wsreg.vocabulary import Method
from wsreg.volumes.bodies import WHOLE, Bodies, parts_of_bodies
from wsreg.volumes.parts import WHOLE_CT, CtPart
from wsreg.volumes.volume import Volume

MOST_OUTSIDE_MM = 100.0
"""How far outside the CT a joint may lie: of a bone that it shows in part."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """A part of the CT that moves as one.

    Args:
        name: of the body.
        part: what of the CT it is.
        labels: the CT's labels that move with it; of the whole CT and of the rest none is named.
        pivot_mm: [3] float64 centre of its rotations (CT, LPS mm).
        tie: how it holds on to the first body; None for that one.
        joint: where it meets the first body, if it does.
    """

    name: str
    pivot_mm: Tensor
    part: CtPart = WHOLE_CT
    labels: tuple[int, ...] = ()
    tie: Tie | None = None
    joint: Joint | None = None

    def has(self, label: int) -> bool:
        """Return whether a label of the CT moves with this body."""
        return self.part.kind == "whole" or label in self.labels


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelBody:
    """A body at one resolution: ``volume`` attenuates where the body is, and nowhere else."""

    volume: PreparedVolume
    pivot_mm: Tensor


def bodies_for(method: Method, bodies: Bodies) -> Bodies:
    """Return the bodies that are meant: the paper's loop, Adam, moves the CT as one by default."""
    return None if method != "gauss-newton" and bodies == "auto" else bodies


def make_bodies(
    ct: PreparedCt,
    bodies: Bodies,
    *,
    render_labels: Sequence[int] = (),
    pivot_mm: Tensor | None,
    joints_mm: Mapping[str, Tensor | Sequence[float]],
    ties: TieConfig,
    method: Method = "gauss-newton",
) -> tuple[Body, ...]:
    """Return the bodies of a CT, the first one being what the others hold on to.

    Args:
        ct: the CT.
        bodies: see :data:`wsreg.volumes.bodies.Bodies`.
        render_labels: labels of bones that are registered by themselves, as one body.
        pivot_mm: [3] centre of rotation of the first body (CT, LPS mm); None for the middle of the
            CT, or of the labels to be registered.
        joints_mm: body -> [3] centre of its joint (CT, LPS mm), where it is known better than from
            the labels.
        ties: how bodies hold on to the first one.
        method: the solver; the paper's loop renders nothing but ``render_labels``.

    Raises:
        InputError: bodies that cannot be.
    """
    parts = parts_of_bodies(ct.volume, bodies, tuple(render_labels))
    if render_labels:
        ties = dataclasses.replace(ties, rest=ties.around)
        if method == "adam":
            parts = {WHOLE: CtPart(kind="alone", groups=parts[WHOLE].groups)}
    if pivot_mm is None:
        pivot_mm = middle_of(ct.volume, render_labels) if render_labels else ct.volume.centre_mm
    centres = _checked_joints(joints_mm, parts, ct.volume)
    (name, part), *others = parts.items()
    first = Body(name=name, part=part, labels=_labels(part), pivot_mm=pivot_mm)
    held = [_held(ct, name, part, first, centres.get(name), ties) for name, part in others]
    return first, *held


def middle_of(volume: Volume, labels: Sequence[int]) -> Tensor:
    """Return [3] float64 the middle of the voxels of labels (CT, LPS mm)."""
    assert volume.labels is not None
    inside = torch.isin(volume.labels, torch.tensor(tuple(labels), dtype=volume.labels.dtype))
    middle = inside.nonzero().double().mean(dim=0).flip(-1)
    return transform_points(volume.ct_from_voxel, middle[None])[0]


def _checked_joints(
    joints_mm: Mapping[str, Any], parts: Mapping[str, CtPart], volume: Volume
) -> dict[str, Tensor]:
    """Return [3] float64 the centres of joints, all of them in or near the CT."""
    bones = [name for name, part in list(parts.items())[1:] if part.kind == "bones"]
    if not isinstance(joints_mm, Mapping):
        raise InputError(f"joints_mm must name a body for each centre, got {in_words(joints_mm)}")
    centres = {}
    for name, given in joints_mm.items():
        if name not in bones:
            raise InputError(f"joints_mm must be of bodies {bones}, got one of {name!r}")
        centre = finite_numbers(given, f"joints_mm of {name}", (3,))
        away_mm = _distance_mm(centre, volume)
        if away_mm > MOST_OUTSIDE_MM:
            raise InputError(
                f"joints_mm of {name} must lie within {MOST_OUTSIDE_MM:.0f} mm of the CT, in its "
                f"LPS millimetres, got {in_words(centre)}, which is {away_mm:.0f} mm away"
            )
        centres[name] = centre
    return centres


def _distance_mm(point_mm: Tensor, volume: Volume) -> float:
    """Return how far a point [3] (LPS mm) lies outside a CT, along the axis where it is most."""
    index = transform_points(inverse_affine(volume.ct_from_voxel), point_mm[None])[0]
    size = torch.tensor(volume.hu.shape[::-1], dtype=torch.float64)
    outside = torch.maximum(-0.5 - index, index - (size - 0.5)).clamp_min(0.0)
    return float((outside * torch.tensor(volume.spacing_mm, dtype=torch.float64)).max())


def _labels(part: CtPart) -> tuple[int, ...]:
    return part.groups[0] if part.kind in ("alone", "bones") else ()


def _held(
    ct: PreparedCt, name: str, part: CtPart, first: Body, joint_mm: Tensor | None, ties: TieConfig
) -> Body:
    """Return a body that holds on to the first one."""
    if part.kind == "rest":
        return Body(name=name, part=part, pivot_mm=first.pivot_mm, tie=ties.rest)
    labels = _labels(part)
    joint = ct.keep(
        ("joint", labels, first.labels), lambda: find_joint(ct.volume, labels, first.labels)
    )
    if joint_mm is not None:
        radius_mm = None if joint is None else joint.radius_mm
        joint = Joint(centre_mm=joint_mm, radius_mm=radius_mm, given=True)
        tie = ties.ball
    else:
        tie = ties.ball if joint is not None and joint.radius_mm is not None else ties.loose
    centre = first.pivot_mm if joint is None else joint.centre_mm
    return Body(name=name, part=part, labels=labels, pivot_mm=centre, tie=tie, joint=joint)


def whole_ct(bodies: Sequence[Body]) -> tuple[Body, ...]:
    """Return the one body that all bodies of a CT are as long as they move together."""
    return (Body(name=WHOLE, pivot_mm=bodies[0].pivot_mm),)


def level_bodies(
    bodies: Sequence[Body], ct: PreparedCt, voxel_sizes_mm: tuple[float | None, ...], number: int
) -> tuple[LevelBody, ...]:
    """Return the bodies at one of the levels' voxel sizes, in the order given."""
    return tuple(
        LevelBody(
            volume=ct.levels(voxel_sizes_mm, body.part)[number],
            pivot_mm=body.pivot_mm,
        )
        for body in bodies
    )
