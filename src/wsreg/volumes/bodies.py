"""Which labels of a CT move as one: as asked for, or by the names of the labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from wsreg.errors import InputError
from wsreg.volumes.parts import WHOLE_CT, CtPart, bones_apart
from wsreg.volumes.region_names import find_labels, region_name
from wsreg.volumes.volume import Volume

WHOLE, REST = "ct", "rest"
"""Names of the one body that is the whole CT, and of everything that belongs to no other body."""

VIEW_PREFIX = "view-"
"""What no name of a body begins with."""

PELVIS_PRESET: Mapping[str, tuple[str, ...]] = {
    "pelvis": ("left-hemipelvis", "right-hemipelvis", "vertebrae", "upper-sacrum"),
    "left-femur": ("left-femur",),
    "right-femur": ("right-femur",),
}
"""Bodies of the preset ``pelvis``, and the regions that they are made of."""

HIPS = ("left-hemipelvis", "right-hemipelvis")
"""A CT without either of them has no pelvis to be taken apart."""

Bodies = Mapping[str, Iterable[int | str] | int] | str | None
"""Names with label values or names; a preset; ``auto``; or None, for one body.

A name means all labels that have it (:func:`wsreg.volumes.region_names.find_labels`).

``auto`` is the preset ``pelvis`` for a CT with labels of hip bones, and one body for others.
"""


def labels_of_bodies(volume: Volume, bodies: Bodies) -> dict[str, tuple[int, ...]]:
    """Return the labels of each body that has some, in the order asked for; none of one body.

    Raises:
        InputError: bodies that name no label, one that the CT lacks, or one twice, or names that
            are no names of files.
    """
    if bodies is None:
        return {}
    if isinstance(bodies, str):
        return _labels_of_preset(volume, bodies)
    if volume.labels is None:
        raise InputError("bodies need the label map of the CT, it has none")
    asked = _asked(bodies)
    groups = {name: _checked_labels(volume, name, labels) for name, labels in asked.items()}
    _check_shared(groups)
    return groups


def parts_of_bodies(
    volume: Volume, bodies: Bodies, alone: tuple[int, ...] = ()
) -> dict[str, CtPart]:
    """Return what attenuates of each body; of several, the rest of the CT is the last one.

    Args:
        volume: the CT.
        bodies: see :data:`Bodies`.
        alone: labels that are registered by themselves, if there are some; they are one body.

    Raises:
        InputError: bodies that cannot be, or both arguments.
    """
    if alone:
        if bodies not in (None, "auto"):
            raise InputError("render_labels make one body of their own, bodies must be left out")
        own = (tuple(sorted(set(alone))),)
        return {WHOLE: CtPart(kind="bones", groups=own), REST: CtPart(kind="rest", groups=own)}
    groups = labels_of_bodies(volume, bodies)
    if not groups:
        return {WHOLE: WHOLE_CT}
    return bones_apart(groups) | {REST: CtPart(kind="rest", groups=tuple(groups.values()))}


def _labels_of_preset(volume: Volume, preset: str) -> dict[str, tuple[int, ...]]:
    if preset not in ("auto", "pelvis"):
        raise InputError(
            "bodies must be None, auto, pelvis, or names with the labels that move together, "
            f"got {preset!r}"
        )
    regions: dict[str, list[int]] = {}
    for label in volume.label_values:
        regions.setdefault(region_name(volume.label_names.get(label, "")), []).append(label)
    if not any(name in regions for name in HIPS):
        if preset == "auto":
            return {}
        raise InputError(
            "bodies pelvis needs labels with the names of hip bones, such as "
            f"{HIPS[0]} or hip_left, the CT has {sorted(volume.label_names.values())}"
        )
    found = {
        name: tuple(sorted(label for part in parts for label in regions.get(part, ())))
        for name, parts in PELVIS_PRESET.items()
    }
    return {name: labels for name, labels in found.items() if labels}


def _asked(bodies: Any) -> dict[str, list[Any]]:
    """Return the labels that are asked for by the names of bodies; the rest must not have some."""
    groups = {}
    if isinstance(bodies, Mapping):
        listed = {name: _as_list(labels) for name, labels in bodies.items()}
        groups = {name: labels for name, labels in listed.items() if name != REST or labels}
    if not groups:
        raise InputError(
            "bodies must be None, auto, pelvis, or names with the labels that move together, "
            f"got {bodies!r}"
        )
    spelled: dict[str, str] = {}
    for name in groups:
        _check_name(name)
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f"names of bodies must differ in more than their case, got {other} and {name}"
            )
    return groups


def _as_list(labels: Any) -> list[Any]:
    """Return the labels of a body, which may be a single one."""
    if isinstance(labels, str):
        return [labels]
    try:
        return list(labels)
    except TypeError:
        return [labels]


def _check_name(name: object) -> None:
    """Refuse what cannot be part of the names of files, or would be taken for other files there."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"names of bodies must be made of letters, digits, - and _, got {name!r}")
    if name.casefold() == REST:
        raise InputError(f"the body {REST} must be left to what no other body has, got labels")
    if name.casefold().startswith(VIEW_PREFIX):  # poses in other views have files of such names
        raise InputError(f"names of bodies must not begin with {VIEW_PREFIX}, got {name!r}")


def _checked_labels(volume: Volume, name: str, labels: Iterable[int | str]) -> tuple[int, ...]:
    """Return the values of a body's labels, in ascending order."""
    found = find_labels(volume, labels, f"body {name}")
    if not found:
        raise InputError(f"body {name} must name labels of the CT, got none")
    return tuple(sorted(found))


def _check_shared(groups: Mapping[str, tuple[int, ...]]) -> None:
    owner: dict[int, str] = {}
    for name, labels in groups.items():
        for label in labels:
            if label in owner:
                raise InputError(
                    f"bodies must share no label, {owner[label]} and {name} both have {label}"
                )
            owner[label] = name
