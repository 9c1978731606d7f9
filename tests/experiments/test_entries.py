from __future__ import annotations

from collections.abc import Callable

import pytest

from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial
from wsreg.experiments.entries import Entry, of_specimen


def test_an_xray_comes_once(make_trial: Callable[..., Trial]) -> None:
    with pytest.raises(InputError, match="diffpose must have each X-ray once, got A/000 2 times"):
        Entry(name="diffpose", title="", role="paper", trials=[make_trial(1.0), make_trial(2.0)])
    with pytest.raises(InputError, match="at least 1, got none"):
        Entry(name="diffpose", title="", role="paper", trials=[])


def test_one_specimen(make_entry: Callable[..., Entry]) -> None:
    entry = make_entry("ours", [1.0, 2.0, 3.0, 4.0])
    assert entry.specimens == ("A", "B")
    assert [trial.errors.mpd_mm for trial in of_specimen(entry, "B").trials] == [3.0, 4.0]
    with pytest.raises(InputError, match="at least 1, got none"):
        of_specimen(entry, "C")
