from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from wsreg.dicom.header import file_header
from wsreg.radiographs.header_geometry import HeaderGeometry, read_geometry

SHAPE = (1000, 800)
"""With 0.3 mm at the detector 300 x 240 mm."""


def geometry(modality: str = "DX", **fields: Any) -> tuple[HeaderGeometry, list[str]]:
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    header = file_header(dataset)
    return read_geometry(header, SHAPE, modality), header.notes


def test_spacing_at_the_detector_comes_first() -> None:
    found, notes = geometry(DistanceSourceToDetector=1800, ImagerPixelSpacing=[0.3, 0.31])
    assert found == (1800.0, (0.3, 0.31))
    assert notes == []
    found, notes = geometry("CR", NominalScannedPixelSpacing=[0.2, 0.2], PixelSpacing=[0.2, 0.2])
    assert found.pixel_spacing_mm == (0.2, 0.2)
    assert notes == []


@pytest.mark.parametrize("modality", ["DX", "CR", "XA", "RF"])
@pytest.mark.parametrize("calibration", ["GEOMETRY", "FIDUCIAL", None])
def test_spacing_at_the_patient_is_magnified(modality: str, calibration: str | None) -> None:
    fields: dict[str, Any] = {"PixelSpacing": [0.2, 0.25]}
    if calibration:
        fields["PixelSpacingCalibrationType"] = calibration
    found, notes = geometry(modality, **fields, EstimatedRadiographicMagnificationFactor="1.5")
    assert found.pixel_spacing_mm == pytest.approx((0.3, 0.375))
    assert "(0.2, 0.25) is spacing at the patient" in notes[0]
    assert "Factor 1.5 it is (0.3, 0.375) mm at the detector" in notes[0]
    found, notes = geometry(
        modality, **fields, DistanceSourceToDetector=1200, DistanceSourceToPatient=1000
    )
    assert found.pixel_spacing_mm == pytest.approx((0.24, 0.3))
    assert "the ratio of the distances 1.2 it is (0.24, 0.3) mm" in notes[0]


@pytest.mark.parametrize(
    ("modality", "fields"),
    [
        ("DX", {"PixelSpacingCalibrationType": "GEOMETRY"}),
        ("CR", {"PixelSpacingCalibrationType": "FIDUCIAL"}),
        ("XA", {}),
        ("RF", {"DistanceSourceToDetector": 1000}),
    ],
)
def test_without_a_magnification_it_is_no_spacing(modality: str, fields: dict[str, Any]) -> None:
    found, notes = geometry(modality, PixelSpacing=[0.2, 0.2], **fields)
    assert found.pixel_spacing_mm is None
    assert "is not used: it is spacing at the patient" in notes[-1]
    assert "--pixel-spacing" in notes[-1]


def test_old_files_with_only_pixel_spacing() -> None:
    """DX and CR that say nothing of a calibration: as most often the detector's, with a warning."""
    found, notes = geometry("CR", PixelSpacing=[0.3, 0.3])
    assert found.pixel_spacing_mm == (0.3, 0.3)
    assert notes[0].startswith("Warning: PixelSpacing (0.3, 0.3) stands in")
    found, notes = geometry("XA", PixelSpacing=[0.3, 0.3], FieldOfViewDimensions=[300, 240])
    assert found.pixel_spacing_mm == (0.3, 0.3)
    assert notes[0].startswith("PixelSpacing (0.3, 0.3) stands in")


def test_spacing_in_the_middle_of_the_beam() -> None:
    fields = {"ObjectPixelSpacingInCenterOfBeam": [0.2, 0.2], "DistanceSourceToIsocenter": 700.0}
    found, _ = geometry("XA", DistanceSourceToDetector=1050.0, **fields)
    assert found.pixel_spacing_mm == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"DistanceSourceToDetector": 100}, "100 mm is outside of 300 to 3000 mm"),
        ({"DistanceSourceToDetector": 10000}, "outside of 300 to 3000"),
        (
            {"DistanceSourceToDetector": 1000, "DistanceSourceToPatient": 1000},
            "not between source and detector",
        ),
        (
            {
                "DistanceSourceToDetector": 1200, "DistanceSourceToPatient": 1000,
                "EstimatedRadiographicMagnificationFactor": 1.5,
            },
            "Factor 1.5 contradicts the distances to detector and patient, which make it 1.2",
        ),
        ({"EstimatedRadiographicMagnificationFactor": 0.7}, "must lie in 1 to 10, got 0.7"),
        ({"ImagerPixelSpacing": [0.03, 0.03]}, "is 24 x 30 mm large at the detector"),
        ({"ImagerPixelSpacing": [3, 3]}, "is 2400 x 3000 mm large at the detector"),
        ({"DetectorActiveDimensions": [240, 200]}, "DetectorActiveDimensions says 200 x 240 mm"),
        ({"FieldOfViewDimensions": [430, 350]}, "FieldOfViewDimensions says 350 x 430 mm"),
        ({"FieldOfViewDimensions": [230]}, "FieldOfViewDimensions says 230 x 230 mm"),
        ({"PixelSpacing": [0.1, 0.1]}, "PixelSpacing (0.1, 0.1) differs from it."),
        (
            {"PixelSpacing": [0.25, 0.25], "EstimatedRadiographicMagnificationFactor": 1.5},
            "differs from it, not by the magnification of 1.5",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together(fields: dict[str, Any], warning: str) -> None:
    _, notes = geometry(**{"ImagerPixelSpacing": [0.3, 0.3], **fields})
    assert len(notes) == 1
    assert warning in notes[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"DetectorActiveDimensions": [430, 430]},
        {"DetectorActiveDimensions": [300, 240]},
        {"FieldOfViewDimensions": [240, 300]},
        {"FieldOfViewDimensions": [300]},
        {"PixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.5},
        {"DistanceSourceToDetector": 1500, "DistanceSourceToPatient": 1000},
    ],
)
def test_what_goes_together(fields: dict[str, Any]) -> None:
    found, notes = geometry(ImagerPixelSpacing=[0.3, 0.3], **fields)
    assert found.pixel_spacing_mm == (0.3, 0.3)
    assert not [note for note in notes if "Warning" in note]


def test_spacing_of_the_detectors_elements() -> None:
    elements: dict[str, Any] = {"DetectorElementSpacing": [0.15, 0.2]}
    found, notes = geometry(**elements, DetectorBinning=[2, 3])
    assert found.pixel_spacing_mm == pytest.approx((0.3, 0.6))
    assert (
        "times DetectorBinning (2.0, 3.0) stands in for the absent ImagerPixelSpacing" in notes[0]
    )
    size = [SHAPE[0] * 0.15, SHAPE[1] * 0.2]
    found, notes = geometry(**elements, DetectorActiveDimensions=size)
    assert found.pixel_spacing_mm == (0.15, 0.2)
    assert "the image is as large as the header says" in notes[0]
    found, notes = geometry(**elements)
    assert found.pixel_spacing_mm is None
    assert "DetectorElementSpacing (0.15, 0.2) is not used: a pixel may be several" in notes[0]
