"""Box prompts: where in an image each ROI is to be looked for.

In training they are drawn around the true masks, a little off, as hands draw them.  For a new X-ray
a person gives them (:func:`read_boxes`), or masks do, made elsewhere or by a U-Net
(:func:`boxes_from_masks`).  In a registration the X-ray's boxes also serve for the rendered image.

A box is (left, top, right, bottom) in pixels, its outermost pixel centres; NaN where the ROI is not
in the image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import read_json_object


def boxes_from_masks(masks: Tensor) -> Tensor:
    """Return [...,4] float32 boxes around masks [...,H,W] (bool, or probabilities over a half)."""
    covered = masks if masks.dtype == torch.bool else masks > 0.5
    left, right = _first_and_last(covered.any(dim=-2))
    top, bottom = _first_and_last(covered.any(dim=-1))
    return torch.stack((left, top, right, bottom), dim=-1)


def _first_and_last(line: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions of the first and last true value along the last axis, NaN without any."""
    numbers = torch.arange(line.shape[-1], dtype=torch.float32, device=line.device)
    first = torch.where(line, numbers, math.inf).amin(dim=-1)
    last = torch.where(line, numbers, -math.inf).amax(dim=-1)
    there = line.any(dim=-1)
    return torch.where(there, first, math.nan), torch.where(there, last, math.nan)


def jittered_boxes(boxes: Tensor, most_px: float, generator: torch.Generator) -> Tensor:
    """Move each side of boxes [...,4] by up to ``most_px``, as hands do; they stay boxes."""
    noise = torch.rand(boxes.shape, generator=generator).to(boxes) * 2.0 - 1.0
    moved = boxes + most_px * noise
    low = torch.minimum(moved[..., :2], moved[..., 2:])
    high = torch.maximum(moved[..., :2], moved[..., 2:])
    return torch.cat((low, high), dim=-1)


def read_boxes(
    path: str | Path, xrays: Sequence[str], roi_names: Sequence[str]
) -> Mapping[str, Tensor]:
    """Read boxes of X-rays from JSON ``{"xray": {"left-femur": [left, top, right, bottom]}}``.

    Args:
        path: of the file.
        xrays: the X-rays' names (file names without suffix), which are its keys.
        roi_names: the ROIs, in order; those that the file leaves out are not looked for.

    Returns:
        X-ray -> [R,4] float32, NaN for ROIs that are left out.

    Raises:
        InputError: unreadable, an X-ray that is missing or unknown, unknown ROIs, or boxes that are
            not four ordered numbers.
    """
    content = read_json_object(path, xrays)
    return {xray: _boxes(content[xray], roi_names, f"{path}, {xray}") for xray in xrays}


def _boxes(entry: object, roi_names: Sequence[str], source: str) -> Tensor:
    if not isinstance(entry, dict):
        raise InputError(f"boxes {source} must name ROIs with their boxes, got {entry!r}")
    unknown = sorted(set(entry) - set(roi_names))
    if unknown:
        raise InputError(
            f"boxes {source} must be of {', '.join(roi_names)}, got {', '.join(unknown)}"
        )
    boxes = torch.full((len(roi_names), 4), math.nan)
    for name, box in entry.items():
        try:
            left, top, right, bottom = (float(number) for number in box)
        except (TypeError, ValueError):
            left = top = right = bottom = math.nan
        if not (-math.inf < left < right < math.inf and -math.inf < top < bottom < math.inf):
            raise InputError(
                f"boxes {source}, {name} must be [left, top, right, bottom], got {box}"
            )
        boxes[list(roi_names).index(name)] = torch.tensor([left, top, right, bottom])
    return boxes
