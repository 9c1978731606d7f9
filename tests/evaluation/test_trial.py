"""Trials as plain records."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from wsreg.evaluation.trial import Trial, trial_from_record, trial_to_record


def test_a_record_gives_the_trial_back(make_trial: Callable[..., Trial]) -> None:
    trial = make_trial(1.5, specimen="17-1882", projection="005", verdict="check")
    record = json.loads(json.dumps(trial_to_record(trial), allow_nan=False))
    assert record["errors"]["mpd_mm"] == 1.5
    assert trial_from_record(record) == trial


def test_what_has_no_number_has_none_afterwards(make_trial: Callable[..., Trial]) -> None:
    trial = make_trial(math.nan, answered=False, similarity_end=math.nan)
    record = json.loads(json.dumps(trial_to_record(trial), allow_nan=False))
    assert record["similarity_end"] is None
    back = trial_from_record(record)
    assert math.isnan(back.errors.mtre_3d_mm)
    assert math.isnan(back.similarity_end)


def test_another_record_is_no_trial(make_trial: Callable[..., Trial]) -> None:
    record = trial_to_record(make_trial(1.0))
    with pytest.raises(KeyError):
        trial_from_record({})
    with pytest.raises(TypeError):
        trial_from_record({**record, "unknown": 1})
