"""The mask of valid pixels that every measure is prepared with."""

from __future__ import annotations

from torch import Tensor

from wsreg.errors import InputError


def check_mask(fixed: Tensor, mask: Tensor) -> None:
    """Refuse a mask that is not one of the fixed image [H,W], or leaves none of it.

    Raises:
        InputError: for such a mask.
    """
    if fixed.shape != mask.shape:
        raise InputError(
            f"mask must have the image's shape {list(fixed.shape)}, got {list(mask.shape)}"
        )
    if not bool(mask.any()):
        raise InputError("mask must leave some pixels of the image, it leaves none")
