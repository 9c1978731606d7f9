"""NCC of image gradients: edges count, wide shades such as scatter hardly do.

The mean of the global NCC of both derivatives (gradient correlation: Penney et al., "A comparison
of similarity measures for use in 2-D-3-D medical image registration", 1998).  Derivatives are
Sobel's, as there: they need one pixel around them, where a Gaussian's would take several from
every edge of a collimated field; images are shrunk, so noise is averaged as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.masks import check_mask
from wsreg.similarity.window_ncc import (
    WindowConfig,
    Windows,
    linearize_window_loss,
    prepare_windows,
    window_loss,
    window_similarity,
)


def sobel(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives [...,H-2,W-2] of images [...,H,W] along columns and along rows."""
    across = images[..., 2:] - images[..., :-2]
    down = images[..., 2:, :] - images[..., :-2, :]
    along_columns = 0.125 * (across[..., :-2, :] + 2.0 * across[..., 1:-1, :] + across[..., 2:, :])
    along_rows = 0.125 * (down[..., :-2] + 2.0 * down[..., 1:-1] + down[..., 2:])
    return along_columns, along_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedGradientNcc:
    """A fixed image prepared for gradient NCC: its derivatives along columns and along rows."""

    windows: tuple[Windows, Windows]

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] one less the mean NCC of moving images [B,H,W]; differentiable."""
        x, y = map(window_loss, self.windows, sobel(moving))
        return 0.5 * (x + y)

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] the mean NCC of both derivatives: 1 for a perfect match."""
        x, y = map(window_similarity, self.windows, sobel(moving))
        return 0.5 * (x + y)

    def linearize(self, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the loss of moving images [B,H,W] with jacobian [B,H,W,P]."""
        columns = [slopes.movedim(-3, -1) for slopes in sobel(jacobian.movedim(-1, -3))]
        x, y = map(linearize_window_loss, self.windows, sobel(moving), columns)
        return (x + y).scaled(0.5)


@dataclass(frozen=True, kw_only=True)
class GradientNcc:
    """NCC of the images' gradients."""

    name: ClassVar[str] = "gradient-ncc"
    least_squares: ClassVar[bool] = True

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedGradientNcc:
        """Prepare a fixed image [H,W] under a mask [H,W], of which whole 3 x 3 pixels count.

        Raises:
            InputError: for a mask that does not fit, is empty, or has no such part.
        """
        check_mask(fixed, mask)
        if min(fixed.shape) >= 3:
            whole = mask.bool().unfold(0, 3, 1).unfold(1, 3, 1).flatten(-2).all(dim=-1)
            if bool(whole.any()):
                x, y = (prepare_windows(d, whole, None, WindowConfig()) for d in sobel(fixed))
                return PreparedGradientNcc(windows=(x, y))
        raise InputError("mask must leave 3 x 3 pixels together for gradient-ncc, it leaves none")
