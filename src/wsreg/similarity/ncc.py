"""Normalised cross-correlation as a measure: of whole images, in windows, or both.

Paper, section 2.3: L_mNCC is half local, half global.  How windows are compared, and why there is
no bias, is told in :mod:`wsreg.similarity.window_ncc`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.similarity.window_ncc import (
    WindowConfig,
    Windows,
    linearize_window_loss,
    prepare_windows,
    window_loss,
    window_similarity,
)

STRIDES_PER_WINDOW = 3
"""Windows overlap: they are this many strides wide."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedNcc:
    """A fixed image prepared for NCC; ``terms`` are (weight, windows), weights sum to 1."""

    terms: tuple[tuple[float, Windows], ...]

    def loss(self, moving: Tensor) -> Tensor:
        """Return [B] weighted means of robust 1 - NCC of moving images [B,H,W]; differentiable."""
        return torch.stack([w * window_loss(windows, moving) for w, windows in self.terms]).sum(0)

    def similarity(self, moving: Tensor) -> Tensor:
        """Return [B] weighted mean NCC of moving images [B,H,W]: 1 for a perfect match."""
        parts = [w * window_similarity(windows, moving) for w, windows in self.terms]
        return torch.stack(parts).sum(dim=0)

    def linearize(self, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
        """Return the model of the loss of moving images [B,H,W] with jacobian [B,H,W,P]."""
        (weight, windows), *others = self.terms
        total = linearize_window_loss(windows, moving, jacobian).scaled(weight)
        for weight, windows in others:
            total = total + linearize_window_loss(windows, moving, jacobian).scaled(weight)
        return total


@dataclass(frozen=True, kw_only=True)
class GlobalNcc:
    """NCC of the whole images."""

    name: ClassVar[str] = "global-ncc"
    least_squares: ClassVar[bool] = True

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedNcc:
        """Prepare a fixed image [H,W] under a mask [H,W]."""
        return PreparedNcc(terms=((1.0, prepare_windows(fixed, mask, None, WindowConfig())),))


@dataclass(frozen=True, kw_only=True)
class LocalNcc:
    """NCC in sliding windows.

    Args:
        windows_px: sides of the windows; each size counts the same.
        windows: how they are compared.

    Raises:
        InputError: no window, or one that is not a whole number of at least 2 pixels.
    """

    name: ClassVar[str] = "local-ncc"
    least_squares: ClassVar[bool] = True

    windows_px: tuple[int, ...] = (9,)
    windows: WindowConfig = field(default_factory=WindowConfig)

    def __post_init__(self) -> None:
        sizes = self.windows_px
        if not isinstance(sizes, tuple) or not sizes:
            raise InputError(f"windows_px must be a tuple of at least one size, got {sizes!r}")
        if not all(isinstance(size, int) and size >= 2 for size in sizes):
            raise InputError(f"windows_px must be whole numbers of at least 2 pixels, got {sizes}")

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedNcc:
        """Prepare a fixed image [H,W] under a mask [H,W]; windows must fit into the image."""
        weight = 1.0 / len(self.windows_px)
        return PreparedNcc(
            terms=tuple(
                (
                    weight,
                    prepare_windows(
                        fixed, mask, size, self.windows, max(1, size // STRIDES_PER_WINDOW)
                    ),
                )
                for size in self.windows_px
            )
        )


@dataclass(frozen=True, kw_only=True)
class MultiscaleNcc(LocalNcc):
    """The weighted mean of global NCC and of NCC in sliding windows.

    Args:
        windows_px, windows: as for :class:`LocalNcc`.
        global_weight: fraction of the global NCC; the windows have the rest.

    Raises:
        InputError: a weight that is not between 0 and 1.
    """

    name: ClassVar[str] = "multiscale-ncc"

    global_weight: float = 1.0 / 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.global_weight <= 1.0:
            raise InputError(f"global_weight must be from 0 to 1, got {self.global_weight}")

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedNcc:
        """Prepare a fixed image [H,W] under a mask [H,W]; windows must fit into the image."""
        local = super().prepare(fixed, mask).terms
        whole = GlobalNcc().prepare(fixed, mask).terms
        weighted = [(self.global_weight * weight, windows) for weight, windows in whole]
        weighted += [((1.0 - self.global_weight) * weight, windows) for weight, windows in local]
        return PreparedNcc(terms=tuple(weighted))
