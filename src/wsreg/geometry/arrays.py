"""Numbers as callers and files have them (lists, arrays, tensors), made into tensors."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.errors import InputError


def as_float64(numbers: Any) -> Tensor | None:
    """Return numbers as a float64 tensor on the CPU; None for what is no array of numbers."""
    if isinstance(numbers, Tensor):
        return numbers.detach().to("cpu", torch.float64)
    array = _array(numbers)
    return None if array is None else torch.from_numpy(array.astype(np.float64))


def as_image(pixels: Any, dtype: torch.dtype, name: str) -> Tensor:
    """Return pixels, a tensor, an array or nested lists, as a tensor of a type.

    Raises:
        InputError: for what is no array of numbers; ``name`` says of what.
    """
    if isinstance(pixels, Tensor) and not pixels.is_complex():
        return pixels.to(dtype)
    array = _array(pixels, kinds="biuf")
    if array is None:
        raise InputError(f"{name} must be an array of numbers, got {in_words(pixels)}")
    return torch.from_numpy(array).to(dtype)


def _array(numbers: Any, kinds: str = "iuf") -> NDArray[Any] | None:
    """Return an array that torch can take, copied: its own byte order, rows one after the other."""
    try:
        array = np.asarray(numbers)
    except (TypeError, ValueError, RuntimeError):
        return None
    # NumPy would read texts as numbers, and keeps what is none as objects
    if array.dtype.kind not in kinds:
        return None
    wide = array.dtype.kind == "u" or array.dtype.itemsize > 8
    return np.array(array, dtype=np.float64 if wide else array.dtype.newbyteorder("="), order="C")


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
    plain = numbers.tolist() if isinstance(numbers, Tensor | np.ndarray) else numbers
    return " ".join(reprlib.repr(plain).split())
