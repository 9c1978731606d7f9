"""Numbers of the paper, quoted: they are of DeepFluoro's 366 real X-rays, another data set.

Y. Cui, M. Q.-H. Meng, Z. Min, "Weakly-Supervised 2D/3D Image Registration via Differentiable X-ray
Rendering and ROI Segmentation", MICCAI 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

QUOTED = "Quoted from the paper: DeepFluoro, 366 real X-rays, another data set"
"""Title of what is quoted."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of the paper: mean ± standard deviation with its digits, and SRR as a fraction."""

    mtre_mm: str
    srr: float
    re_deg: str
    te_mm: str


def _row(mtre_mm: str, srr: float, re_deg: str, te_mm: str) -> Published:
    return Published(mtre_mm=mtre_mm, srr=srr, re_deg=re_deg, te_mm=te_mm)


TABLE_1: Mapping[str, Published] = {
    "DiffDRR": _row("25.08 ± 24.01", 0.26, "10.8 ± 9.6", "72.5 ± 63.2"),
    "PSSS": _row("4.40 ± 4.63", 0.26, "1.8 ± 2.0", "10.1 ± 10.0"),
    "DiffPose": _row("1.01 ± 3.24", 0.83, "0.4 ± 1.3", "2.1 ± 5.8"),
    "WSReg, as in Table 1": _row("0.67 ± 1.34", 0.87, "0.2 ± 0.5", "1.6 ± 2.9"),
    "WSReg, U-Net, as in section 3.2": _row("0.74 ± 1.97", 0.85, "0.25 ± 0.50", "1.64 ± 2.96"),
    "WSReg, MedSAM, as in section 3.2": _row("0.95 ± 3.01", 0.84, "0.27 ± 0.61", "3.15 ± 1.70"),
}
"""Table 1 and the two variants of section 3.2, whose U-Net is not the last row of Table 1."""

TABLE_2: Mapping[str, Mapping[str, str]] = {
    "X-rays": {"U-Net": "0.81 ± 0.07", "MedSAM": "0.85 ± 0.07"},
    "rendered": {"U-Net": "0.80 ± 0.07", "MedSAM": "0.85 ± 0.06"},
}
"""Dice by images and network; the paper calls them real and synth."""

TABLE_3: Mapping[str, tuple[Published, Published]] = {
    "Local NCC": (
        _row("2.83 ± 6.33", 0.72, "1.1 ± 2.4", "6.9 ± 14.3"),
        _row("2.15 ± 6.38", 0.78, "0.7 ± 1.9", "5.4 ± 13.3"),
    ),
    "Global NCC": (
        _row("4.39 ± 4.71", 0.24, "1.9 ± 2.0", "10.1 ± 10.1"),
        _row("3.51 ± 3.68", 0.27, "1.5 ± 1.5", "8.5 ± 9.0"),
    ),
    "Gradient NCC": (
        _row("11.12 ± 7.35", 0.04, "4.0 ± 2.2", "46.8 ± 25.6"),
        _row("9.95 ± 7.39", 0.09, "3.5 ± 2.3", "40.1 ± 28.2"),
    ),
    "SSIM": (
        _row("13.62 ± 8.63", 0.02, "5.6 ± 3.2", "48.7 ± 26.2"),
        _row("5.55 ± 5.14", 0.10, "2.1 ± 1.7", "14.7 ± 13.3"),
    ),
    "MSE": (
        _row("9.84 ± 6.46", 0.00, "4.2 ± 2.1", "31.1 ± 19.9"),
        _row("9.23 ± 6.12", 0.01, "3.9 ± 2.2", "29.7 ± 19.1"),
    ),
    "MAE": (
        _row("10.38 ± 6.61", 0.01, "4.3 ± 2.2", "34.8 ± 21.2"),
        _row("9.85 ± 5.92", 0.01, "4.1 ± 2.0", "32.3 ± 19.3"),
    ),
    "PSNR": (
        _row("10.21 ± 6.50", 0.00, "4.3 ± 2.3", "33.9 ± 20.2"),
        _row("10.13 ± 6.75", 0.00, "4.2 ± 2.2", "33.9 ± 21.3"),
    ),
}
"""Similarity -> (without, with) the overlap of regions."""

CASE_STUDY = "18-2799"
"""The patient of the case study, for whom the paper prints no numbers."""
