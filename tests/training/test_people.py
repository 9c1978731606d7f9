from __future__ import annotations

import pytest
import torch

from wsreg.cohort.presets import SPECIMENS, person_of
from wsreg.errors import InputError
from wsreg.training import people
from wsreg.training.people import people_cts
from wsreg.volumes.identity import ct_sha256


def test_people_differ_and_are_the_same_for_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "FEWEST", 2)
    first = list(people_cts(2, 0, workers=2))
    assert {ct_sha256(ct) for ct in first} == {ct_sha256(ct) for ct in people_cts(2, 0, workers=1)}
    a, b = first
    assert ct_sha256(a) != ct_sha256(b)
    assert a.label_names == b.label_names
    assert set(a.label_values) == {1, 2, 3, 4, 5, 6}
    assert a.spacing_mm == pytest.approx((people.CT_MM,) * 3)


def test_no_one_is_in_a_cohort(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(people, "build_specimen", lambda person, detail: made.append(person))
    monkeypatch.setattr(people, "scan", lambda specimen, mm: torch.zeros(1))
    for index in range(12):
        people._ct_of(0, index)
    cohort = {person_of(name, 0).tissue_seed for name in SPECIMENS}
    assert not cohort & {person.tissue_seed for person in made}
    assert [person.sex for person in made[:3]] == ["female", "male", "female"]


def test_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="people must be at least 16, got 15"):
        next(people_cts(15, 0))
