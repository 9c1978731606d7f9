"""Views: the X-rays of one registration, and each at one resolution with its terms."""

from __future__ import annotations

import dataclasses
import functools
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.resample import resize_radiograph
from wsreg.registration.projection import Projection, RoiGrid
from wsreg.registration.terms.image_term import ImageTerm, image_term
from wsreg.registration.terms.network_roi_term import NetworkRoiTerm
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.terms.term import LeastSquaresTerm, Term
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.measure import PreparedMeasure

SMALLEST_SIDE_PX = 9
"""An X-ray's shorter side is not shrunk below this, the largest window of the default levels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One X-ray as it is registered.

    Args:
        radiograph: the X-ray.
        camera: its geometry.
        camera_from_rig: [4,4] float64 where the camera stands; the identity for a single X-ray.
        rois: regions of the X-ray, if any are known.
        covered: [H,W] bool, the pixels of which the CT shows all; None if it does everywhere.
    """

    radiograph: Radiograph
    camera: Camera
    camera_from_rig: Tensor
    rois: RoiTarget | None = None
    covered: Tensor | None = None

    @property
    def usable(self) -> Radiograph:
        """Return the X-ray, whose mask leaves out what the CT does not cover."""
        if self.covered is None:
            return self.radiograph
        return dataclasses.replace(self.radiograph, mask=self.radiograph.mask & self.covered)

    @property
    def coverage(self) -> float:
        """Return the fraction of the X-ray's valid pixels that the CT covers."""
        valid = float(self.radiograph.mask.sum())
        return float(self.usable.mask.sum()) / valid if valid else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelView:
    """A view at one resolution.

    Args:
        camera: geometry of ``fixed``.
        camera_from_rig: [4,4] float64.
        fixed: [H,W] attenuation, float32, and ``mask`` [H,W] bool, its valid pixels.
        measure: prepared from them.
        terms: of the view's loss.
        roi_grid: how the labels of regions are rendered, where a term reads them.
        judge: the measure that the verdict goes by, if that is another one; prepared likewise.
    """

    camera: Camera
    camera_from_rig: Tensor
    fixed: Tensor
    mask: Tensor
    measure: PreparedMeasure
    terms: tuple[Term, ...]
    roi_grid: RoiGrid | None = None
    judge: PreparedMeasure | None = None

    @property
    def roi_term(self) -> RenderedRoiTerm | NetworkRoiTerm | None:
        """Return the term of the regions of interest, where they take part."""
        for term in self.terms:
            if isinstance(term, RenderedRoiTerm | NetworkRoiTerm):
                return term
        return None

    @property
    def reads_image(self) -> bool:
        """Return whether any term needs the rendered image."""
        return any(term.reads_image for term in self.terms)

    def with_terms(self, *terms: Term) -> LevelView:
        """Return the same view with other terms."""
        return dataclasses.replace(self, terms=terms)

    def as_judged(self) -> LevelView:
        """Return the same view compared by the measure that the verdict goes by."""
        if self.judge is None:
            return self
        terms = (
            image_term(self.judge) if isinstance(term, ImageTerm) else term for term in self.terms
        )
        return dataclasses.replace(self, measure=self.judge, terms=tuple(terms), judge=None)

    def loss(self, projection: Projection) -> Tensor:
        """Return [B] the sum of the terms; differentiable."""
        return torch.stack([term.loss(projection) for term in self.terms]).sum(dim=0)

    def linearize(self, projection: Projection) -> QuadraticModel:
        """Return the model of the sum of the terms, all of which must be least squares."""
        models = []
        for term in self.terms:
            if not isinstance(term, LeastSquaresTerm):
                raise InputError(f"terms must have a least-squares form, {term} has none")
            models.append(term.linearize(projection))
        return functools.reduce(operator.add, models)


def shrunk(view: View, longer_side_px: int) -> Radiograph:
    """Return the radiograph with its longer side at so many pixels, or as it is if smaller.

    No side is under ``SMALLEST_SIDE_PX``.
    """
    camera = view.camera
    scale = min(1.0, longer_side_px / max(camera.rows, camera.columns))
    rows = max(SMALLEST_SIDE_PX, round(camera.rows * scale))
    columns = max(SMALLEST_SIDE_PX, round(camera.columns * scale))
    return resize_radiograph(view.usable, camera, rows, columns)
