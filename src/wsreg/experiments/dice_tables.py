"""The paper's Table 2, Dice of segmentation networks, from the Dice of each image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wsreg.errors import InputError
from wsreg.experiments import cells
from wsreg.experiments.published import QUOTED, TABLE_2
from wsreg.experiments.table import Block, Cell, Column, ResultTable

Images = Literal["X-rays", "rendered"]
IMAGES: tuple[Images, ...] = ("X-rays", "rendered")
"""X-rays, and renderings of the CT at their true poses."""

NOTE = (
    "Mean ± standard deviation over images of the mean over the regions that an image shows; each "
    "specimen by a network that has not seen it."
)
BOX_NOTE = (
    "A MedSAM is told boxes around the true masks, each side off by up to 10 of 1024 pixels, as a "
    "person's would be."
)


@dataclass(frozen=True, kw_only=True)
class DiceScore:
    """How well a network found the regions of one image.

    Args:
        network: as tables print it, such as ``U-Net``.
        images: which of the two kinds the image is of.
        specimen, projection: of the image; the network has not seen the specimen.
        dice: by region, NaN where the truth does not show it.
    """

    network: str
    images: Images
    specimen: str
    projection: str
    dice: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Return the mean over the regions that are there; NaN if there are none."""
        known = [value for value in self.dice.values() if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")


def table_2(scores: Sequence[DiceScore]) -> list[ResultTable]:
    """Return Table 2: networks on both kinds of images, by specimen, and by region.

    Raises:
        InputError: there are no scores.
    """
    if not scores:
        raise InputError("scores must be at least 1, got none")
    networks = list(dict.fromkeys(score.network for score in scores))
    rows = [[cells.text(images), *_pair_row(scores, networks, images)] for images in IMAGES]
    shown = [*networks, *(name for name in TABLE_2["X-rays"] if name not in networks)]
    missing = [cells.text("")] * 2 * (len(shown) - len(networks))
    quoted = [[cells.text(images), *_quoted_row(shown, images)] for images in IMAGES]
    main = ResultTable(
        name="table2",
        title="The paper's Table 2: Dice of the regions found",
        columns=[
            Column(key="images", title="Images"),
            *(
                Column(key=f"{key}_{part}", title=f"{name}{words}")
                for key, name in _keys(shown)
                for part, words in (("dice", ""), ("n", ", n"))
            ),
        ],
        blocks=[
            Block(source="measured", title="", rows=[[*row, *missing] for row in rows]),
            Block(source="quoted", title=QUOTED, rows=quoted),
        ],
        notes=[NOTE, *([BOX_NOTE] if "MedSAM" in networks else [])],
    )
    specimens = list(dict.fromkeys(score.specimen for score in scores))
    regions = list(dict.fromkeys(name for score in scores for name in score.dice))
    by_specimen = {
        name: [score for score in scores if score.specimen == name] for name in specimens
    }
    folds = _grid("table2-folds", "The paper's Table 2: every fold", "Specimen left out", networks,
                  {name: _means(some) for name, some in by_specimen.items()})  # fmt: skip
    parts = _grid("table2-regions", "The paper's Table 2: every region", "Region", networks,
                  {name: _of_region(scores, name) for name in regions})  # fmt: skip
    return [main, folds, parts]


def dice_cell(values: Iterable[float]) -> Cell:
    """Return mean and standard deviation of Dice [N]; NaN, where there is none, is left out."""
    known = np.asarray([value for value in values if not np.isnan(value)], dtype=np.float64)
    if not len(known):
        return cells.mean_sd(np.nan, np.nan)
    return cells.mean_sd(float(known.mean()), float(known.std()), digits=3)


_Values = Mapping[tuple[str, Images], Sequence[float]]
"""(network, images) -> Dice of each image."""


def _means(scores: Sequence[DiceScore]) -> _Values:
    found: dict[tuple[str, Images], list[float]] = {}
    for score in scores:
        found.setdefault((score.network, score.images), []).append(score.mean)
    return found


def _of_region(scores: Sequence[DiceScore], region: str) -> _Values:
    found: dict[tuple[str, Images], list[float]] = {}
    for score in scores:
        value = score.dice.get(region, float("nan"))
        found.setdefault((score.network, score.images), []).append(value)
    return found


def _grid(
    name: str, title: str, first: str, networks: Sequence[str], rows: Mapping[str, _Values]
) -> ResultTable:
    """Return a row for each name, a column for each network and kind of images."""
    pairs = [(key, network, images) for key, network in _keys(networks) for images in IMAGES]
    made = [
        [cells.text(row), *(dice_cell(found.get((n, images), ())) for _, n, images in pairs)]
        for row, found in rows.items()
    ]
    columns = [
        Column(key=f"{key}_{'xrays' if images == 'X-rays' else images}", title=f"{n}, {images}")
        for key, n, images in pairs
    ]
    return ResultTable(
        name=name,
        title=title,
        columns=[Column(key="row", title=first), *columns],
        blocks=[Block(source="measured", title="", rows=made)],
        notes=[NOTE],
    )


def _pair_row(scores: Sequence[DiceScore], networks: Sequence[str], images: Images) -> list[Cell]:
    """Return Dice of each network, and of how many images: those that show a region."""
    found = _means(scores)
    values = [[d for d in found.get((name, images), []) if not np.isnan(d)] for name in networks]
    return [cell for some in values for cell in (dice_cell(some), cells.count(len(some)))]


def _quoted_row(networks: Sequence[str], images: Images) -> list[Cell]:
    quoted = TABLE_2[images]
    pairs = [
        (cells.quoted(quoted[name]) if name in quoted else cells.text(""), cells.text(""))
        for name in networks
    ]
    return [cell for pair in pairs for cell in pair]


def _keys(networks: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name in the CSV file, name in print) of each network."""
    return [(name.lower().replace("-", "").replace(" ", "_"), name) for name in networks]


def score_to_record(score: DiceScore) -> dict[str, Any]:
    """Return plain values; NaN becomes None, which strict JSON can hold."""
    dice = {name: None if math.isnan(value) else value for name, value in score.dice.items()}
    return {**dataclasses.asdict(score), "dice": dice}


def score_from_record(record: Mapping[str, Any]) -> DiceScore:
    """Return the score of a record, the inverse of :func:`score_to_record`."""
    dice = {name: math.nan if value is None else value for name, value in record["dice"].items()}
    return DiceScore(**{**record, "dice": dice})
