"""CTs of many virtual people, for networks that know pelvises and no patient."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from wsreg.errors import InputError
from wsreg.jobs.process_pool import ProcessPool
from wsreg.specimens.ct import scan
from wsreg.specimens.person import sample_person
from wsreg.specimens.specimen import Detail, build_specimen
from wsreg.threads import usable_cores
from wsreg.volumes.volume import Volume

DETAIL, CT_MM = Detail(bone_mm=1.5, body_mm=4.0), 3.0
"""Finer than what is rendered of them."""
FEWEST = 16
"""Of these two are not learnt from."""
STREAM = 2001
"""Of random numbers, for people that no cohort has."""


def people_cts(count: int, seed: int, workers: int | None = None) -> Iterator[Volume]:
    """Yield the CTs of people, women and men in turn, none of whom is in a cohort.

    Args:
        count: how many.
        seed: of them.
        workers: processes that make them; one for each usable core if None.

    Raises:
        InputError: fewer than ``FEWEST``.
    """
    check_people(count)
    with ProcessPool(workers or usable_cores()) as pool:
        yield from pool.map(functools.partial(_ct_of, seed), range(count))


def check_people(count: int) -> None:
    """Refuse so few people that none can be held out.

    Raises:
        InputError: fewer than ``FEWEST``.
    """
    if count < FEWEST:
        raise InputError(f"people must be at least {FEWEST}, got {count}")


def person_ct(seed: int, index: int, detail: Detail, ct_mm: float) -> Volume:
    """Return the CT of one of the people: its geometry as fine as ``detail``, voxels of ct_mm."""
    generator = np.random.default_rng((seed, STREAM, index))
    person = sample_person(generator, "male" if index % 2 else "female")
    return scan(build_specimen(person, detail), ct_mm)


def _ct_of(seed: int, index: int) -> Volume:
    return person_ct(seed, index, DETAIL, CT_MM)
