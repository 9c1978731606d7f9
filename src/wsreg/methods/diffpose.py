"""DiffPose: a patient's encoder trained with geodesics and mNCC, then Adam on multiscale NCC.

V. Gopalakrishnan, N. Dey, P. Golland, "Intraoperative 2D/3D image registration via differentiable
X-ray rendering", CVPR 2024; public code: https://github.com/eigenvivek/DiffPose.

Taken from it: the loss of the encoder, 1 - mNCC + 0.01 (double geodesic + geodesic on SE(3)),
which is WSReg's without regions; the range of poses (preset ``paper``); the refinement, NCC half of
whole images and half in windows, Adam at 0.0075 rad and 7.5 mm a step, less a tenth every 25 steps.

Decided here: images are rendered whole, as its script for DeepFluoro does; patches drawn by the
encoder's attention (the paper's sparse rendering) save time where rendering is slow, and windows
a third of their side apart are what is left of it; windows of 13 pixels (the paper's) in preset
``paper``, 9 (the script's) in ``small``; as many steps as WSReg's 250, not 500; the best pose seen
is kept, not the last; the encoder's network and optimiser are those of all encoders here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsreg.datasets.sample import Sample
from wsreg.methods.adam import adam_loop, plain_mncc
from wsreg.methods.artefact import Artefact
from wsreg.methods.method import Registrar
from wsreg.methods.models import encoder_of, upright_pose
from wsreg.methods.preset import Preset
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult


@dataclass(frozen=True, kw_only=True)
class DiffPose:
    """An encoder trained with geodesics and mNCC, then Adam on mNCC."""

    name: str = "diffpose"
    title: str = "DiffPose"

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return the encoder of the specimen."""
        return (Artefact(kind="encoder", specimen=specimen, losses="geo-ncc"),)

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return the descent from the encoder's pose."""
        config = adam_loop(preset, plain_mncc(preset))
        encoder = encoder_of(folders, "geo-ncc")

        def run(sample: Sample) -> RegistrationResult:
            start = upright_pose(encoder(sample), sample)
            return register(sample.radiograph, sample.volume, init=start, config=config)

        return run
