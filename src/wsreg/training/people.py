"""CTs of many virtual people, for an encoder that knows pelvises and no patient."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from wsreg.errors import InputError
from wsreg.jobs.process_pool import begin_worker
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
    if count < FEWEST:
        raise InputError(f"people must be at least {FEWEST}, got {count}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or usable_cores(), context, begin_worker) as executor:
        yield from executor.map(functools.partial(_ct_of, seed), range(count))


def _ct_of(seed: int, index: int) -> Volume:
    generator = np.random.default_rng((seed, STREAM, index))
    person = sample_person(generator, "male" if index % 2 else "female")
    return scan(build_specimen(person, DETAIL), CT_MM)
