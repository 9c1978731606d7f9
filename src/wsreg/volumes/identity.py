"""Whose CT it is, whatever file it came from."""

from __future__ import annotations

import hashlib

import torch

from wsreg.volumes.volume import Volume

GRID_DECIMALS = 3
"""Places (mm) and directions of the grid are compared to so many decimals."""


def ct_sha256(volume: Volume) -> str:
    """Return the hex digest of a CT's voxels, in whole Hounsfield units, and of where they lie.

    Labels are not part of it: they may be made anew.
    """
    digest = hashlib.sha256(str(tuple(volume.hu.shape)).encode())
    grid = (volume.ct_from_voxel * 10**GRID_DECIMALS).round().to(torch.int64)
    digest.update(grid.contiguous().numpy().tobytes())
    for plane in volume.hu:
        whole = plane if plane.dtype == torch.int16 else plane.float().round().clamp(-32768, 32767)
        digest.update(whole.to(torch.int16).contiguous().numpy().tobytes())
    return digest.hexdigest()
