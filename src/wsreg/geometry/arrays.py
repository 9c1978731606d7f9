"""Numbers as callers and files have them (lists, arrays, tensors), made into tensors."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError


def as_float64(numbers: Any) -> Tensor | None:
    """Return numbers as a float64 tensor on the CPU; None for what is no array of numbers."""
    if isinstance(numbers, Tensor):
        return numbers.detach().to("cpu", torch.float64)
    try:
        array = np.asarray(numbers)
    except (TypeError, ValueError, RuntimeError):
        return None
    # NumPy would read texts as numbers, and keeps what is none as objects
    return torch.tensor(array, dtype=torch.float64) if array.dtype.kind in "iuf" else None


def finite_numbers(numbers: Any, name: str, *shapes: tuple[int, ...]) -> Tensor:
    """Return numbers as a float64 tensor of one of the shapes, all finite.

    Raises:
        InputError: for anything else; ``name`` says of what.
    """
    found = as_float64(numbers)
    if found is None or tuple(found.shape) not in shapes or not bool(torch.isfinite(found).all()):
        size = " x ".join(map(str, shapes[0]))
        raise InputError(f"{name} must be {size} finite numbers, got {in_words(numbers)}")
    return found


def in_words(numbers: Any) -> str:
    """Return what came in one short line."""
    return reprlib.repr(numbers.tolist() if isinstance(numbers, Tensor | np.ndarray) else numbers)
