"""The loop that published methods refine poses by: Adam on one image size, the whole CT as one."""

from __future__ import annotations

from wsreg.methods.preset import Preset
from wsreg.optimisation.adam import AdamConfig
from wsreg.registration.config import LevelConfig, PoseScale, RegistrationConfig
from wsreg.registration.terms.config import RoiConfig
from wsreg.similarity.measure import Measure
from wsreg.similarity.ncc import MultiscaleNcc
from wsreg.similarity.window_ncc import WindowConfig

DIFFPOSE_RATES = PoseScale(rotation_rad=7.5e-3, shift_mm=7.5, depth_mm=7.5)
"""DiffPose's, which the paper took over (section 3.1)."""
PLAIN = WindowConfig(weight_floor=0.0, robust_scale=0.0)
"""Windows that all count alike."""


def plain_mncc(preset: Preset) -> MultiscaleNcc:
    """Return the paper's L_mNCC: half global, half the mean of windows, none more than another.

    Windows stand a third of their side apart, not a pixel: the mean is nearly the same.
    """
    return MultiscaleNcc(windows_px=(preset.window_px,), windows=PLAIN, global_weight=0.5)


def adam_loop(
    preset: Preset,
    measure: Measure,
    *,
    adam: AdamConfig | None = None,
    rates: PoseScale = DIFFPOSE_RATES,
    roi_weight: float = 0.0,
) -> RegistrationConfig:
    """Return settings of a registration by Adam alone.

    Args:
        preset: sizes, and steps where ``adam`` does not say.
        measure: how images are compared.
        adam: steps, and how the rates fall; by default as DiffPose's (0.9 every 25).
        rates: learning rates.
        roi_weight: of 1 - Dice of regions, where some are given.
    """
    level = LevelConfig(image_px=preset.image_px, voxel_mm=preset.voxel_mm, measure=measure)
    return RegistrationConfig(
        method="adam",
        levels=(level,),
        probes=0,
        adam=adam or AdamConfig(steps=preset.adam_steps),
        adam_rates=rates,
        rois=RoiConfig(dice_weight=roi_weight, distance_weight=0.0),
    )
