"""What a registration makes of a CT, told in bytes before it is made."""

from __future__ import annotations

import math

from wsreg.errors import InputError
from wsreg.files.memory import free_bytes, in_gigabytes
from wsreg.volumes.volume import Volume

BYTES_OF_A_VOXEL = {
    (False, False): 6.0,
    (False, True): 16.0,
    (True, False): 16.0,
    (True, True): 36.0,
}
"""Bytes for each voxel of a CT besides the CT, by (float32, several bodies): levels, and layouts
along two axes.  Measured on CTs of 33 and 64 million voxels, and rounded up."""
OF_COARSE_LAYOUTS = 0.7
"""Of that, where the CT's own grid is so fine that it is averaged and not laid out itself."""


def bytes_beside(volume: Volume, several: bool, averaged: bool) -> int:
    """Return about how many bytes a registration takes for a CT, besides the CT itself.

    Args:
        volume: the CT.
        several: whether bones move by themselves.
        averaged: whether the CT's own grid is not laid out.
    """
    each = BYTES_OF_A_VOXEL[volume.hu.is_floating_point(), several]
    return math.ceil(volume.hu.numel() * each * (OF_COARSE_LAYOUTS if averaged else 1.0))


def check_memory(volume: Volume, several: bool, averaged: bool) -> None:
    """Refuse a CT for which memory is not enough, before anything is made of it.

    Arguments as for :func:`bytes_beside`.

    Raises:
        InputError: it takes more than is free.
    """
    needed, free = bytes_beside(volume, several, averaged), free_bytes()
    if needed <= free:
        return
    size = " x ".join(str(count) for count in reversed(volume.hu.shape))
    one = in_gigabytes(bytes_beside(volume, several=False, averaged=averaged))
    hint = f"; as one body (bodies none) it takes {one}" if several else ""
    raise InputError(
        f"volume must fit into memory with what is made of it: its {size} voxels take another "
        f"{in_gigabytes(needed)}, and {in_gigabytes(free)} are free; cropped to the bones that are "
        f"looked for, or with larger voxels, it takes less{hint}"
    )
