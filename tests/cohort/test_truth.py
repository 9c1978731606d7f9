"""Grey values and labels of a whole cohort's X-rays against its CTs at the stored poses.

Landmarks and labels do not tell whether the bones' densities are where the truth says: this does.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wsreg.cohort import exposure
from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.image_shift import image_shift_px
from wsreg.rendering.render import render
from wsreg.specimens.ct import LABELS
from wsreg.specimens.silhouettes import label_map
from wsreg.specimens.specimen import Detail

# The CT's voxel is an even number of fine ones, as nearly in the presets (1.5 and 1.0 of 0.6 mm).
COARSE = Preset(
    name="coarse",
    xrays={"17-1882": 10, "18-1109": 10},
    ct_mm=3.0,
    image_px=128,
    detail=Detail(bone_mm=1.5, body_mm=4.0),
)
PELVIS = torch.tensor([1, 2, 4], dtype=torch.uint8)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Through the file and back, of people who lie as in the CT; X-rays with little noise."""
    path: Path = tmp_path_factory.mktemp("truth") / "cohort.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exposure, "FEMUR_SD_DEG", (0.0, 0.0, 0.0))
        patch.setattr(exposure, "TISSUE_SD_MM", 0.0)
        patch.setattr(exposure, "TISSUE_SD_SCALE", 0.0)
        patch.setattr(
            exposure,
            "RANGES",
            dataclasses.replace(exposure.RANGES, tool_counts={0: 1.0}, photons_per_mm2=(3e5, 3e5)),
        )
        build_cohort(path, COARSE, 0, tuple(COARSE.xrays), workers=1)
    with DeepFluoroFile(path) as file:
        return list(file.samples())


def test_no_xray_lies_off_its_ct(samples: list[Sample]) -> None:
    turned = torch.tensor([bool(sample.record["rot_180_for_up"]) for sample in samples])
    assert 5 <= turned.sum() <= 15
    shifts = torch.stack([_xray_shift_px(sample) for sample in samples])
    for group in (turned, ~turned):
        _assert_no_shift(shifts[group])
    _assert_no_shift(shifts)


def test_labels_lie_on_the_labels_of_the_ct(samples: list[Sample]) -> None:
    """Coarsely, as labels on 3 mm voxels are; whether anything is turned or mirrored."""
    offsets = torch.stack([_label_offset_px(sample) for sample in samples])
    assert offsets.abs().max() < 2.5
    assert offsets.mean(dim=0).abs().max() < 0.6


def _xray_shift_px(sample: Sample) -> Tensor:
    rendered = render(sample.volume, sample.camera, sample.camera_from_ct[None])[0, 0]
    return image_shift_px(sample.radiograph.image, rendered, sample.radiograph.mask)


def _label_offset_px(sample: Sample) -> Tensor:
    """[2] (column,row) between the centroids of hips and sacrum, under what lies over them."""
    rois = [(value,) for value in LABELS.values()]
    pose = sample.camera_from_ct[None]
    path_mm = render(sample.volume, sample.camera, pose, rois=rois, attenuation=False)[0]
    rendered = label_map(path_mm > COARSE.ct_mm)
    assert sample.labels is not None
    stored, posed = (
        torch.nonzero(torch.isin(x, PELVIS)).double().mean(dim=0) for x in (sample.labels, rendered)
    )
    return (stored - posed).flip(0)


def _assert_no_shift(shifts_px: Tensor) -> None:
    """Whether the mean of [N,2] shifts is zero, to a precision that means something."""
    assert shifts_px.mean(dim=0).abs().max() < 0.05, shifts_px.mean(dim=0)
    standard_error = shifts_px.std(dim=0) / len(shifts_px) ** 0.5
    assert standard_error.max() < 0.03, standard_error
