"""Rigid parts of the CT: what moves as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.registration.joints import Joint, find_joint
from wsreg.registration.ties import Tie, TieConfig
from wsreg.rendering.prepared import PreparedCt, PreparedVolume
from wsreg.volumes.bodies import WHOLE, Bodies, parts_of_bodies
from wsreg.volumes.parts import WHOLE_CT, CtPart


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
    tie: Tie | None = None


def make_bodies(
    ct: PreparedCt,
    bodies: Bodies,
    *,
    render_labels: Sequence[int] = (),
    pivot_mm: Tensor,
    joints_mm: Mapping[str, Tensor],
    ties: TieConfig,
) -> tuple[Body, ...]:
    """Return the bodies of a CT, the first one being what the others hold on to.

    Args:
        ct: the CT.
        bodies: see :data:`wsreg.volumes.bodies.Bodies`.
        render_labels: the only labels that are rendered, as one body.
        pivot_mm: [3] centre of rotation of the first body (CT, LPS mm).
        joints_mm: body -> [3] centre of its joint (CT, LPS mm), where it is known better than from
            the labels.
        ties: how bodies hold on to the first one.

    Raises:
        InputError: bodies that cannot be.
    """
    parts = parts_of_bodies(ct.volume, bodies, tuple(render_labels))
    _check_joints(joints_mm, parts)
    (name, part), *others = parts.items()
    first = Body(name=name, part=part, labels=_labels(part), pivot_mm=pivot_mm)
    held = [_held(ct, name, part, first, joints_mm.get(name), ties) for name, part in others]
    return first, *held


def _check_joints(joints_mm: Mapping[str, Tensor], parts: Mapping[str, CtPart]) -> None:
    held = list(parts)[1:]
    for name, centre in joints_mm.items():
        if name not in held or parts[name].kind != "bones":
            bones = [other for other in held if parts[other].kind == "bones"]
            raise InputError(f"joints_mm must be of bodies {bones}, got one of {name!r}")
        if centre.shape != (3,) or not bool(torch.isfinite(centre).all()):
            raise InputError(
                f"joints_mm of {name} must be three finite numbers, got {centre.tolist()}"
            )


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
        ("joint", labels, first.labels), lambda: (find_joint(ct.volume, labels, first.labels),)
    )[0]
    if joint_mm is not None:
        joint = Joint(
            centre_mm=joint_mm.double(), radius_mm=None if joint is None else joint.radius_mm
        )
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
            tie=body.tie,
        )
        for body in bodies
    )
