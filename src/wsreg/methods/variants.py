"""Methods in which one thing is changed, as Table 3, capture range and convergence ask for them.

``AnySimilarity`` is the paper's refinement (section 3.1) with another similarity, without or with
the overlap of regions; the encoder's pose is the start of all.  Beside it stands Gauss-Newton,
coarse to fine, for what has a least-squares form.  ``FromOff`` begins a known distance off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsreg.datasets.sample import Sample
from wsreg.evaluation.starts import seeded_start
from wsreg.methods.adam import PLAIN, adam_loop, plain_mncc
from wsreg.methods.artefact import Artefact
from wsreg.methods.method import Registrar
from wsreg.methods.models import encoder_of, segmenter_of, upright_pose
from wsreg.methods.paper import BETA_2
from wsreg.methods.preset import Preset
from wsreg.registration.config import RegistrationConfig, levels_with
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.schemes import rois_by_scheme
from wsreg.similarity.measure import Measure
from wsreg.similarity.measures import MEASURES
from wsreg.similarity.ncc import LocalNcc
from wsreg.vocabulary import SimilarityName

Solver = Literal["adam", "gauss-newton"]
SOLVERS: Mapping[Solver, str] = {"gauss-newton": "Gauss-Newton, coarse to fine", "adam": "Adam"}
"""With what they are called in print."""

SIMILARITIES: Mapping[SimilarityName, str] = {
    "local-ncc": "Local NCC", "global-ncc": "Global NCC", "gradient-ncc": "Gradient NCC",
    "ssim": "SSIM", "mse": "MSE", "mae": "MAE", "psnr": "PSNR", "multiscale-ncc": "mNCC",
}  # fmt: skip
"""The rows of the paper's Table 3, and the similarity of its method, as they are printed."""

START_DISTANCES_MM = (0, 20, 40, 60, 80, 100, 150, 200)
"""Of capture ranges, mean over the landmarks."""
DESCENT_MM = 20
"""How far off the descents begin whose convergence is drawn."""
START_SEED = 0


@dataclass(frozen=True, kw_only=True)
class AnySimilarity:
    """A refinement of the encoder's pose by one similarity, without or with regions."""

    similarity: SimilarityName
    solver: Solver
    with_rois: bool

    @property
    def name(self) -> str:
        """Return a name such as ``adam-ssim-rois``."""
        return f"{self.solver}-{self.similarity}{'-rois' if self.with_rois else ''}"

    @property
    def title(self) -> str:
        """Return the similarity as tables call it."""
        return SIMILARITIES[self.similarity]

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return the encoder, and the U-Net where regions count."""
        encoder = Artefact(kind="encoder", specimen=specimen, losses="geo-ncc-roi")
        unet = Artefact(kind="unet", specimen=specimen)
        return (unet, encoder) if self.with_rois else (encoder,)

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return the descent from the encoder's pose.

        Adam compares regions of a U-Net in both images, Gauss-Newton those of a U-Net in the X-ray
        with the CT's labels, rendered; either to the end.
        """
        encoder, unet = encoder_of(folders, "geo-ncc-roi"), segmenter_of(folders, "unet")
        config = self._config(preset)

        def run(sample: Sample) -> RegistrationResult:
            start = upright_pose(encoder(sample), sample)
            rois: RoiTarget | None = None
            if self.with_rois:
                scheme: Literal["unet", "ours"] = "unet" if self.solver == "adam" else "ours"
                rois = rois_by_scheme(scheme, sample.radiograph, sample.volume, fixed=unet(sample))
            return register(
                sample.radiograph, sample.volume, init=start, rois=rois, bodies=None,
                config=config,
            )  # fmt: skip

        return run

    def _config(self, preset: Preset) -> RegistrationConfig:
        weight = BETA_2 if self.with_rois else 0.0
        if self.solver == "adam":
            return adam_loop(preset, _measure(self.similarity, preset), roi_weight=weight)
        return RegistrationConfig(
            levels=levels_with(self.similarity),
            roi_weight=weight if self.with_rois else None,
            search_if_lost=False,
        )


@dataclass(frozen=True, kw_only=True)
class FromOff:
    """A descent on the image alone, the CT as one body, from a start that is so far off."""

    solver: Solver
    distance_mm: int

    @property
    def name(self) -> str:
        """Return a name such as ``adam-from-20-mm``."""
        return f"{self.solver}-from-{self.distance_mm}-mm"

    @property
    def title(self) -> str:
        """Return the solver as figures call it."""
        return SOLVERS[self.solver]

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return none: nothing is trained."""
        return ()

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return the descent; no search follows."""
        return self.descent(preset)

    def descent(
        self, preset: Preset, *, trace: bool = False
    ) -> Callable[[Sample], RegistrationResult]:
        """Return the same, which may keep its way."""
        if self.solver == "adam":
            config = adam_loop(preset, plain_mncc(preset))
        else:
            config = RegistrationConfig(search_if_lost=False)

        def run(sample: Sample) -> RegistrationResult:
            start = seeded_start(sample, self.distance_mm, START_SEED)
            return register(
                sample.radiograph, sample.volume, init=start, bodies=None, config=config,
                trace=trace,
            )  # fmt: skip

        return run


def _measure(similarity: SimilarityName, preset: Preset) -> Measure:
    """Return a similarity in windows of the preset's size, all of which count alike."""
    if similarity == "multiscale-ncc":
        return plain_mncc(preset)
    if similarity == "local-ncc":
        return LocalNcc(windows_px=(preset.window_px,), windows=PLAIN)
    return MEASURES[similarity]()


SIMILARITY_VARIANTS: Mapping[str, AnySimilarity] = {
    one.name: one
    for one in (
        AnySimilarity(similarity=similarity, solver=solver, with_rois=with_rois)
        for solver in SOLVERS
        for similarity in SIMILARITIES
        for with_rois in (False, True)
        if solver == "adam" or MEASURES[similarity].least_squares
    )
}
CAPTURE_VARIANTS: Mapping[str, FromOff] = {
    one.name: one
    for one in (
        FromOff(solver=solver, distance_mm=distance_mm)
        for solver in SOLVERS
        for distance_mm in START_DISTANCES_MM
    )
}
