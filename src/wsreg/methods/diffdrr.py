"""DiffDRR: optimisation alone, from the PA pose.

V. Gopalakrishnan, P. Golland, "Fast auto-differentiable digitally reconstructed radiographs for
solving inverse problems in intraoperative imaging", CLIP at MICCAI 2022; public code:
https://github.com/eigenvivek/DiffDRR.

Taken from it: gradients through the renderer to the pose, NCC of whole images as the loss, one
start and no training.  WSReg's table compares with it as the method that "only optimises".

Decided here: the start is the PA view with the CT's middle in the middle of the image, as WSReg
has its T_PA; its code offers gradient descent, with momentum or not, and Adam, of which Adam is
taken, with the rates, decay and number of steps of the other baselines; the renderer is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsreg.datasets.sample import Sample
from wsreg.methods.adam import adam_loop
from wsreg.methods.artefact import Artefact
from wsreg.methods.method import Registrar
from wsreg.methods.preset import Preset
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.similarity.ncc import GlobalNcc
from wsreg.volumes.views import view_pose


@dataclass(frozen=True, kw_only=True)
class DiffDrr:
    """Adam on NCC from the PA pose."""

    name: str = "diffdrr"
    title: str = "DiffDRR"

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return none: nothing is trained."""
        return ()

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return the descent from the PA pose."""
        config = adam_loop(preset, GlobalNcc())

        def run(sample: Sample) -> RegistrationResult:
            start = view_pose(sample.volume, sample.camera, "PA")
            return register(sample.radiograph, sample.volume, init=start, config=config)

        return run
