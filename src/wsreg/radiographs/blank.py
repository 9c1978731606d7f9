"""Tell X-rays that show nothing: a beam that was off, a shutter that was closed."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.radiographs.resample import area_mean

BLOCKS = 8
"""An image is looked at in so many blocks along each side."""
NOISE_FRACTION = 0.2
"""Where blocks differ by less than this fraction of what pixels do, there is noise alone.  Bodies
are larger than blocks: with them the fraction is 0.7 and more, by judgement of simulated X-rays."""


def is_blank(image: Tensor, mask: Tensor) -> bool:
    """Return whether an image [H,W] holds noise alone where its mask [H,W] is true."""
    rows, columns = (min(BLOCKS, size) for size in image.shape)
    weight = area_mean(mask.float(), rows, columns)
    inside = weight > 0.5
    if int(inside.sum()) < 2:
        return False
    filled = torch.where(mask, image, image.new_zeros(()))
    blocks = (area_mean(filled, rows, columns) / weight.clamp_min(1e-6))[inside]
    return bool(blocks.std() <= NOISE_FRACTION * image[mask].std())
