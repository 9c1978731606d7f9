"""Settings of a registration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from wsreg.errors import InputError
from wsreg.registration.adam import AdamConfig
from wsreg.registration.levenberg_marquardt import LevenbergMarquardtConfig
from wsreg.registration.roi_terms import RoiConfig
from wsreg.registration.search import SearchConfig
from wsreg.registration.trust import TrustConfig
from wsreg.vocabulary import Backend, Method

METHODS = get_args(Method)


@dataclass(frozen=True, kw_only=True)
class RegistrationConfig:
    """Settings of a registration; each tuple has one entry for each level, coarse to fine.

    Args:
        method: ``gauss-newton`` (Levenberg-Marquardt) or ``adam`` (the paper's loop).
        image_sizes_px: longer side of the X-ray.
        voxel_sizes_mm: of the CT; never finer than the CT is.
        window_sizes_px: windows of the local NCC.
        global_weight: share of global NCC in the similarity; local NCC has the rest.
        probes: descents from disturbed starts, to see whether the answer is the only one.
        backend: renderer.
        seed: of everything random.
        rois: weights of the regions of interest, where they are given.
        roi_approach: the same while regions alone bring poses near, before the image is looked at:
            distance leads and overlap finishes.
    """

    method: Method = "gauss-newton"
    image_sizes_px: tuple[int, ...] = (48, 96, 192)
    voxel_sizes_mm: tuple[float, ...] = (6.0, 3.0, 1.5)
    window_sizes_px: tuple[tuple[int, ...], ...] = ((7,), (9,), (5,))
    global_weight: float = 1.0 / 3.0
    probes: int = 4
    backend: Backend = "auto"
    seed: int = 0
    descent: LevenbergMarquardtConfig = field(default_factory=LevenbergMarquardtConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)
    rois: RoiConfig = field(default_factory=RoiConfig)
    roi_approach: RoiConfig = field(default_factory=lambda: RoiConfig(dice_weight=0.01))

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        lengths = {len(self.image_sizes_px), len(self.voxel_sizes_mm), len(self.window_sizes_px)}
        if len(lengths) != 1 or lengths == {0}:
            raise InputError(
                "image_sizes_px, voxel_sizes_mm and window_sizes_px must have one entry for each "
                f"level, got {len(self.image_sizes_px)}, {len(self.voxel_sizes_mm)} and "
                f"{len(self.window_sizes_px)}"
            )
