"""Regions of interest lead where the image alone is lost, and what they find the image judges.

Masks may be wrong: holes, neighbours exchanged, of another X-ray.  A descent on image and regions
together is pulled towards them, so where the image alone finds an answer that looks right, that is
the answer; regions then say at most that they disagree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from wsreg.registration.level import Level
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.views import LevelView

NO_WEIGHT = RoiConfig(dice_weight=0.0, distance_weight=0.0)


def have_regions(levels: Sequence[Level]) -> bool:
    """Return whether regions of interest take part."""
    return any(view.roi_term is not None for level in levels for view in level.views)


def by_image(levels: Sequence[Level]) -> list[Level]:
    """Return the levels without regions; those that have none as they are."""
    return [
        level if not have_regions([level])
        else dataclasses.replace(level, views=tuple(map(_image_only, level.views)))
        for level in levels
    ]  # fmt: skip


def weightless(levels: Sequence[Level]) -> list[Level]:
    """Return the levels with rendered regions that are looked at and weigh nothing."""
    return weighted(levels, NO_WEIGHT)


def weighted(levels: Sequence[Level], config: RoiConfig) -> list[Level]:
    """Return the levels with other weights of their rendered regions."""
    return [
        dataclasses.replace(level, views=tuple(_with_weights(view, config) for view in level.views))
        for level in levels
    ]


def _image_only(view: LevelView) -> LevelView:
    kept = tuple(term for term in view.terms if term is not view.roi_term)
    return dataclasses.replace(view, terms=kept, roi_grid=None)


def _with_weights(view: LevelView, config: RoiConfig) -> LevelView:
    return view.with_terms(
        *(
            dataclasses.replace(term, config=config) if isinstance(term, RenderedRoiTerm) else term
            for term in view.terms
        )
    )
