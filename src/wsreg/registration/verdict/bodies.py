"""What is known of where a body is that holds on to the first one, and what to make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.rigid import transform_points, twist_between
from wsreg.registration.bodies import Body
from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.result import Verdict, VerdictStatus
from wsreg.registration.verdict.config import TrustConfig
from wsreg.rendering.prepared import VOXEL_SIZES_MM

MOST_POINTS = 4000
"""Voxels of a body that are projected to tell how much of it an X-ray shows."""


@dataclass(frozen=True, kw_only=True)
class BodyEvidence:
    """What is known of a body's pose.

    Args:
        shown: fraction of the body that the view which shows most of it shows.
        rotation_deviation_deg: standard deviation, the largest of those about the camera's axes.
        turned_deg, moved_mm: against the first body, since the CT.
        strain: largest of these six movements over what the tie expects.
        joint: whether it was found where the body turns.
    """

    shown: float
    rotation_deviation_deg: float
    turned_deg: float
    moved_mm: float
    strain: float
    joint: bool

    @staticmethod
    def of(
        body: Body, first: Tensor, pose: Tensor, deviation: Tensor, shown: float
    ) -> BodyEvidence:
        """Return the evidence on a body at a pose [4,4], of the first's and its deviations [6]."""
        apart = twist_between(first, pose, body.pivot_mm)
        return BodyEvidence(
            shown=shown,
            rotation_deviation_deg=math.degrees(float(deviation[:3].max())),
            turned_deg=math.degrees(float(apart[:3].norm())),
            moved_mm=float(apart[3:].norm()),
            strain=0.0 if body.tie is None else float((apart.abs() / body.tie.deviations()).max()),
            joint=body.part.kind != "bones" or body.joint is not None,
        )


def judge_body(
    evidence: BodyEvidence, parent: str, status: VerdictStatus, config: TrustConfig
) -> Verdict:
    """Return the verdict on a body that holds on to its parent, of which the verdict is given."""
    found: list[tuple[VerdictStatus, str]] = []
    e = evidence
    if status != "pass":
        found.append((status, f"It is no better known than the {parent}, which is {status}."))
    if not e.shown >= config.shown:
        found.append(("check", f"The X-ray shows {e.shown:.0%} of it: it stays with the {parent}."))
    elif not e.rotation_deviation_deg <= config.body_rotation_deg:
        found.append(("check", "How it is turned is known only to "
                      f"{e.rotation_deviation_deg:.1f} deg (one sigma)."))  # fmt: skip
    if not e.strain <= config.strain:
        found.append(("check", f"It has turned {e.turned_deg:.0f} deg and moved "
                      f"{e.moved_mm:.1f} mm against the {parent}, more than assumed."))  # fmt: skip
    if not e.joint:
        found.append(("check", f"The labels show no joint between it and the {parent}."))
    if not found:
        reason = (f"It has turned {e.turned_deg:.1f} deg and moved {e.moved_mm:.1f} mm against the "
                  f"{parent} since the CT.")  # fmt: skip
        return Verdict(status="pass", reasons=(reason,))
    worst: VerdictStatus = "fail" if any(s == "fail" for s, _ in found) else "check"
    return Verdict(status=worst, reasons=tuple(text for _, text in found))


def shown_fraction(problem: Problem, finest: Level, body: Body, pose: Tensor) -> float:
    """Return how much of a body at a pose [4,4] the view that shows most of it shows, 0 to 1.

    It is the fraction of its attenuation that valid pixels see.
    """
    points, weight = body_points(problem, body)
    return max(
        _seen(view.camera.project(transform_points(view.camera_from_rig @ pose, points)), weight,
              view.mask)
        for view in finest.views
    )  # fmt: skip


def body_points(problem: Problem, body: Body) -> tuple[Tensor, Tensor]:
    """Return points [N,3] spread over a body (CT, LPS mm) and what attenuates there [N]."""
    coarse = problem.ct.levels(VOXEL_SIZES_MM, body.part)[0].volume
    zyx = (coarse.hu > -1000).nonzero()
    zyx = zyx[:: max(1, len(zyx) // MOST_POINTS)]
    weight = coarse.hu[tuple(zyx.T)].double() + 1000.0
    return transform_points(coarse.ct_from_voxel, zyx.flip(-1).double()), weight


def _seen(pixels: Tensor, weight: Tensor, mask: Tensor) -> float:
    """Return the fraction of weights [N] whose pixels (column, row) [N,2] are valid."""
    column, row = pixels.nan_to_num(-1.0).round().long().unbind(-1)
    rows, columns = mask.shape
    inside = (column >= 0) & (row >= 0) & (column < columns) & (row < rows)
    seen = torch.zeros_like(inside)
    seen[inside] = mask[row[inside], column[inside]]
    return float(weight[seen].sum() / weight.sum().clamp_min(1e-12))
