"""Which labels of a CT are meant: by value, by name, by the name of the region they are part of.

The six regions of the pelvis have DeepFluoro's names and numbers.  TotalSegmentator's hip_left,
sacrum, vertebrae_L5, ... are understood as what they are part of.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable, Mapping

from wsreg.errors import InputError
from wsreg.volumes.volume import Volume

MOST_LISTED = 12
"""So many labels of a CT are listed where one is asked for that it lacks."""

_SYNONYMS = {
    "hip-left": "left-hemipelvis",
    "hip-right": "right-hemipelvis",
    "femur-left": "left-femur",
    "femur-right": "right-femur",
    "sacrum": "upper-sacrum",
    "vertebrae-s1": "upper-sacrum",
}


def region_name(name: str) -> str:
    """Name what a structure is part of: ``hip_left`` is ``left-hemipelvis``, others stay."""
    plain = _plain(name)
    if plain in _SYNONYMS:
        return _SYNONYMS[plain]
    return "vertebrae" if plain.startswith("vertebrae-") else plain


def labels_of_region(name: str, volume: Volume) -> tuple[int, ...]:
    """Return the labels of a CT that make a region; there are none if it has none.

    A label of exactly this name is the region; else all that are part of it are.
    """
    names = {label: volume.label_names.get(label, str(label)) for label in volume.label_values}
    exact = tuple(label for label, known in names.items() if known == name)
    if exact:
        return exact
    wanted = region_name(name)
    return tuple(label for label, known in names.items() if region_name(known) == wanted)


def find_labels(volume: Volume, wanted: Iterable[int | str], asked_by: str) -> tuple[int, ...]:
    """Return the labels of a CT that are wanted, in the order asked for, each once.

    A text of digits is a value, any other a name, and means every label that has it: exactly this
    name if there is one, else the same in other spelling, or the region that labels are part of
    (``left-hemipelvis`` is ``hip_left``, but ``vertebrae_L6`` is no other vertebra).

    Args:
        volume: the CT.
        wanted: values or names.
        asked_by: who wants them, for messages: ``--render-labels``, ``body pelvis``.

    Raises:
        InputError: the CT has no labels, or lacks one that is wanted.
    """
    asked = list(wanted)
    if asked and volume.labels is None:
        raise InputError(f"{asked_by} needs the label map of the CT (--labels), it has none")
    names = {label: volume.label_names.get(label, "") for label in volume.label_values}
    found: dict[int, None] = {}
    for label in asked:
        meant = _labels_meant(label, names)
        if not meant:
            raise InputError(
                f"{asked_by} must name labels of the CT ({_listed(names)}), "
                f"got {label!r}{_closest(label, names)}"
            )
        found |= dict.fromkeys(meant)
    return tuple(found)


def _labels_meant(label: object, names: Mapping[int, str]) -> tuple[int, ...]:
    """Return the labels that a value or a name means; none for one that means nothing."""
    text = label.strip() if isinstance(label, str) else ""
    if not text or text.isdecimal():
        value = _value(int(text) if text else label)
        return (value,) if value in names else ()
    region = _SYNONYMS.get(_plain(text), _plain(text))
    for spelled, same in ((text, str), (_plain(text), _plain), (region, region_name)):
        meant = tuple(value for value, name in names.items() if name and same(name) == spelled)
        if meant:
            return meant
    return ()


def _value(label: object) -> int:
    """Return a whole number of any kind (NumPy's, a tensor's); -1, which is no label, for others.

    True is no label 1.
    """
    try:
        return -1 if isinstance(label, bool) else operator.index(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return -1


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def _listed(names: Mapping[int, str]) -> str:
    """Return the labels that there are, with their names."""
    shown = [f"{value} {name}".strip() for value, name in list(names.items())[:MOST_LISTED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _closest(label: object, names: Mapping[int, str]) -> str:
    """Return the names most like one that no label has, as the end of a sentence."""
    known = {_plain(name): name for name in names.values() if name}
    close = difflib.get_close_matches(_plain(str(label)), known, n=3)
    return f" (closest: {', '.join(known[plain] for plain in close)})" if close else ""
