"""A CT made ready for rendering: its levels, and each level laid out for the march.

All of it is made when it is first asked for, once, and lives as long as the volume it is made of.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch

from wsreg.errors import InputError, check_is
from wsreg.rendering.loading import load_kernels
from wsreg.rendering.memory import check_memory
from wsreg.rendering.plane_grid import PlaneGrid, Rois, attenuation_grid, label_grid
from wsreg.rendering.rays import PlaneAxes
from wsreg.volumes.bodies import Bodies, parts_of_bodies
from wsreg.volumes.parts import WHOLE_CT, CtPart, bones_apart, bones_of, rest_of
from wsreg.volumes.region_names import find_labels
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.volume import Volume

VOXEL_SIZES_MM = (6.0, 3.0, None)
"""The levels of a registration, coarse to fine; None is the CT's own grid."""

OWN_GRID_MM, AVERAGED_MM = 0.4, 0.8
"""A CT with voxels finer than the first is averaged to the second: X-rays tell no more of it."""

MOST_LABEL_GRIDS = 12
"""Groups of labels differ from X-ray to X-ray; the layouts of so many are kept for each volume."""

T = TypeVar("T")


class _Made:
    """What was made of one volume, each thing once, whoever asks first.

    It must not refer to the volume, which would keep both alive for good.
    """

    def __init__(self) -> None:
        self.values: dict[Hashable, Any] = {}
        self.recent: OrderedDict[Hashable, Any] = OrderedDict()
        self.lock = threading.RLock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key; the first call makes it, others wait for that."""
        if key not in self.values:
            with self.lock:
                if key not in self.values:
                    self.values[key] = make()
        value: T = self.values[key]
        return value

    def get_recent(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key as :meth:`get` does, of which only the latest are kept."""
        with self.lock:
            value: T = self.recent.pop(key) if key in self.recent else make()
            self.recent[key] = value
            if len(self.recent) > MOST_LABEL_GRIDS:
                self.recent.popitem(last=False)
        return value


_made: WeakKeyDictionary[Volume, _Made] = WeakKeyDictionary()
_made_lock = threading.Lock()


def _made_of(volume: Volume) -> _Made:
    with _made_lock:
        return _made.setdefault(volume, _Made())


def _renew_locks() -> None:
    """Give a forked child locks that no thread of its parent holds."""
    global _made_lock
    _made_lock = threading.Lock()
    for made in _made.values():
        made.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedVolume:
    """One voxel grid as the backends need it; any number of threads may share it.

    Args:
        volume: what is rendered.
    """

    volume: Volume
    _made: _Made = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_made", _made_of(self.volume))

    def __reduce__(self) -> tuple[Any, ...]:
        """Hand on the volume alone: another process prepares what it needs."""
        return functools.partial(PreparedVolume, volume=self.volume), ()

    def attenuation_grid(self, axes: PlaneAxes) -> PlaneGrid:
        """Return the attenuation (1/mm), laid out for rays along ``axes.w``."""
        return self._made.get(axes, lambda: attenuation_grid(self.volume, axes))

    def label_grid(self, axes: PlaneAxes, rois: Rois) -> PlaneGrid:
        """Return each voxel's channel, for groups of labels that share none, laid out alike."""
        labels = self.volume.labels
        if labels is None:
            raise InputError("rois must be labels of the volume, it has none")
        return self._made.get_recent((axes, rois), lambda: label_grid(labels.numpy(), rois, axes))


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedCt:
    """The CT of a patient, to be held while X-rays of that patient come in.

    Args:
        volume: the CT.
    """

    volume: Volume
    _made: _Made = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_made", _made_of(self.volume))

    def __reduce__(self) -> tuple[Any, ...]:
        """Hand on the volume alone: another process prepares what it needs."""
        return functools.partial(PreparedCt, volume=self.volume), ()

    def levels(
        self, voxel_sizes_mm: Sequence[float | None], part: CtPart = WHOLE_CT
    ) -> tuple[PreparedVolume, ...]:
        """Return the CT, or a part of it, at each voxel size, in the order given.

        Its own spacing is the finest.  Each level is made from the next finer one: averaging moves
        no mass, so nothing drifts.

        Args:
            voxel_sizes_mm: edges of the cubic voxels; None is the CT's own grid, which is not
                resampled at all (unless its voxels are finer than ``OWN_GRID_MM``).
            part: what attenuates.

        Raises:
            InputError: for a size that is not positive, or labels that the CT lacks.
        """
        if not all(size is None or (math.isfinite(size) and size > 0) for size in voxel_sizes_mm):
            raise InputError(
                f"voxel_sizes_mm must be positive and finite, got {list(voxel_sizes_mm)}"
            )
        finest = min(self.volume.spacing_mm)
        own = 0.0 if finest >= OWN_GRID_MM else AVERAGED_MM
        sizes = [own if size is None else max(size, finest) for size in voxel_sizes_mm]
        ascending = sorted(set(sizes) - {0.0})
        return tuple(
            self._level(() if size == 0.0 else tuple(ascending[: ascending.index(size) + 1]), part)
            for size in sizes
        )

    def check_memory(self, several: bool) -> None:
        """Refuse, when first asked, a CT whose levels and layouts do not fit into memory.

        Args:
            several: whether bones move by themselves.

        Raises:
            InputError: they do not.
        """
        averaged = min(self.volume.spacing_mm) < OWN_GRID_MM
        self.keep(("memory", several), lambda: check_memory(self.volume, several, averaged))

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made of this CT under a key, once; it must not refer to the volume."""
        return self._made.get(key, make)

    def _level(self, sizes_mm: tuple[float, ...], part: CtPart) -> PreparedVolume:
        """Return a part, averaged over voxels of one size after another; as it is for no size."""
        if part == WHOLE_CT and not sizes_mm:
            # not to be kept: what is kept for a volume must not refer to it
            return PreparedVolume(volume=self.volume)

        def make() -> PreparedVolume:
            if part.kind == "rest":
                return PreparedVolume(volume=self._rest(sizes_mm, part))
            if sizes_mm:
                return PreparedVolume(volume=self._averaged(sizes_mm, part))
            own, *others = part.groups
            if part.kind == "alone":
                return PreparedVolume(volume=self.volume.restricted_to(own))
            return PreparedVolume(volume=bones_of(self.volume, own, sum(others, ())))

        return self._made.get((sizes_mm, part), make)

    def _averaged(self, sizes_mm: tuple[float, ...], part: CtPart) -> Volume:
        *finer, size = sizes_mm
        source = self._level(tuple(finer), part).volume
        if part.kind != "bones":
            return resample_isotropic(source, size)
        whole = self._level(tuple(finer), WHOLE_CT).volume
        return resample_isotropic(source, size, cut_from=whole)

    def _rest(self, sizes_mm: tuple[float, ...], part: CtPart) -> Volume:
        """Return the whole less all bones, so that with these it adds up to the whole again."""
        parts = bones_apart({str(number): group for number, group in enumerate(part.groups)})
        bones = [self._level(sizes_mm, bone).volume for bone in parts.values()]
        return rest_of(self._level(sizes_mm, WHOLE_CT).volume, bones)


def prepare(
    volume: Volume,
    voxel_sizes_mm: Sequence[float | None] = VOXEL_SIZES_MM,
    labels: Iterable[int | str] = (),
    *,
    bodies: Bodies = "auto",
) -> PreparedCt:
    """Do ahead what a first registration of a CT would wait for: its levels, and the kernels.

    Args:
        volume: the CT.
        voxel_sizes_mm: of the levels, see :meth:`PreparedCt.levels`.
        labels: the only ones that will be rendered, if so (``render_labels`` of ``register``), by
            value or name.
        bodies: as they will be given to ``register``.

    Raises:
        InputError: for sizes, labels or bodies that cannot be, and for a CT that is too large.
    """
    check_is(volume, Volume, "volume", "wsreg.read_volume reads one")
    load_kernels()
    prepared = PreparedCt(volume=volume)
    alone = tuple(sorted(find_labels(volume, labels, "labels")))
    parts = parts_of_bodies(volume, bodies, alone)
    prepared.check_memory(several=len(parts) > 1)
    for part in parts.values():
        prepared.levels(voxel_sizes_mm, part)
    return prepared


def check_prepared(prepared: PreparedCt, volume: Volume) -> None:
    """Raise InputError unless a prepared CT is of this volume: the same, or equal in all parts."""
    other = _first_difference(prepared.volume, volume)
    if other is not None:
        raise InputError(
            f"prepared must be of the volume given, got one of a CT that differs in its {other}"
        )


def _first_difference(a: Volume, b: Volume) -> str | None:
    """Name what differs between two volumes, or return None."""
    if a is b:
        return None
    if a.hu.shape != b.hu.shape or not torch.equal(a.ct_from_voxel, b.ct_from_voxel):
        return "voxel grid"
    if a.air_hu != b.air_hu or bool((a.hu != b.hu).any()):
        return "Hounsfield units"
    if a.labels is None or b.labels is None:
        return None if a.labels is b.labels else "labels"
    return "labels" if bool((a.labels != b.labels).any()) else None
