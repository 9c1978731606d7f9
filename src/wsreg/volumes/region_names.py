"""Which labels of a CT make a region of interest: DeepFluoro's names, TotalSegmentator's, others.

The six regions of the pelvis have DeepFluoro's names and numbers.  TotalSegmentator's hip_left,
sacrum, vertebrae_L5, ... are understood as what they are part of.
"""

from __future__ import annotations

import re

from wsreg.volumes.volume import Volume

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
    plain = re.sub(r"[\s_]+", "-", name.strip().lower())
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
