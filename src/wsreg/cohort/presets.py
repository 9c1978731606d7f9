"""What a cohort holds: which people, how many X-rays of each, and how fine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.specimens.person import Person, Sex, sample_person
from wsreg.specimens.specimen import Detail

SPECIMENS: Mapping[str, int] = {
    "17-1882": 111, "18-1109": 104, "18-0725": 24, "18-2799": 48, "18-2800": 55, "17-1905": 24,
}  # fmt: skip
"""DeepFluoro's specimens and how many X-rays it has of each; the virtual ones bear their names."""

SEXES: Mapping[str, Sex] = {
    "17-1882": "male", "18-1109": "female", "18-0725": "male", "18-2799": "female",
    "18-2800": "male", "17-1905": "female",
}  # fmt: skip

SOURCE_TO_DETECTOR_MM = 1020.0
DETECTOR_MM = 1536 * 0.194


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How a cohort is made.

    Args:
        name: of the preset.
        xrays: how many X-rays of each specimen.
        ct_mm: voxel side of the CTs.
        image_px: rows and columns of the X-rays; the detector is always 298 mm wide.
        detail: of the fine geometry.
    """

    name: str
    xrays: Mapping[str, int]
    ct_mm: float
    image_px: int
    detail: Detail

    @property
    def camera(self) -> Camera:
        """Return the geometry of every X-ray."""
        spacing_mm = DETECTOR_MM / self.image_px
        return Camera(
            source_to_detector_mm=SOURCE_TO_DETECTOR_MM,
            rows=self.image_px,
            columns=self.image_px,
            pixel_spacing_mm=(spacing_mm, spacing_mm),
        )


PRESETS: Mapping[str, Preset] = {
    "paper": Preset(name="paper", xrays=SPECIMENS, ct_mm=1.0, image_px=1536, detail=Detail()),
    "small": Preset(
        name="small",
        xrays=dict.fromkeys(SPECIMENS, 12),
        ct_mm=1.5,
        image_px=384,
        detail=Detail(),
    ),
    "tiny": Preset(
        name="tiny",
        xrays=dict.fromkeys(SPECIMENS, 2),
        ct_mm=4.0,
        image_px=96,
        detail=Detail(bone_mm=2.0, body_mm=4.0),
    ),
}
"""``tiny`` is for trying things out: made in seconds, too coarse to measure anything on."""


def person_of(specimen: str, seed: int) -> Person:
    """Return the person behind a specimen's name: the same in every preset.

    Raises:
        InputError: for a name that is not one of ``SPECIMENS``.
    """
    if specimen not in SPECIMENS:
        raise InputError(f"specimen must be one of {', '.join(SPECIMENS)}, got {specimen!r}")
    generator = np.random.default_rng((seed, list(SPECIMENS).index(specimen)))
    return sample_person(generator, SEXES[specimen])
