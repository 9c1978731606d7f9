"""The problem at one resolution: states in, loss and derivatives out."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.geometry.rigid import perturb
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.bodies import LevelBody
from wsreg.registration.projection import Projection, project
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.terms.term import LeastSquaresTerm
from wsreg.registration.ties import Ties
from wsreg.registration.views import LevelView
from wsreg.vocabulary import Backend


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """K bodies and V views at one resolution.

    A state is [K,4,4], the poses ``rig_from_body``; its parameters are the six of
    :func:`wsreg.geometry.rigid.perturb` for each body, about the rig's axes and the body's pivot.

    Args:
        bodies: what moves.
        views: what it is seen in; the loss is the sum over them.
        backend: renderer.
        ties: what holds the bodies together, if there are several.
        number: of the level, coarse to fine, from 0.
    """

    bodies: tuple[LevelBody, ...]
    views: tuple[LevelView, ...]
    backend: Backend
    ties: Ties | None = None
    number: int = 0

    @property
    def least_squares(self) -> bool:
        """Return whether every term has a least-squares form, as ``linearize`` needs it."""
        terms = (term for view in self.views for term in view.terms)
        return all(isinstance(term, LeastSquaresTerm) for term in terms)

    def project(self, states: Tensor, *, derivatives: bool = False) -> tuple[Projection, ...]:
        """Return each view's projection of states [B,K,4,4], with what its terms read."""
        return tuple(
            project(
                self.bodies, view.camera, view.camera_from_rig, states,
                image=view.reads_image, rois=view.roi_grid,
                derivatives=derivatives, backend=self.backend,
            )
            for view in self.views
        )  # fmt: skip

    def loss(self, states: Tensor) -> Tensor:
        """Return [B] losses of states [B,K,4,4]; differentiable to them."""
        losses = [view.loss(seen) for view, seen in self._seen(states, derivatives=False)]
        loss = torch.stack(losses).sum(dim=0)
        return loss if self.ties is None else self.ties.loss(loss, states)

    def linearize(self, states: Tensor) -> QuadraticModel:
        """Return the model of the loss at states [B,K,4,4] in their 6 K parameters."""
        models = [view.linearize(seen) for view, seen in self._seen(states, derivatives=True)]
        model = functools.reduce(operator.add, models)
        return model if self.ties is None else self.ties.linearize(model, states)

    def _seen(self, states: Tensor, *, derivatives: bool) -> Iterator[tuple[LevelView, Projection]]:
        return zip(self.views, self.project(states, derivatives=derivatives), strict=True)

    def as_judged(self) -> Level:
        """Return the level compared by the measure that the verdict goes by."""
        return dataclasses.replace(self, views=tuple(view.as_judged() for view in self.views))

    def with_rois_alone(self, config: RoiConfig) -> Level | None:
        """Return the level with rendered regions as its only terms; None where there are none."""
        terms = [view.roi_term for view in self.views]
        chosen = [
            view.with_terms(dataclasses.replace(term, config=config))
            for view, term in zip(self.views, terms, strict=True)
            if isinstance(term, RenderedRoiTerm)
        ]
        return dataclasses.replace(self, views=tuple(chosen)) if chosen else None

    def move(self, states: Tensor, steps: Tensor) -> Tensor:
        """Return states [...,K,4,4] moved by steps [...,6K]."""
        each = steps.reshape(*steps.shape[:-1], -1, 6)
        moved = [
            perturb(states[..., number, :, :], each[..., number, :], body.pivot_mm)
            for number, body in enumerate(self.bodies)
        ]
        return torch.stack(moved, dim=-3)
