"""PSSS: a patient's own regression network, trained on rendered images, then refinement.

B. Zhang, S. Faghihroohi, M.F. Azampour et al., "A patient-specific self-supervised model for
automatic X-ray/CT registration", MICCAI 2023; public code:
https://github.com/BaochangZhang/PSSS_registration.

Taken from it: the network learns poses of simulated X-rays of the patient's CT by an error of the
pose alone; harder images come as training proceeds (its incremental learning); the pose is refined
by gradients of zero-mean NCC of whole images, 100 steps of Adam, 5 mm and 0.5 degrees a step at
first (its registration demo, which keeps the best pose seen, as ours does), halved every 20.

Decided here: the error is the geodesic one of WSReg's encoders instead of L2 of pose vectors; the
network and the poses it learns are those of all encoders here, not its autoencoder with
self-attention, whose weights and training are not public; randomised appearance stands for its
simulated X-rays; for presets with fewer steps of Adam all loops are shortened alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsreg.datasets.sample import Sample
from wsreg.methods.adam import adam_loop
from wsreg.methods.artefact import Artefact
from wsreg.methods.method import Registrar
from wsreg.methods.models import encoder_of, upright_pose
from wsreg.methods.preset import Preset
from wsreg.optimisation.adam import AdamConfig
from wsreg.registration.config import PoseScale
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.similarity.ncc import GlobalNcc

RATES = PoseScale(rotation_rad=math.radians(0.5), shift_mm=5.0, depth_mm=5.0)
STEPS_OF_PAPER = 0.4
"""Its 100 steps, of the paper's 250."""


@dataclass(frozen=True, kw_only=True)
class Psss:
    """An encoder trained with the geodesic loss alone, then Adam on global NCC."""

    name: str = "psss"
    title: str = "PSSS"

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return the encoder of the specimen."""
        return (Artefact(kind="encoder", specimen=specimen, losses="geo"),)

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return the descent from the encoder's pose."""
        steps = max(1, round(STEPS_OF_PAPER * preset.adam_steps))
        adam = AdamConfig(steps=steps, decay=0.5, decay_every=20)
        config = adam_loop(preset, GlobalNcc(), adam=adam, rates=RATES)
        encoder = encoder_of(folders, "geo")

        def run(sample: Sample) -> RegistrationResult:
            start = upright_pose(encoder(sample), sample)
            return register(sample.radiograph, sample.volume, init=start, config=config)

        return run
