"""A state at the finest level, projected once; everything that is known of it is read from that."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.registration.level import Level
from wsreg.registration.projection import Projection
from wsreg.registration.terms.image_term import image_term
from wsreg.registration.terms.term import LeastSquaresTerm
from wsreg.registration.verdict.gradient_agreement import gradient_agreement


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A state at the finest level.

    Args:
        level: the finest level, of V views.
        state: [K,4,4].
        projections: of the state (a batch of 1), one for each view.
    """

    level: Level
    state: Tensor
    projections: tuple[Projection, ...]

    def as_judged(self) -> Evaluation:
        """Return the same, compared by the measure that the verdict goes by."""
        return dataclasses.replace(self, level=self.level.as_judged())

    @cached_property
    def loss(self) -> float:
        """Return what is minimised."""
        views = zip(self.level.views, self.projections, strict=True)
        loss = torch.stack([view.loss(seen) for view, seen in views]).sum(dim=0)
        ties = self.level.ties
        return float(loss[0] if ties is None else ties.loss(loss, self.state[None])[0])

    @cached_property
    def similarities(self) -> tuple[float, ...]:
        """Return each view's similarity; 1 is a perfect match."""
        views = zip(self.level.views, self.projections, strict=True)
        return tuple(float(view.measure.similarity(seen.image)[0]) for view, seen in views)

    @cached_property
    def similarity(self) -> float:
        """Return the similarity of the view where it is lowest."""
        return min(self.similarities)

    @cached_property
    def gradient_agreements(self) -> tuple[float, ...]:
        """Return the agreement of image gradients in each view."""
        views = zip(self.level.views, self.projections, strict=True)
        return tuple(
            gradient_agreement(view.fixed, view.mask, seen.image[0]) for view, seen in views
        )

    @cached_property
    def overlaps(self) -> tuple[float, ...]:
        """Return the fraction of each view's valid image that the CT covers."""
        views = zip(self.level.views, self.projections, strict=True)
        return tuple(
            float((seen.image[0] > 0)[view.mask].float().mean()) if view.mask.any() else 0.0
            for view, seen in views
        )

    def roi_dice(self) -> dict[str, float]:
        """Return the Dice of each region that takes part, by name; the lowest of several views."""
        lowest: dict[str, float] = {}
        for view, seen in zip(self.level.views, self.projections, strict=True):
            if view.roi_term is not None:
                values = view.roi_term.dice(seen)[0].tolist()
                for name, dice in zip(view.roi_term.regions.names, values, strict=True):
                    lowest[name] = min(dice, lowest.get(name, dice))
        return lowest

    def image_model(self) -> QuadraticModel | None:
        """Return the model of the images alone, a mean over views.

        It is None where a view's measure has no such form.  The projections must have derivatives.
        """
        terms = [image_term(view.measure) for view in self.level.views]
        found = [[term] for term in terms if isinstance(term, LeastSquaresTerm)]
        return self._mean_model(found) if len(found) == len(terms) else None

    def model(self) -> QuadraticModel | None:
        """Return the model of all least-squares terms, a mean over views; None if there is none."""
        terms = [
            [term for term in view.terms if isinstance(term, LeastSquaresTerm)]
            for view in self.level.views
        ]
        return self._mean_model(terms)

    def _mean_model(self, terms: Sequence[Sequence[LeastSquaresTerm]]) -> QuadraticModel | None:
        """Return the model of terms of each view, with what ties the bodies; a mean over views."""
        models = [
            term.linearize(seen)
            for of_view, seen in zip(terms, self.projections, strict=True)
            for term in of_view
        ]
        if not models:
            return None
        model, ties = functools.reduce(operator.add, models), self.level.ties
        if ties is not None:
            model = ties.linearize(model, self.state[None])
        return model.scaled(1.0 / len(self.projections))[0]


def evaluate(level: Level, state: Tensor, *, derivatives: bool) -> Evaluation:
    """Return one state [K,4,4] as the level shows it, with derivatives if they are wanted."""
    with torch.no_grad():
        projections = level.project(state.detach()[None], derivatives=derivatives)
    return Evaluation(level=level, state=state.detach(), projections=projections)
