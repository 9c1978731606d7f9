"""Whether an answer is a sharp minimum: wrong ones mostly lie on a plain, where little changes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.projection import project
from wsreg.registration.states import moved_together, with_bodies

PROBES = (math.radians(2.0),) * 3 + (3.0, 3.0, 15.0)
"""How far away the loss is looked at along each pose parameter (rad, mm), in both directions."""


def middle(levels: Sequence[Level]) -> Level:
    """Return the level before the finest, on which steepness is measured; or the only one."""
    return levels[-2:][0]


def steepness(level: Level, state: Tensor) -> float:
    """Return the smallest rise of the images' loss beside a state [K,4,4], a mean over the views.

    All bodies move together, 2 degrees about, 3 mm across or 15 mm along the rig's axes, by the
    first body's pivot.  It is below 0 where one of these poses fits better than the state, and NaN
    where one of them cannot be compared.

    Args:
        level: where the images are compared; one of a middle resolution is quick and smooth.  If
            it has one body, that stands for all of the state's.
        state: the answer.
    """
    losses = losses_beside(level, state)
    return float((losses[1:] - losses[0]).min())


def losses_beside(level: Level, state: Tensor) -> Tensor:
    """Return [13] float64 the images' losses, means over the views, at a state and beside it."""
    probes = torch.diag(torch.tensor(PROBES, dtype=torch.float64))
    steps = torch.cat((torch.zeros((1, len(PROBES)), dtype=torch.float64), probes, -probes))
    here = with_bodies(state.detach(), len(level.bodies))
    return image_losses(level, moved_together(here, steps, level.bodies[0].pivot_mm))


def image_losses(level: Level, states: Tensor) -> Tensor:
    """Return [N] float64 the images' losses of states [N,K,4,4], means over the views."""
    with torch.no_grad():
        losses = [
            view.measure.loss(
                project(
                    level.bodies, view.camera, view.camera_from_rig, states, backend=level.backend
                ).image
            )
            for view in level.views
        ]
    return torch.stack(losses).double().mean(dim=0)
