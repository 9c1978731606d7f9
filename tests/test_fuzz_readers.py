"""Some hundred broken files of every kind: read, or refused by name; see benchmarks."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import fuzz_readers as fuzz
from fuzz_mutations import mutated

CASES, PARTS = 480, 8
SEED = 20_15
"""Of these cases alone: those of the benchmark are others."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Whole files of every kind, each of which is read once."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, fuzz.make_seeds(folder, fuzz.all_seeds())


@pytest.mark.parametrize("part", range(PARTS))
def test_broken_files_are_read_or_refused_by_name(
    whole: tuple[Path, dict[str, bytes]], part: int, tmp_path: Path
) -> None:
    folder, contents = whole
    seeds = fuzz.all_seeds()
    faults = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(part, CASES, PARTS):
            seed = seeds[number % len(seeds)]
            case = fuzz.outcome_of(seed, folder, contents, (SEED, number), tmp_path)
            if case["result"] not in fuzz.GOOD:
                faults.append((number, seed.name, *case.values()))
    assert faults == []


def test_a_case_is_the_same_file_every_time(whole: tuple[Path, dict[str, bytes]]) -> None:
    folder, contents = whole
    generators = [np.random.default_rng((1, 2)) for _ in range(2)]
    seeds = [seed for seed in fuzz.all_seeds() if "cohort" not in seed.name]
    for seed in seeds:
        name = fuzz._breakable(folder / seed.name)[0].name
        data = contents[seed.name]
        one, other = (mutated(name, data, contents, rng) for rng in generators)
        assert one == other
