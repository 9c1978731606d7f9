"""Every similarity measure by its name; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from wsreg.similarity.measure import Measure
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc

MEASURES: Mapping[str, type[Measure]] = {
    measure.name: measure for measure in (GlobalNcc, LocalNcc, MultiscaleNcc)
}


def least_squares_names() -> tuple[str, ...]:
    """Return the names of the measures that Gauss-Newton takes."""
    return tuple(name for name, measure in MEASURES.items() if measure.least_squares)
