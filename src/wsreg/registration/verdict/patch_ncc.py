"""How alike two images are, patch by patch: less than the loss it depends on noise."""

from __future__ import annotations

from torch import Tensor

from wsreg.similarity.window_ncc import WindowConfig, prepare_windows, window_similarity

PATCHES_ACROSS = 6
"""A patch is this fraction of the image's longer side."""
PATCHES = WindowConfig(floor=0.02, weight_floor=0.02, robust_scale=0.0)


def patch_ncc(fixed: Tensor, mask: Tensor, moving: Tensor) -> float:
    """Return the mean NCC of two images [H,W] over patches, under the mask [H,W]."""
    size = min(max(2, max(fixed.shape) // PATCHES_ACROSS), *fixed.shape)
    patches = prepare_windows(fixed, mask, size, PATCHES, max(1, size // 4))
    return float(window_similarity(patches, moving.to(fixed)[None])[0])
