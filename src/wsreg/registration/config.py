"""Settings of a registration."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.adam import AdamConfig
from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig
from wsreg.registration.starts.config import SearchConfig
from wsreg.registration.terms.config import RoiConfig
from wsreg.registration.ties import TieConfig
from wsreg.registration.verdict.config import TrustConfig
from wsreg.rendering.prepared import VOXEL_SIZES_MM
from wsreg.similarity.measure import Measure
from wsreg.similarity.measures import MEASURES, least_squares_names
from wsreg.similarity.ncc import LocalNcc, MultiscaleNcc
from wsreg.vocabulary import Backend, Method

METHODS = get_args(Method)


@dataclass(frozen=True, kw_only=True)
class LevelConfig:
    """One resolution of a registration.

    Args:
        image_px: longer side of the X-ray; one that is smaller stays as it is, but for sides under
            9 px.
        voxel_mm: of the CT, never finer than the CT is; None for the CT's own grid.
        measure: how the images are compared.
        apart: whether several bodies move by themselves here; else they move together.

    Raises:
        InputError: a size that is not positive, or no measure.
    """

    image_px: int
    voxel_mm: float | None
    measure: Measure = None  # type: ignore[assignment]  # refused below, in a sentence
    apart: bool = True

    def __post_init__(self) -> None:
        if not (self.image_px >= 2 and (self.voxel_mm is None or self.voxel_mm > 0)):
            raise InputError(
                f"a level's image_px must be at least 2 and its voxel_mm positive, "
                f"got {self.image_px} and {self.voxel_mm}"
            )
        is_class = isinstance(self.measure, type)
        if is_class or not callable(getattr(self.measure, "prepare", None)):
            raise InputError(
                f"a level must have a measure, one of {', '.join(MEASURES)}, got {self.measure!r}"
            )

    def record(self) -> dict[str, Any]:
        """Return the settings as plain values, with the measure's name."""
        record = dataclasses.asdict(self)
        settings = record["measure"] if isinstance(record["measure"], dict) else {}
        return {**record, "measure": {"name": self.measure.name, **settings}}


@dataclass(frozen=True, kw_only=True)
class PoseScale:
    """One number for each kind of pose parameter.

    Args:
        rotation_rad: about any axis.
        shift_mm: across the image (at the pivot).
        depth_mm: along the rays.
    """

    rotation_rad: float
    shift_mm: float
    depth_mm: float

    def vector(self, bodies: int) -> Tensor:
        """Return [6 bodies] float64, in the order of the pose parameters of each body."""
        turn, shift = self.rotation_rad, self.shift_mm
        one = torch.tensor([turn, turn, turn, shift, shift, self.depth_mm], dtype=torch.float64)
        return one.repeat(bodies)


WINDOWS_PX = ((7,), (9,), (5,))
LEVELS = tuple(
    LevelConfig(image_px=image_px, voxel_mm=voxel_mm, measure=measure, apart=image_px > 48)
    for image_px, voxel_mm, measure in zip(
        (48, 96, 192),
        VOXEL_SIZES_MM,
        (
            MultiscaleNcc(windows_px=WINDOWS_PX[0]),
            MultiscaleNcc(windows_px=WINDOWS_PX[1]),
            MultiscaleNcc(windows_px=WINDOWS_PX[2], global_weight=0.1),
        ),
        strict=True,
    )
)
"""Coarse to fine."""


def levels_with(name: str) -> tuple[LevelConfig, ...]:
    """Return the default levels with the measure of a name; NCC in windows has those of each level.

    Raises:
        InputError: there is no such measure.
    """
    if name not in MEASURES:
        raise InputError(f"similarity must be one of {', '.join(MEASURES)}, got {name!r}")
    if name == MultiscaleNcc.name:
        return LEVELS
    if name == LocalNcc.name:
        return tuple(
            dataclasses.replace(level, measure=LocalNcc(windows_px=windows))
            for level, windows in zip(LEVELS, WINDOWS_PX, strict=True)
        )
    return tuple(dataclasses.replace(level, measure=MEASURES[name]()) for level in LEVELS)


def judging_measure(level: LevelConfig) -> Measure | None:
    """Return the measure by which the verdict judges at a level; None if that is the level's own.

    The limits of the verdict are those of the default measure, so answers that another one found
    are judged by that of the default level whose size is nearest.
    """
    if isinstance(level.measure, MultiscaleNcc):
        return None
    return min(LEVELS, key=lambda one: abs(math.log(one.image_px / level.image_px))).measure


@dataclass(frozen=True, kw_only=True)
class RegistrationConfig:
    """Settings of a registration.

    Args:
        method: ``gauss-newton`` (Levenberg-Marquardt) or ``adam``, the paper's loop, also called
            ``paper``.
        levels: resolutions and measures, coarse to fine.
        probes: descents from perturbed starts, to see whether the answer is the only one.
        backend: renderer.
        seed: of everything random.
        descent: settings of Levenberg-Marquardt, and ``longest_step`` its longest step.
        adam: settings of Adam's loop, and ``adam_rates`` its learning rates (paper, section 3.1).
        search: how far and densely to search, and ``search_if_lost`` whether to do so where another
            start leads nowhere.
        trust: limits of the verdict.
        ties: how bodies hold on to the first one.
        rois: weights of the regions of interest, where they are given.
        roi_weight: of 1 - Dice, to the end.  By default regions are part of Adam's loss, with the
            weight of ``rois``, while for Gauss-Newton they lead and the image alone has the last
            word; with a weight they stay in its loss, less the more they disagree with the image.
        roi_approach: the same while regions alone bring poses near, before the image is looked at:
            distance leads and overlap finishes.

    Raises:
        InputError: for an unknown method, no level, or a measure that the method cannot minimise.
    """

    method: Method = "gauss-newton"
    levels: tuple[LevelConfig, ...] = LEVELS
    probes: int = 4
    backend: Backend = "auto"
    seed: int = 0
    descent: LevenbergMarquardtConfig = field(default_factory=LevenbergMarquardtConfig)
    longest_step: PoseScale = PoseScale(rotation_rad=0.12, shift_mm=25.0, depth_mm=60.0)
    adam: AdamConfig = field(default_factory=AdamConfig)
    adam_rates: PoseScale = PoseScale(rotation_rad=7.5e-3, shift_mm=7.5, depth_mm=7.5)
    search: SearchConfig = field(default_factory=SearchConfig)
    search_if_lost: bool = True
    trust: TrustConfig = field(default_factory=TrustConfig)
    ties: TieConfig = field(default_factory=TieConfig)
    rois: RoiConfig = field(default_factory=RoiConfig)
    roi_weight: float | None = None
    roi_approach: RoiConfig = field(default_factory=lambda: RoiConfig(dice_weight=0.01))

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.method == "paper":  # another name for it
            object.__setattr__(self, "method", "adam")
        for name in ("probes", "roi_weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"{name} must be at least 0, got {value}")
        if not self.levels:
            raise InputError("levels must name at least one level, got none")
        if not self.levels[-1].apart:
            raise InputError(
                "the last of levels must let bodies move apart, got apart=False; bodies=None "
                "registers the CT as one"
            )
        if self.method == "gauss-newton":
            self._check_least_squares()

    def _check_least_squares(self) -> None:
        """Refuse a measure that Gauss-Newton does not take; Adam takes any."""
        for level in self.levels:
            if not level.measure.least_squares:
                raise InputError(
                    f"method gauss-newton needs a measure with a least-squares form, one of "
                    f"{', '.join(least_squares_names())}, got {level.measure.name}; "
                    "method adam (--method adam) takes any"
                )

    @property
    def roi_terms(self) -> RoiConfig:
        """Return the weights of regions in the loss."""
        if self.roi_weight is None:
            return self.rois
        return dataclasses.replace(self.rois, dice_weight=self.roi_weight)

    def record(self) -> dict[str, Any]:
        """Return every setting as plain values."""
        return {**dataclasses.asdict(self), "levels": [level.record() for level in self.levels]}
