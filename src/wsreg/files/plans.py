"""What a run is, in JSON's types: a stopped run goes on only where its plan is still the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def plain_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan as a file gives it back: tuples are lists, keys are strings.

    Raises:
        ValueError: it holds NaN or infinity.
    """
    plain: dict[str, Any] = json.loads(json.dumps(plan, allow_nan=False))
    return plain


def differing_keys(found: object, plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return, sorted, the keys in which what a file holds is not the plan.

    It is ``everything`` if the file holds no plan.
    """
    if not isinstance(found, dict):
        return ("everything",)
    wanted, absent = plain_plan(plan), object()
    keys = sorted({*found, *wanted})
    return tuple(key for key in keys if found.get(key, absent) != wanted.get(key, absent))
