"""Held-out X-rays beside what is rendered at the poses that an encoder finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wsreg.files.whole import staged_file

PICTURE_FILE = "validation.png"
SHOWN = 8
"""Images of a grid, one beside the other."""
SIDE_PX = 160


def write_pictures(path: Path, rows: Sequence[Tensor]) -> None:
    """Write images as a grid, each row of [N,H,W] on grey scales of its images' own.

    Args:
        path: of a PNG, which is replaced whole.
        rows: of any sizes, shown alike.

    Raises:
        InputError: the file cannot be written.
    """
    from PIL import Image

    grid = torch.cat([torch.cat(list(_grey(row[:SHOWN])), dim=1) for row in rows])
    with staged_file(path) as temporary:
        Image.fromarray(grid.numpy()).save(temporary)


def _grey(images: Tensor) -> Tensor:
    """Return [N,S,S] uint8 of images [N,H,W], from their least to their greatest value."""
    sized = interpolate(images[:, None].float(), (SIDE_PX, SIDE_PX), mode="nearest")[:, 0]
    low, high = sized.amin(dim=(1, 2), keepdim=True), sized.amax(dim=(1, 2), keepdim=True)
    scaled: Tensor = 255.0 * (sized - low) / (high - low).clamp(min=1e-6)
    return scaled.round().to(torch.uint8)
