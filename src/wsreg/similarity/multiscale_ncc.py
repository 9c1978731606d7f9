"""The similarity of this project: the mean of global NCC and of NCC in sliding windows.

Paper, section 2.3: L_mNCC is half local, half global; here the local half is the mean over one or
more window sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsreg.similarity.linearization import Linearization
from wsreg.similarity.local_ncc import Windows, linearize_ncc, ncc_loss, prepare_windows

WINDOWS_PER_SIZE = 3
"""Windows overlap: they are this many strides wide."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiscaleNcc:
    """A fixed image prepared for comparison; ``terms`` are (weight, windows), weights sum to 1."""

    terms: tuple[tuple[float, Windows], ...]


def prepare_multiscale(
    fixed: Tensor, mask: Tensor, window_sizes: tuple[int, ...], global_weight: float = 0.5
) -> MultiscaleNcc:
    """Prepare a fixed image [H,W] under a mask [H,W]; without window sizes it is global NCC.

    Raises:
        InputError: for an empty mask, or windows larger than the image.
    """
    whole = prepare_windows(fixed, mask, None)
    if not window_sizes:
        return MultiscaleNcc(terms=((1.0, whole),))
    share = (1.0 - global_weight) / len(window_sizes)
    local = tuple(
        (share, prepare_windows(fixed, mask, size, max(1, size // WINDOWS_PER_SIZE)))
        for size in window_sizes
    )
    return MultiscaleNcc(terms=((global_weight, whole), *local))


def multiscale_loss(prepared: MultiscaleNcc, moving: Tensor) -> Tensor:
    """[...] 1 less the similarity of moving images [...,H,W]; differentiable to them."""
    losses = [weight * ncc_loss(windows, moving) for weight, windows in prepared.terms]
    return torch.stack(losses).sum(dim=0)


def linearize_multiscale(
    prepared: MultiscaleNcc, moving: Tensor, jacobian: Tensor
) -> Linearization:
    """Gauss-Newton view of :func:`multiscale_loss`: moving [...,H,W], jacobian [...,H,W,P]."""
    terms = [
        linearize_ncc(windows, moving, jacobian).scaled(weight)
        for weight, windows in prepared.terms
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
