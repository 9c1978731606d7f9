"""The paper's method: regions of interest in the loss of the encoder and of the refinement.

Y. Cui, M.Q.-H. Meng, Z. Min, "Weakly-supervised 2D/3D image registration via differentiable X-ray
rendering and ROI segmentation", MICCAI 2025.

Taken from it: the encoder's three losses, regions found by a frozen U-Net in both images (section
2.3, beta_1 = 0.01, beta_2 = 0.1); its pose as the start; 250 steps of Adam at 0.0075 rad and 7.5 mm
on mNCC and Dice of regions that networks find in the X-ray (hard masks, once) and in the rendered
image (probabilities, in each step): a U-Net in both, or MedSAM in both, whose boxes are those of
the X-ray (section 2.2), or MedSAM in the X-ray and a U-Net in the rendered image (case study,
section 3.2).  Networks of regions have not seen the specimen (leave one out).

Decided here: the objective is 1 - mNCC + beta_2 (1 - Dice), since both are maximised (section 2.2
prints their sum as minimised); rates fall by a tenth every 25 steps, as in DiffPose, on which it
builds; the side of the windows; one encoder, trained with the U-Net's regions, starts all variants
("the same pose initialization conditions"); the best pose seen is kept.

Boxes are simulated, as in the paper: those of the true masks, moved by up to 10 of 1024 pixels, a
person's in its place.  They tell MedSAM roughly where the bones truly are, which no other method
here is told.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.methods.adam import adam_loop, plain_mncc
from wsreg.methods.artefact import Artefact
from wsreg.methods.method import Registrar
from wsreg.methods.models import encoder_of, segmenter_of, upright_pose
from wsreg.methods.preset import Preset
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.segmentation.boxes import boxes_from_masks
from wsreg.segmentation.schemes import rois_by_scheme
from wsreg.training.layers import true_masks
from wsreg.vocabulary import Scheme
from wsreg.volumes.region_names import labels_of_region

BETA_2 = 0.1
BOX_NOISE = 10 / 1024
"""How far a box is moved at most, as a fraction of the image's side."""


@dataclass(frozen=True, kw_only=True)
class WsReg:
    """The paper's method with one of its schemes of regions: ``unet``, ``medsam`` or ``mixed``."""

    name: str
    title: str
    scheme: Scheme

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return the encoder, and the networks of regions."""
        unet = Artefact(kind="unet", specimen=specimen)
        medsam = Artefact(kind="medsam", specimen=specimen)
        encoder = Artefact(kind="encoder", specimen=specimen, losses="geo-ncc-roi")
        regions = {"unet": (unet,), "medsam": (medsam,)}.get(self.scheme, (unet, medsam))
        return (*regions, encoder)

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return the descent from the encoder's pose, on image and regions."""
        config = adam_loop(preset, plain_mncc(preset), roi_weight=BETA_2)
        encoder = encoder_of(folders, "geo-ncc-roi")
        unet, medsam = segmenter_of(folders, "unet"), segmenter_of(folders, "medsam")

        def run(sample: Sample) -> RegistrationResult:
            start = upright_pose(encoder(sample), sample)
            fixed = unet(sample) if self.scheme == "unet" else medsam(sample)
            rois = rois_by_scheme(
                self.scheme, sample.radiograph, sample.volume, fixed=fixed,
                moving=unet(sample) if self.scheme == "mixed" else None,
                boxes=simulated_boxes(sample, fixed.roi_names) if fixed.needs_boxes else None,
            )  # fmt: skip
            return register(sample.radiograph, sample.volume, init=start, rois=rois, config=config)

        return run


def simulated_boxes(sample: Sample, roi_names: tuple[str, ...]) -> Tensor:
    """Return [R,4] boxes (pixels) as a person might draw them, the same for the same sample.

    A box is that of the region's true mask, moved as a whole by up to ``BOX_NOISE`` of the image's
    width in columns and rows; NaN where the region is not in the image or its pose not known.
    """
    groups = [labels_of_region(name, sample.volume) for name in roi_names]
    labels = sorted({label for group in groups for label in group})
    masks, _ = true_masks(sample, labels)
    empty = torch.zeros_like(masks[:1])
    whole = [
        torch.cat((empty, masks[[labels.index(label) for label in group]])).any(dim=0)
        for group in groups
    ]
    generator = torch.Generator().manual_seed(zlib.crc32(sample.name.encode()))
    noise = 2.0 * torch.rand(len(groups), 2, generator=generator) - 1.0
    return boxes_from_masks(torch.stack(whole)) + BOX_NOISE * masks.shape[-1] * noise.repeat(1, 2)
