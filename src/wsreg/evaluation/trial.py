"""One registration that was scored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsreg.evaluation.pose_errors import PoseErrors
from wsreg.registration.result import VerdictStatus


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a method made of one sample.

    A method that refused a sample (``InputError``) gave no answer: its trial has NaN for every
    number but ``seconds``, the verdict ``fail``, and as reason the sentence of the refusal.

    Args:
        specimen, projection: of the sample.
        answered: whether there is a pose.
        errors: of the pose.
        start_mtre_3d_mm: how far off the method began.
        verdict, reasons: the method's own.
        similarity_start, similarity_end: the method's own.
        seconds: wall time of the method.
        camera_from_ct: the four rows of the pose; empty without an answer.
    """

    specimen: str
    projection: str
    answered: bool
    errors: PoseErrors
    start_mtre_3d_mm: float
    verdict: VerdictStatus
    reasons: tuple[str, ...]
    similarity_start: float
    similarity_end: float
    seconds: float
    camera_from_ct: tuple[tuple[float, ...], ...]

    @property
    def key(self) -> tuple[str, str]:
        """Return (specimen, projection)."""
        return self.specimen, self.projection


def trial_to_record(trial: Trial) -> dict[str, Any]:
    """Return plain numbers, strings and lists; NaN becomes None, which strict JSON can hold."""
    record: dict[str, Any] = _plain(dataclasses.asdict(trial))
    return record


def trial_from_record(record: Mapping[str, Any]) -> Trial:
    """Return the trial of a record, the inverse of :func:`trial_to_record`.

    Raises:
        KeyError, TypeError: the record is not one of a trial.
    """
    fields = _with_nan(record)
    return Trial(
        **{
            **fields,
            "errors": PoseErrors(**_with_nan(fields["errors"])),
            "reasons": tuple(fields["reasons"]),
            "camera_from_ct": tuple(tuple(row) for row in fields["camera_from_ct"]),
        }
    )


def _with_nan(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in record.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
