"""Medians of Dice with intervals, and paired tests of networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from wsreg.experiments import cells
from wsreg.experiments.columns import SEED
from wsreg.experiments.dice_tables import IMAGES, DiceScore, Images
from wsreg.experiments.statistics import holm, interval_of, resamplings, signed_rank_p
from wsreg.experiments.table import ResultTable, measured_table

MEDIANS_NOTE = (
    "Medians over images of the mean over the regions that an image shows, with 95 % bootstrap "
    "intervals over images within specimens."
)
TESTS_NOTE = (
    "Wilcoxon's signed-rank test on the images that both networks were tried on, two-sided; the "
    "last column has Holm's correction over this table. Images of a specimen are not independent "
    "of each other, which makes p-values too small."
)
_TESTS = {
    "images": "Images", "network": "Network", "reference": "Against", "pairs": "n",
    "better": "Better", "worse": "Worse", "difference": "Median difference", "p": "p",
    "p_holm": "p, Holm",
}  # fmt: skip


def dice_medians(scores: Sequence[DiceScore]) -> ResultTable:
    """Return a row for each kind of image and network."""
    rows = []
    for images, network in _groups(scores):
        own = [one for one in _of(scores, images, network) if not np.isnan(one.mean)]
        values = np.array([one.mean for one in own])
        chosen = resamplings([one.specimen for one in own], np.random.default_rng(SEED))
        rows.append(
            [
                cells.text(images),
                cells.text(network),
                cells.count(len(own)),
                cells.with_interval(
                    float(np.median(values)), interval_of(np.median(values[chosen], axis=1)),
                    "median", 3,
                ),
            ]
        )  # fmt: skip
    return measured_table(
        "table2-medians",
        "The paper's Table 2: medians with 95 % intervals",
        {"images": "Images", "network": "Network", "n": "n", "dice": "Dice"},
        rows,
        [MEDIANS_NOTE],
    )


def dice_tests(scores: Sequence[DiceScore]) -> ResultTable:
    """Return a row for each kind of image and two networks that were tried on the same."""
    found: list[tuple[Images, str, str, np.ndarray[tuple[int], np.dtype[np.float64]]]] = []
    for images in IMAGES:
        names = [network for kind, network in _groups(scores) if kind == images]
        for reference, network in itertools.combinations(names, 2):
            theirs = {(s.specimen, s.projection): s.mean for s in _of(scores, images, reference)}
            gained = [
                one.mean - theirs.get((one.specimen, one.projection), np.nan)
                for one in _of(scores, images, network)
            ]
            known = np.array([value for value in gained if not np.isnan(value)])
            if len(known):
                found.append((images, network, reference, known))
    p_values = [signed_rank_p(known) for *_, known in found]
    rows = [
        [
            *map(cells.text, words),
            *cells.paired(
                len(known),
                int((known > 0).sum()),
                int((known < 0).sum()),
                float(np.median(known)),
                p,
                adjusted,
            ),
        ]
        for (*words, known), p, adjusted in zip(found, p_values, holm(p_values), strict=True)
    ]
    return measured_table(
        "table2-tests", "The paper's Table 2: paired tests", _TESTS, rows, [TESTS_NOTE]
    )


def _groups(scores: Sequence[DiceScore]) -> list[tuple[Images, str]]:
    """Return (images, network) of all that have a Dice, in the order of tables."""
    networks = list(dict.fromkeys(score.network for score in scores))
    known = {(s.images, s.network) for s in scores if not np.isnan(s.mean)}
    return [(i, name) for i in IMAGES for name in networks if (i, name) in known]


def _of(scores: Sequence[DiceScore], images: Images, network: str) -> list[DiceScore]:
    return [one for one in scores if (one.images, one.network) == (images, network)]
