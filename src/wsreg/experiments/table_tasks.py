"""Tasks that make the paper's tables of trials and Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wsreg.datasets.layout import QUESTIONABLE
from wsreg.datasets.preparation import Preparation
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.experiments.dice_comparisons import dice_medians, dice_tests
from wsreg.experiments.dice_scores import dice_scores
from wsreg.experiments.dice_tables import DiceScore, score_from_record, score_to_record, table_2
from wsreg.experiments.similarity_tables import SimilarityPair, table_3
from wsreg.experiments.tables import Scheme, case_study, table_1
from wsreg.experiments.tasks import entries_in, write_tables
from wsreg.files.json_files import read_json, write_json
from wsreg.jobs.task import Place
from wsreg.methods.run import xrays_of
from wsreg.methods.variants import SIMILARITIES, SIMILARITY_VARIANTS, SOLVERS, AnySimilarity
from wsreg.segmentation.segmenter import load_segmenter

SCORES_FILE = "dice.json"
NETWORKS = {"unet": "U-Net", "medsam": "MedSAM"}
"""As tables call them."""
SCHEME_NETWORKS = {
    "wsreg-unet": ("unet", "unet"),
    "wsreg-medsam": ("medsam", "medsam"),
    "wsreg-mixed": ("medsam", "unet"),
}
"""Scheme of the case study -> who finds regions in the X-ray, and who in rendered images."""


def score_dice(place: Place, *, network: str, specimen: str, xrays: int | None) -> None:
    """Measure the network that has not seen a specimen on its X-rays and on renderings of them.

    Args:
        place: with the data and the network.
        network: ``unet`` or ``medsam``.
        specimen: whose X-rays.
        xrays: at most so many, the first ones; all if None.
    """
    segmenter = load_segmenter(place.made[f"{network}-{specimen}"], kind=network)
    preparation = Preparation(size_px=segmenter.card.size_px)
    with DeepFluoroFile(place.files["data"], preparation) as file:
        scores = [
            score
            for key in xrays_of(file, specimen, xrays)
            for score in dice_scores(NETWORKS[network], segmenter, file.sample(*key))
        ]
    write_json(place.out / SCORES_FILE, [score_to_record(score) for score in scores])


def scores_in(folders: Mapping[str, Path]) -> list[DiceScore]:
    """Return the Dice of all images, networks in the order of tables."""
    files = [folder / SCORES_FILE for folder in folders.values()]
    records = [one for file in files if file.exists() for one in read_json(file)]
    scores = [score_from_record(record) for record in records]
    return sorted(scores, key=lambda score: list(NETWORKS.values()).index(score.network))


def table_1_tables(place: Place) -> None:
    """Write Table 1 from all trials."""
    with DeepFluoroFile(place.files["data"]) as file:
        doubtful = frozenset() if file.virtual else QUESTIONABLE
    write_tables(table_1(list(entries_in(place.made).values()), doubtful), place.out)


def table_2_tables(place: Place) -> None:
    """Write Table 2 from the Dice of all images."""
    scores = scores_in(place.made)
    write_tables([*table_2(scores), dice_medians(scores), dice_tests(scores)], place.out)


def table_3_tables(place: Place) -> None:
    """Write Table 3 from all trials, and its twin by Gauss-Newton."""
    entries = entries_in(place.made)
    tables = []
    for solver, title in (("adam", "Adam"), ("gauss-newton", SOLVERS["gauss-newton"])):
        pairs = [
            SimilarityPair(
                title=SIMILARITIES[one.similarity],
                without=entries[one.name], with_rois=entries[f"{one.name}-rois"],
            )
            for one in _without_rois(list(SIMILARITY_VARIANTS.values()))
            if one.solver == solver
        ]  # fmt: skip
        tables += table_3(pairs, "table3" if solver == "adam" else f"table3-{solver}", title)
    write_tables(tables, place.out)


def _without_rois(variants: Sequence[AnySimilarity]) -> list[AnySimilarity]:
    return [one for one in variants if not one.with_rois]


def case_study_tables(place: Place) -> None:
    """Write the tables of the case study."""
    scores = scores_in(place.made)
    schemes = []
    for name, entry in entries_in(place.made).items():
        in_xray, in_rendered = (NETWORKS[kind] for kind in SCHEME_NETWORKS[name])
        schemes.append(
            Scheme(
                entry=entry,
                dice_xray=_means(scores, in_xray, "X-rays"),
                dice_rendered=_means(scores, in_rendered, "rendered"),
            )
        )
    write_tables(case_study(schemes), place.out)


def _means(scores: Sequence[DiceScore], network: str, images: str) -> list[float]:
    return [one.mean for one in scores if (one.network, one.images) == (network, images)]
