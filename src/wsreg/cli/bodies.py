"""What ``--bodies`` says of the bodies of a CT: a preset, names with labels, or a file of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsreg.errors import InputError
from wsreg.files.json_files import check_fields, read_json

if TYPE_CHECKING:
    from wsreg.volumes.bodies import Bodies

Point = tuple[float, float, float]

PRESETS: Mapping[str, str | None] = {"auto": "auto", "pelvis": "pelvis", "none": None}


@dataclass(frozen=True, kw_only=True)
class AskedBodies:
    """Bodies as :func:`wsreg.register` takes them.

    Args:
        bodies: a preset, names with label values or names, or None for one body.
        joints_mm: body -> centre of its joint (CT, LPS mm).
    """

    bodies: Bodies
    joints_mm: Mapping[str, Point] = field(default_factory=dict)


def parse_bodies(words: Sequence[str]) -> AskedBodies:
    """Read ``auto``, ``pelvis``, ``none``, ``NAME=LABEL,LABEL ...``, or the name of a JSON file.

    Raises:
        InputError: words that are none of these, a name twice, a file that cannot be read.
    """
    if len(words) == 1 and words[0] in PRESETS:
        return AskedBodies(bodies=PRESETS[words[0]])
    file = bodies_file(words)
    if file is not None:
        return _from_file(file)
    pairs = [word.split("=", 1) for word in words]
    if not pairs or not all(len(pair) == 2 for pair in pairs):
        raise InputError(
            f"--bodies must be {', '.join(PRESETS)}, NAME=LABEL,LABEL ... or a .json file, "
            f"got {' '.join(words) or 'nothing'}"
        )
    names = [name for name, _ in pairs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"--bodies must name each body once, got {', '.join(repeated)} repeatedly")
    return AskedBodies(
        bodies={name: [_label(text) for text in labels.split(",")] for name, labels in pairs}
    )


def bodies_file(words: Sequence[str]) -> Path | None:
    """Return the file that ``--bodies`` names, if it does."""
    if len(words) != 1 or "=" in words[0] or not words[0].lower().endswith(".json"):
        return None
    return Path(words[0])


def _from_file(path: Path) -> AskedBodies:
    """Read {"pelvis": [1, 2], "left-femur": {"labels": ["femur_left"], "joint_mm": [x, y, z]}}."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object, got {type(content).__name__}")
    bodies: dict[str, list[int | str]] = {}
    joints_mm: dict[str, Point] = {}
    for name, entry in content.items():
        where = f"{path}: body {name}"
        fields = {"labels": entry}
        if isinstance(entry, dict):
            fields = check_fields(entry, where, ("labels",), ("joint_mm",))
        bodies[name] = _labels(fields["labels"], where)
        if "joint_mm" in fields:
            joints_mm[name] = _point(fields["joint_mm"], where)
    return AskedBodies(bodies=bodies, joints_mm=joints_mm)


def _labels(entry: Any, where: str) -> list[int | str]:
    if not isinstance(entry, list) or not all(type(label) in (int, str) for label in entry):
        raise InputError(f"{where} must be a list of label values or names, got {entry!r}")
    return [_label(label) if isinstance(label, str) else label for label in entry]


def _label(text: str) -> int | str:
    """Return the value of a label, or its name."""
    text = text.strip()
    return int(text) if text.isdecimal() else text


def _point(entry: Any, where: str) -> Point:
    numbers = entry if isinstance(entry, list) else []
    if len(numbers) != 3 or not all(type(number) in (int, float) for number in numbers):
        raise InputError(f"{where} joint_mm must be three numbers (LPS mm), got {entry!r}")
    x, y, z = (float(number) for number in numbers)
    return x, y, z
