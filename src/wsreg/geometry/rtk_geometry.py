"""RTK's ThreeDCircularProjectionGeometry (XML): the cameras of a cone-beam scan.

Source: https://docs.openrtk.org, Geometry.  The world is RTK's fixed system (IEC 61217), its
origin the isocentre.  Each projection has three angles, the place of the source and that of the
detector's origin; the file knows nothing of pixels.  RTK's detector axes x, y and the beam, towards
-z, are left-handed, so the camera, whose axes are right-handed, sees the projection with left and
right exchanged.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.xml_files import parse_xml
from wsreg.geometry.calibration import Calibration, CalibrationDetails
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import exp_so3, rigid

ROOT = "RTKThreeDCircularGeometry"
_NAMES = (
    "SourceToIsocenterDistance", "SourceToDetectorDistance", "GantryAngle", "OutOfPlaneAngle",
    "InPlaneAngle", "SourceOffsetX", "SourceOffsetY", "ProjectionOffsetX", "ProjectionOffsetY",
    "RadiusCylindricalDetector",
)  # fmt: skip
MATRIX_TOLERANCE = 1e-4
"""How far, as a fraction of its largest entry, the matrix in the file may be off its parameters."""

MIRROR_NOTE = (
    "RTK's projections are mirrored against what the camera sees: read the X-rays with --mirror."
)
CENTRED_NOTE = "The origin of RTK's detector is taken for the middle of the image."


def calibrations_of_rtk(text: str, source: str, details: CalibrationDetails) -> list[Calibration]:
    """Return a camera for each projection, of the image with left and right exchanged.

    Args:
        text: of the file.
        source: its name, for messages.
        details: with rows, columns and pixel spacing, which the file does not have; the middle of
            the image is the detector's origin.

    Raises:
        InputError: no such geometry, a curved detector or parallel rays, a matrix that contradicts
            the parameters, or no rows, columns and pixel spacing.
    """
    missing = [n for n in ("rows", "columns", "pixel_spacing_mm") if not getattr(details, n)]
    if missing:
        raise InputError(
            f"{source} knows nothing of pixels: give {', '.join(missing)} of its projections "
            "(wsreg convert camera --rows --columns --pixel-spacing)"
        )
    root = parse_xml(text, source)
    common = _parameters(root, source)
    nodes = root.findall("Projection")
    if root.tag != ROOT or not nodes:
        raise InputError(f"{source} must hold <{ROOT}> with projections, got <{root.tag}>")
    found = []
    for number, node in enumerate(nodes, start=1):
        where = f"{source}: projection {number}"
        parameters = common | _parameters(node, where)
        _check_detector(parameters, where)
        _check_matrix(node.findtext("Matrix"), parameters, where)
        found.append(_calibration(parameters, f"projection-{number}", where, details))
    return found


def _calibration(
    parameters: dict[str, float], name: str, source: str, details: CalibrationDetails
) -> Calibration:
    assert details.rows is not None
    assert details.columns is not None
    assert details.pixel_spacing_mm is not None
    row_mm, column_mm = details.pixel_spacing_mm
    foot_x, foot_y = (
        parameters.get(f"SourceOffset{axis}", 0.0) - parameters.get(f"ProjectionOffset{axis}", 0.0)
        for axis in "XY"
    )
    camera = Camera(
        source_to_detector_mm=parameters["SourceToDetectorDistance"],
        rows=details.rows,
        columns=details.columns,
        pixel_spacing_mm=details.pixel_spacing_mm,
        principal_point_px=(
            (details.columns - 1) / 2 - foot_x / column_mm,  # the mirrored image's
            (details.rows - 1) / 2 + foot_y / row_mm,
        ),
    )
    axes = torch.diag(torch.tensor((-1.0, 1.0, -1.0), dtype=torch.float64))
    place = rigid(axes @ _rotation(parameters), -axes @ _source(parameters))
    notes = (MIRROR_NOTE, CENTRED_NOTE)
    return Calibration(name=name, source=source, camera=camera, place=place, notes=notes)


def _check_detector(parameters: dict[str, float], where: str) -> None:
    distance = parameters.get("SourceToDetectorDistance", 0.0)
    radius = parameters.get("RadiusCylindricalDetector", 0.0)
    if distance <= 0 or radius != 0:
        raise InputError(
            f"{where} must have a source and a flat detector, got a distance of {distance:g} and "
            f"a radius of {radius:g}"
        )


def _rotation(parameters: dict[str, float]) -> Tensor:
    """Return [3,3] from the fixed system to the detector's: angles of the scanner, so negative."""
    turns = []
    for axis, name in ((2, "InPlaneAngle"), (0, "OutOfPlaneAngle"), (1, "GantryAngle")):
        vector = torch.zeros(3, dtype=torch.float64)
        vector[axis] = -torch.pi / 180 * parameters.get(name, 0.0)
        turns.append(exp_so3(vector))
    return turns[0] @ turns[1] @ turns[2]


def _source(parameters: dict[str, float]) -> Tensor:
    """Return [3] the source in the detector's system."""
    names = ("SourceOffsetX", "SourceOffsetY", "SourceToIsocenterDistance")
    return torch.tensor([parameters.get(name, 0.0) for name in names], dtype=torch.float64)


def _check_matrix(text: str | None, parameters: dict[str, float], where: str) -> None:
    """Refuse a matrix that the parameters do not give; there may be none."""
    if text is None:
        return
    try:
        numbers = torch.tensor([float(word) for word in text.split()], dtype=torch.float64)
    except ValueError:
        raise InputError(f"{where} must have numbers in its matrix, got {text[:60]!r}") from None
    if len(numbers) != 12:
        raise InputError(f"{where} must have a matrix of 3 x 4 numbers, got {len(numbers)}")
    x, y, z = _source(parameters).tolist()
    distance = parameters.get("SourceToDetectorDistance", 0.0)
    offset_x, offset_y = (parameters.get(f"ProjectionOffset{axis}", 0.0) for axis in "XY")
    shift = torch.tensor(
        [[1.0, 0.0, x - offset_x], [0.0, 1.0, y - offset_y], [0.0, 0.0, 1.0]], dtype=torch.float64
    )
    project = torch.tensor(
        [[-distance, 0.0, 0.0, distance * x], [0.0, -distance, 0.0, distance * y],
         [0.0, 0.0, 1.0, -z]], dtype=torch.float64,
    )  # fmt: skip
    nothing = torch.zeros(3, dtype=torch.float64)
    expected = shift @ project @ rigid(_rotation(parameters), nothing)
    off = (numbers.reshape(3, 4) - expected).abs().max() / expected.abs().max()
    if float(off) > MATRIX_TOLERANCE:
        raise InputError(
            f"{where} must have the matrix of its parameters, got one that is off by "
            f"{float(off):.2g} of its largest entry"
        )


def _parameters(node: ElementTree.Element, where: str) -> dict[str, float]:
    found = {}
    for name in _NAMES:
        text = node.findtext(name)
        if text is not None:
            try:
                found[name] = float(text)
            except ValueError:
                raise InputError(f"{where}: {name} must be a number, got {text!r}") from None
            if not math.isfinite(found[name]):
                raise InputError(f"{where}: {name} must be finite, got {text!r}")
    return found
