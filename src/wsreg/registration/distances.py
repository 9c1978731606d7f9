"""The source-to-detector distances that several X-rays of one pose would rather have.

One view hardly sees its distance: a pose nearer to the source makes up for it.  Where views cross,
one sees along its image what is depth to another, and the CT is an object of known size.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.registration.level import Level
from wsreg.registration.readings import Reading
from wsreg.registration.verdict.calibration import joint_model

STEPS = 5
"""At most so many steps on each level."""
LONGEST = 0.03
"""Largest change of a distance in one step, as a fraction."""
HALVINGS = 3
LEAST_GAIN = 3e-3
"""A step that lowers the loss by a smaller fraction is the last one on its level."""
CLEAR_GAIN, CLEAR_FRACTION, CLEAR_DEVIATIONS = 0.03, 0.01, 5.0
"""What other distances must gain, how far they must be from those given, and over their deviations,
to be worth a word: a patient who has moved between the X-rays also makes for other distances."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Distances:
    """Distances over those given, and what they come with.

    Args:
        fractions: [V] float64, of each view.
        deviations: [V] standard deviations by the noise of the images.
        state: [K,4,4] the pose that goes with them.
        loss_before, loss_after: at the finest level.
    """

    fractions: Tensor
    deviations: Tensor
    state: Tensor
    loss_before: float
    loss_after: float

    @property
    def clear(self) -> bool:
        """Return whether the X-rays would clearly rather have these distances."""
        apart = (self.fractions - 1.0).abs()
        far = (apart > CLEAR_FRACTION) & (apart > CLEAR_DEVIATIONS * self.deviations)
        return bool(far.any()) and self.loss_after < (1.0 - CLEAR_GAIN) * self.loss_before


def fitted_distances(reading: Reading, state: Tensor) -> Distances | None:
    """Return the distances that fit best, with the pose; None where a measure has no model."""
    fractions = torch.ones(len(reading.problem.views), dtype=torch.float64)
    deviations = torch.zeros_like(fractions)
    with torch.no_grad():
        before = float(reading.plain[-1].loss(state[None])[0])
        after = before
        for level in reading.plain[-2:]:
            if len(level.bodies) != len(state):
                continue
            for _ in range(STEPS):
                found = _step(level, state, fractions)
                if found is None:
                    return None
                moved, scaled, deviations, loss, gain = found
                after = loss
                state, fractions = moved, scaled
                if gain < LEAST_GAIN * loss:
                    break
    return Distances(
        fractions=fractions, deviations=deviations, state=state, loss_before=before,
        loss_after=after,
    )  # fmt: skip


def _step(
    level: Level, state: Tensor, fractions: Tensor
) -> tuple[Tensor, Tensor, Tensor, float, float] | None:
    """Return (state, fractions, deviations, loss, gain) after one step that does not climb."""
    here = with_distances(level, fractions)
    model = joint_model(here, state, here.project(state[None], derivatives=True))
    if model is None:
        return None
    size, loss = model.step.shape[-1] - len(fractions), float(here.loss(state[None])[0])
    scale = min(1.0, LONGEST / max(float(model.step[size:].abs().max()), 1e-9))
    for _ in range(HALVINGS):
        step = scale * model.step
        moved = here.move(state[None], step[None, :size])[0]
        scaled = fractions * (1.0 + step[size:])
        lower = float(with_distances(level, scaled).loss(moved[None])[0])
        if lower < loss:
            return moved, scaled, model.deviations[size:], lower, loss - lower
        scale *= 0.5
    return state, fractions, model.deviations[size:], loss, 0.0


def with_distances(level: Level, fractions: Tensor) -> Level:
    """Return a level whose cameras have distances times fractions [V]."""
    views = tuple(
        dataclasses.replace(view, camera=_scaled(view.camera, float(fraction)))
        for view, fraction in zip(level.views, fractions, strict=True)
    )
    return dataclasses.replace(level, views=views)


def _scaled(camera: Camera, fraction: float) -> Camera:
    return dataclasses.replace(
        camera, source_to_detector_mm=fraction * camera.source_to_detector_mm
    )
