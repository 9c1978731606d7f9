"""Every similarity measure by its name; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from wsreg.similarity.gradient_ncc import GradientNcc
from wsreg.similarity.mae import Mae
from wsreg.similarity.measure import Measure
from wsreg.similarity.mse import Mse
from wsreg.similarity.mutual_information import MutualInformation
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc
from wsreg.similarity.psnr import Psnr
from wsreg.similarity.ssim import Ssim

MEASURES: Mapping[str, type[Measure]] = {
    measure.name: measure
    for measure in (
        GlobalNcc, LocalNcc, MultiscaleNcc, GradientNcc, Mse, Mae, Psnr, Ssim, MutualInformation,
    )
}  # fmt: skip


def least_squares_names() -> tuple[str, ...]:
    """Return the names of the measures that Gauss-Newton takes."""
    return tuple(name for name, measure in MEASURES.items() if measure.least_squares)
