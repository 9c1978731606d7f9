"""Distance and pixel spacing at the detector from a DICOM header, and doubts about them."""

from __future__ import annotations

from typing import NamedTuple

from wsreg.dicom.header import Header
from wsreg.geometry.plausibility import USUAL_DETECTOR_MM, USUAL_DISTANCE_MM

Pair = tuple[float, float]

SAME = 0.05
"""Relative difference up to which two statements of a header agree."""

MAX_MAGNIFICATION = 10.0
"""No patient lies so near to the source that the image is larger."""

FLUOROSCOPY = ("XA", "RF")
"""Modalities in which PixelSpacing, if it is there at all, is calibrated at the patient."""


class HeaderGeometry(NamedTuple):
    """Millimetres at the detector: distance from the source, and (row, column) pixel spacing."""

    source_to_detector_mm: float | None
    pixel_spacing_mm: Pair | None


class _Distances(NamedTuple):
    """Millimetres from the source to the detector and to the patient, None where not known."""

    detector_mm: float | None
    patient_mm: float | None

    @property
    def magnification(self) -> float | None:
        if self.detector_mm is None or self.patient_mm is None:
            return None
        return self.detector_mm / self.patient_mm if self.patient_mm < self.detector_mm else None


def read_geometry(header: Header, shape: tuple[int, int], modality: str) -> HeaderGeometry:
    """Return what a header says of the detector; doubts are added to its notes.

    Spacing at the patient becomes spacing at the detector by the magnification in the header, and
    without one it is None.

    Args:
        header: of the frame.
        shape: rows and columns as stored.
        modality: of the file.
    """
    distances = _distances(header)
    factor = _estimated_magnification(header)
    spacing_mm = _spacing_mm(header, shape, modality, distances, factor)
    if factor is not None and _differ(factor, distances.magnification):
        header.note(
            f"Warning: EstimatedRadiographicMagnificationFactor {factor:g} contradicts the "
            f"distances to detector and patient, which make it {distances.magnification:.3g}."
        )
    if spacing_mm is not None:
        _check_detector(header, shape, spacing_mm)
    return HeaderGeometry(distances.detector_mm, spacing_mm)


def _distances(header: Header) -> _Distances:
    detector = header.positive("DistanceSourceToDetector", 1)
    patient = header.positive("DistanceSourceToPatient", 1)
    patient = patient or header.positive("DistanceSourceToIsocenter", 1)
    found = _Distances(detector[0] if detector else None, patient[0] if patient else None)
    low, high = USUAL_DISTANCE_MM
    if found.detector_mm is not None and not low <= found.detector_mm <= high:
        header.note(
            f"Warning: DistanceSourceToDetector {found.detector_mm:g} mm is outside of "
            f"{low:g} to {high:g} mm, which machines have."
        )
    if None not in found and found.magnification is None:
        header.note(
            f"Warning: the patient is not between source and detector, the distances are "
            f"{found.patient_mm:g} mm to the patient and {found.detector_mm:g} mm to the detector."
        )
    return found


def _estimated_magnification(header: Header) -> float | None:
    values = header.positive("EstimatedRadiographicMagnificationFactor", 1)
    if values is None:
        return None
    if not 1.0 <= values[0] <= MAX_MAGNIFICATION:
        header.note(
            "Ignored EstimatedRadiographicMagnificationFactor, which must lie in 1 to "
            f"{MAX_MAGNIFICATION:g}, got {values[0]:g}."
        )
        return None
    return values[0]


def _spacing_mm(
    header: Header,
    shape: tuple[int, int],
    modality: str,
    distances: _Distances,
    factor: float | None,
) -> Pair | None:
    patient = _pair(header, "PixelSpacing")
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        detector = _pair(header, keyword)
        if detector is not None:
            if patient is not None:
                _compare(header, keyword, detector, patient, factor or distances.magnification)
            return detector
    calibrated = header.word("PixelSpacingCalibrationType")
    if patient is not None and not calibrated and _fills_detector(header, shape, patient):
        header.note(
            f"PixelSpacing {patient} stands in for the absent ImagerPixelSpacing: with it the "
            "image is as large as the header says of the detector or the field of view."
        )
        return patient
    found = _from_patient(header, modality, distances, factor)
    return found if found is not None else _from_elements(header, shape)


def _from_elements(header: Header, shape: tuple[int, int]) -> Pair | None:
    """Return spacing by that of the detector's elements, of which a pixel may be several."""
    elements = _pair(header, "DetectorElementSpacing")
    if elements is None:
        return None
    binning = _pair(header, "DetectorBinning")
    if binning is not None:
        spacing = (elements[0] * binning[0], elements[1] * binning[1])
        header.note(
            f"DetectorElementSpacing {elements} times DetectorBinning {binning} stands in for the "
            "absent ImagerPixelSpacing."
        )
        return spacing
    if _fills_detector(header, shape, elements):
        header.note(
            f"DetectorElementSpacing {elements} stands in for the absent ImagerPixelSpacing: with "
            "it the image is as large as the header says of the detector or the field of view."
        )
        return elements
    header.note(
        f"DetectorElementSpacing {elements} is not used: a pixel may be several elements, and the "
        "header says neither ImagerPixelSpacing nor DetectorBinning; give the spacing at the "
        "detector by pixel_spacing_mm (--pixel-spacing)."
    )
    return None


def _from_patient(
    header: Header, modality: str, distances: _Distances, factor: float | None
) -> Pair | None:
    """Return spacing at the detector from that at the patient, None without a magnification."""
    keyword = (
        "PixelSpacing" if _pair(header, "PixelSpacing") else "ObjectPixelSpacingInCenterOfBeam"
    )
    patient = _pair(header, keyword)
    magnified = patient and _magnified(header, keyword, patient, distances, factor)
    if patient is None or magnified is not None:
        return magnified
    calibrated = header.word("PixelSpacingCalibrationType")
    if keyword == "PixelSpacing" and not calibrated and modality not in FLUOROSCOPY:
        header.note(
            f"Warning: PixelSpacing {patient} stands in for the absent ImagerPixelSpacing; the "
            "header does not say whether it is that of the detector or, which would put the depth "
            "wrong, of the patient (--pixel-spacing with --override-header gives another)."
        )
        return patient
    why = f"PixelSpacingCalibrationType {calibrated}" if calibrated else "no ImagerPixelSpacing"
    header.note(
        f"{keyword} {patient} is not used: it is spacing at the patient ({why}), and the header "
        "lacks the magnification to the detector; give the detector's by pixel_spacing_mm "
        "(--pixel-spacing)."
    )
    return None


def _magnified(
    header: Header, keyword: str, patient: Pair, distances: _Distances, factor: float | None
) -> Pair | None:
    """Return spacing at the patient as it is at the detector."""
    name = "EstimatedRadiographicMagnificationFactor"
    if factor is None:
        factor, name = distances.magnification, "the ratio of the distances"
    if factor is None:
        return None
    detector = (patient[0] * factor, patient[1] * factor)
    header.note(
        f"{keyword} {patient} is spacing at the patient; times {name} {factor:.4g} it is "
        f"({detector[0]:.4g}, {detector[1]:.4g}) mm at the detector, which is used."
    )
    return detector


def _compare(
    header: Header, keyword: str, detector: Pair, patient: Pair, factor: float | None
) -> None:
    """Hold two spacings that a header has against each other and against the magnification."""
    ratio = detector[0] / patient[0]
    if not _differ(ratio, 1.0) and not _differ(ratio, detector[1] / patient[1]):
        return
    calibrated = header.word("PixelSpacingCalibrationType")
    plausible = 1.0 <= ratio <= MAX_MAGNIFICATION and not _differ(ratio, detector[1] / patient[1])
    if plausible and not _differ(ratio, factor) and (factor is not None or calibrated):
        header.note(f"{keyword} {detector} is used, PixelSpacing {patient} is at the patient.")
        return
    header.note(
        f"Warning: {keyword} {detector} is used, PixelSpacing {patient} differs from it"
        + ("." if factor is None else f", not by the magnification of {factor:.3g}.")
    )


def _fills_detector(header: Header, shape: tuple[int, int], spacing_mm: Pair) -> bool:
    extent = _extent_mm(shape, spacing_mm)
    return any(
        not any(_differ(have, said) for have, said in zip(extent, size, strict=True))
        for size in _detector_sizes(header).values()
    )


def _detector_sizes(header: Header) -> dict[str, Pair]:
    """Return sizes (shorter, longer side) in mm by the fields that give them."""
    sizes = {}
    for keyword in (
        "DetectorActiveDimensions",
        "FieldOfViewDimensions",
        "FieldOfViewDimensionsInFloat",
    ):
        values = header.numbers(keyword)
        if values is None or len(values) > 2 or min(values) <= 0:
            continue
        sizes[keyword] = (min(values), max(values))
    return sizes


def _check_detector(header: Header, shape: tuple[int, int], spacing_mm: Pair) -> None:
    """Note where the image is not as large as a detector, or as the header says of this one."""
    extent = _extent_mm(shape, spacing_mm)
    size = f"{extent[0]:.0f} x {extent[1]:.0f} mm"
    low, high = USUAL_DETECTOR_MM
    if not low <= extent[1] <= high:
        header.note(
            f"Warning: with this spacing the image is {size} large at the detector, detectors are "
            f"{low:g} to {high:g} mm."
        )
    for keyword, said in _detector_sizes(header).items():
        larger = any(have > (1 + SAME) * most for have, most in zip(extent, said, strict=True))
        # a detector may be read out in part, the field of view is what the image shows
        smaller = keyword != "DetectorActiveDimensions" and extent[1] < (1 - 2 * SAME) * said[1]
        if larger or smaller:
            header.note(
                f"Warning: with this spacing the image is {size} large at the detector, "
                f"{keyword} says {said[0]:g} x {said[1]:g} mm."
            )


def _extent_mm(shape: tuple[int, int], spacing_mm: Pair) -> Pair:
    """Return the shorter and the longer side, for headers differ in what they call rows."""
    sides = (shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
    return min(sides), max(sides)


def _pair(header: Header, keyword: str) -> Pair | None:
    values = header.positive(keyword, 2)
    return None if values is None else (values[0], values[1])


def _differ(one: float, other: float | None) -> bool:
    return other is not None and abs(one - other) > SAME * max(abs(one), abs(other))
