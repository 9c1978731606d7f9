"""What a network is given of an image: readings that exposure does not change."""

from __future__ import annotations

import torch
from torch import Tensor

READINGS = 2
"""Channels: grey scale and local contrast."""
CONTRAST_RANGE = 2.0
"""Grey values further from the median than this many times the 10th to 90th percentile's distance
are cut: metal would set the scale otherwise."""
CENTRE = 0.35
"""Radius, as a fraction of the image's sides, of the disk whose histogram sets the scale: a
collimator leaves the middle open."""
WINDOW = 1 / 6
"""Side of the neighbourhood to which local contrast refers, as a fraction of the image's side."""
FAINTEST = 0.1
"""Standard deviation in a neighbourhood below which local contrast fades: it would be noise."""


def normalised(image: Tensor, valid: Tensor | None = None) -> Tensor:
    """Return [B,2,H,W], two readings of images [B,1,H,W] that exposure does not change.

    They are differentiable.  Pixels that are not ``valid`` [B,1,H,W], where that is given, change
    nothing, and are 0 in both.

    In the first, the middle of the histogram becomes 0 and the distance of its 10th and 90th
    percentiles 1; the second is the first against its neighbourhood, by mean and deviation, which
    shows bones under thick tissue as well as under thin.
    """
    low, middle, high = _levels(image, valid)[:, :, None, None, None]
    scaled = (image - middle) / (high - low).clamp(min=1e-6)
    cut = scaled.clamp(-CONTRAST_RANGE, CONTRAST_RANGE)
    if valid is None:
        difference = cut - _local_mean(cut)
        deviation = (_local_mean(difference.square()) + FAINTEST**2).sqrt()
        return torch.cat((cut, difference / deviation), dim=1)
    weight = valid.to(image)
    cut = torch.where(valid, cut, 0.0)
    share = _local_mean(weight).clamp(min=1e-3)
    difference = (cut - _local_mean(cut) / share) * weight
    deviation = (_local_mean(difference.square()) / share + FAINTEST**2).sqrt()
    return torch.cat((cut, difference / deviation), dim=1)


def _levels(image: Tensor, valid: Tensor | None) -> Tensor:
    """Return [3,B] the 10th, 50th and 90th percentile of the middle of each image.

    Where nothing of the middle is valid it is that of all valid pixels, and 0 where none is.
    """
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=image.dtype, device=image.device)
    centre = _disk(image.shape[2], image.shape[3]).to(image.device)
    if valid is None:
        return torch.quantile(image[:, 0, centre], levels, dim=1)
    seen = torch.where(valid, image, torch.nan)
    of_middle = torch.nanquantile(seen[:, 0, centre], levels, dim=1)
    if not bool(of_middle.isnan().any()):
        return of_middle
    of_all = torch.nanquantile(seen.flatten(1), levels, dim=1)
    return torch.where(of_middle.isnan(), of_all, of_middle).nan_to_num()


def _disk(rows: int, columns: int) -> Tensor:
    """Return [H,W] bool: the middle of an image."""
    row = (torch.arange(rows)[:, None] + 0.5) / rows - 0.5
    column = (torch.arange(columns)[None, :] + 0.5) / columns - 0.5
    return row.square() + column.square() <= CENTRE**2


def _local_mean(image: Tensor) -> Tensor:
    reach = [max(1, round(WINDOW * size / 2)) for size in image.shape[2:]]
    padded = torch.nn.functional.pad(
        image, (reach[1], reach[1], reach[0], reach[0]), mode="reflect"
    )
    over_rows = torch.nn.functional.avg_pool2d(padded, (2 * reach[0] + 1, 1), stride=1)
    return torch.nn.functional.avg_pool2d(over_rows, (1, 2 * reach[1] + 1), stride=1)
