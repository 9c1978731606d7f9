"""The CT at the resolutions that registration works at, prepared once for each CT."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from wsreg.volumes.resampling import isotropic_pyramid
from wsreg.volumes.volume import Volume

_prepared: WeakKeyDictionary[Volume, dict[tuple[object, ...], tuple[Volume, ...]]] = (
    WeakKeyDictionary()
)


def volume_pyramid(
    volume: Volume, voxel_sizes_mm: tuple[float, ...], render_labels: tuple[int, ...] = ()
) -> tuple[Volume, ...]:
    """The CT at each voxel size, in the order given; never finer than its finest spacing.

    With ``render_labels`` only these labels attenuate: the moving image shows the bones that are
    registered and nothing that moves by itself.  The answer is kept for as long as the volume
    lives, so a second X-ray of the same patient starts at once.
    """
    key = (voxel_sizes_mm, render_labels)
    known = _prepared.setdefault(volume, {})
    if key not in known:
        finest = min(volume.spacing_mm)
        sizes = tuple(max(size, finest) for size in voxel_sizes_mm)
        shown = volume.restricted_to(render_labels) if render_labels else volume
        ascending = sorted(set(sizes))
        made = dict(zip(ascending, isotropic_pyramid(shown, ascending), strict=True))
        known[key] = tuple(made[size] for size in sizes)
    return known[key]
