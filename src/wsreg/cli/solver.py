"""Options of how to search and solve, and the settings that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from wsreg.cli.options import Convention, Labels, OptionalFile
from wsreg.cli.regions import Regions
from wsreg.vocabulary import Backend, InitName, Method, SimilarityName

if TYPE_CHECKING:
    from wsreg.registration.config import RegistrationConfig

Bodies = Annotated[tuple[str, ...], arg(metavar="auto|pelvis|none|FILE|NAME=LABEL,LABEL ...")]
INITS = "POSE|search|dicom|roi|encoder:DIR|landmarks:FILE"
Tolerance = Annotated[
    tuple[float, float, float] | None,
    arg(metavar="MM FRACTION MM", help_behavior_hint="(default: 10 0.005 2)"),
]


@dataclass(frozen=True, kw_only=True)
class Solver:
    """How to search and solve."""

    init: Annotated[InitName | Path, arg(metavar=INITS)] = "search"
    """Where to start: a pose (pose.json, result.json, ITK transform, OpenCV's R and t, matrix), a
    search around --view, the X-ray's C-arm angles, the regions of --roi, what an encoder finds
    (wsreg train encoder; encoder:generic comes with wsreg and serves any pelvis), or landmarks: a
    JSON file {"image_px": {"left-asis": [column, row], ...}, "ct_mm": {"left-asis": [x, y, z]}}."""
    ct_landmarks: OptionalFile = None
    """For landmarks, those of the CT in a file of their own: JSON, or 3D Slicer's markups."""
    other_patient: bool = False
    """Take an encoder that was trained on another CT all the same."""
    pose_convention: Convention = None
    """What the numbers of a pose file mean, where it does not say."""
    view: Annotated[str | None, arg(metavar="PA|AP|LAT|RLAT|DEG,DEG")] = None
    """View to search around: a name, or C-arm angles "primary,secondary" in degrees; by default the
    one that the X-ray's header names, else PA."""
    bodies: Bodies = ("auto",)
    """What moves by itself: pelvis (pelvis and spine, femurs, the rest, by the labels' names), none
    (the whole CT as one), or auto (pelvis where labels have these names).  Or bodies of one's own:
    NAME=LABEL,LABEL ..., or a .json file of these."""
    render_labels: Labels = ()
    """Register these bones only, as one: label values or names.  From a pose they are looked for
    within 40 mm of it; the rest of the CT goes along, nearly free (Adam renders them alone)."""
    calibration_tolerance: Tolerance = None
    """How well the cameras are known, one standard deviation of the source-to-detector distance, of
    the pixel spacing as a fraction of it, and of the principal point on the detector; all answers'
    standard deviations take it in."""
    method: Annotated[Method | None, arg(help_behavior_hint="(default: gauss-newton)")] = None
    """Levenberg-Marquardt (gauss-newton), or the paper's 250 steps of Adam (paper, or adam); by
    default what --scheme and --similarity ask for."""
    similarity: SimilarityName = "multiscale-ncc"
    """What is maximised: how alike X-ray and rendered image are (docs/similarities.md).  ssim and
    mutual-information are for Adam.  The verdict always goes by multiscale-ncc."""
    backend: Backend = "auto"
    """Renderer; auto takes the fastest that runs here."""
    device: Literal["cpu"] = "cpu"
    """Where to compute; so far on the CPU only."""
    seed: int = 0
    """Seed of everything random."""


def method_of(solver: Solver, regions: Regions) -> Method:
    """Return the solver asked for, or the one that scheme and similarity ask for."""
    from wsreg.similarity.measures import MEASURES

    takes_any = not MEASURES[solver.similarity].least_squares
    return solver.method or ("adam" if takes_any else regions.method)


def registration_config(solver: Solver, regions: Regions) -> RegistrationConfig:
    """Return the settings of a registration.

    Raises:
        InputError: a tolerance that cannot be, or a similarity that the method does not take.
    """
    from wsreg.registration.config import RegistrationConfig, levels_with
    from wsreg.registration.verdict.calibration import CalibrationTolerance
    from wsreg.registration.verdict.config import TrustConfig

    trust = TrustConfig()
    if solver.calibration_tolerance is not None:
        distance_mm, spacing_fraction, point_mm = solver.calibration_tolerance
        trust = TrustConfig(
            calibration=CalibrationTolerance(
                source_to_detector_mm=distance_mm,
                pixel_spacing_fraction=spacing_fraction,
                principal_point_mm=point_mm,
            )
        )
    return RegistrationConfig(
        method=method_of(solver, regions),
        levels=levels_with(solver.similarity),
        backend=solver.backend,
        seed=solver.seed,
        trust=trust,
        roi_weight=regions.roi_weight,
    )


def load_solver(backend: Backend) -> None:
    """Import what registers and writes, and load its kernels, before they are needed."""
    from wsreg.rendering.loading import load_kernels
    from wsreg.rendering.render import resolve_backend

    if resolve_backend(backend) == "numba":
        load_kernels()
