from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.radiographs.dicom import read_dicom

WriteDicom = Callable[..., Path]

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100


def test_pixels_and_geometry(write_dicom: WriteDicom) -> None:
    path = write_dicom(
        PIXELS,
        DistanceSourceToDetector=1020.0,
        ImagerPixelSpacing=[60.0, 50.0],
        PositionerPrimaryAngle=30.0,
        PositionerSecondaryAngle=-15.0,
    )
    raw = read_dicom(path)
    np.testing.assert_array_equal(raw.pixels, PIXELS)
    assert raw.source_to_detector_mm == 1020.0
    assert raw.pixel_spacing_mm == (60.0, 50.0)
    assert raw.angles is not None
    assert raw.angles.primary_rad == pytest.approx(math.pi / 6)
    assert raw.angles.secondary_rad == pytest.approx(-math.pi / 12)
    assert raw.valid is None
    assert raw.notes == ()


def test_imager_spacing_comes_before_pixel_spacing(write_dicom: WriteDicom) -> None:
    raw = read_dicom(write_dicom(PIXELS, ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[0.1, 0.1]))
    assert raw.pixel_spacing_mm == (0.2, 0.2)
    assert "Warning: ImagerPixelSpacing (0.2, 0.2)" in raw.notes[0]


def test_absent_empty_and_unusable_fields(write_dicom: WriteDicom) -> None:
    raw = read_dicom(
        write_dicom(
            PIXELS,
            DistanceSourceToDetector=0.0,
            ImagerPixelSpacing=[0.2],
            PositionerPrimaryAngle="",
            PositionerSecondaryAngle=3.0,
        )
    )
    assert raw.source_to_detector_mm is None
    assert raw.pixel_spacing_mm is None
    assert raw.angles is None
    assert any("DistanceSourceToDetector, which must be positive" in n for n in raw.notes)
    assert "Ignored ImagerPixelSpacing, which is malformed." in raw.notes


def test_frames_and_their_angles(write_dicom: WriteDicom) -> None:
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    path = write_dicom(
        frames,
        PositionerPrimaryAngle=10.0,
        PositionerSecondaryAngle=5.0,
        PositionerPrimaryAngleIncrement=[0.0, 2.0, 4.0],
    )
    first = read_dicom(path)
    np.testing.assert_array_equal(first.pixels, PIXELS)
    assert "Took the first of 3 frames." in first.notes
    last = read_dicom(path, frame=2)
    np.testing.assert_array_equal(last.pixels, PIXELS + 2)
    assert last.angles is not None
    assert math.degrees(last.angles.primary_rad) == pytest.approx(14.0)
    assert math.degrees(last.angles.secondary_rad) == pytest.approx(5.0)
    for frame in (3, -1):
        with pytest.raises(InputError, match=rf"0 to 2: .* has 3 frame\(s\), got {frame}"):
            read_dicom(path, frame=frame)


def test_rescale_padding_and_compression(write_dicom: WriteDicom) -> None:
    raw = read_dicom(
        write_dicom(
            PIXELS,
            RescaleSlope=2.0,
            RescaleIntercept=-10.0,
            PixelPaddingValue=0,
            PixelPaddingRangeLimit=200,
            LossyImageCompression="01",
        )
    )
    np.testing.assert_array_equal(raw.pixels, 2.0 * PIXELS - 10)
    assert raw.valid is not None
    np.testing.assert_array_equal(raw.valid, PIXELS > 200)
    assert raw.notes == ("The image has been compressed with loss.",)


@pytest.mark.parametrize(
    ("fields", "meaning"),
    [
        ({"PixelIntensityRelationship": "LIN"}, "transmission"),
        ({"PixelIntensityRelationship": "LOG"}, "log transmission"),
        (
            {"PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": -1},
            "attenuation",
        ),
        ({"PixelIntensityRelationship": "LIN", "RescaleSlope": -1.0}, "attenuation"),
        (
            {
                "PixelIntensityRelationship": "LOG",
                "PixelIntensityRelationshipSign": 1,
                "Modality": "DX",
                "PhotometricInterpretation": "MONOCHROME1",
            },
            "log transmission",
        ),
        ({"PixelIntensityRelationship": "DISP"}, None),
        ({"PixelIntensityRelationship": None}, None),
        ({"PixelIntensityRelationship": None, "Modality": "CR"}, "attenuation"),
        (
            {
                "PixelIntensityRelationship": None,
                "Modality": "DX",
                "PhotometricInterpretation": "MONOCHROME1",
            },
            "log transmission",
        ),
    ],
)
def test_meaning_of_pixels(
    write_dicom: WriteDicom, fields: dict[str, Any], meaning: str | None
) -> None:
    assert read_dicom(write_dicom(PIXELS, **fields)).meaning == meaning


def test_orientation(write_dicom: WriteDicom) -> None:
    raw = read_dicom(
        write_dicom(
            PIXELS,
            FieldOfViewRotation=90.0,
            FieldOfViewHorizontalFlip="YES",
            FieldOfViewOrigin=[10.0, 20.0],
        )
    )
    assert (raw.orientation.rotation_deg, raw.orientation.flipped) == (90, True)
    assert raw.notes[0] == "Undid a field of view rotation of 90 degrees and mirroring."
    assert raw.notes[1].startswith("FieldOfViewOrigin is not used")
    with pytest.raises(InputError, match="multiple of 90 degrees, got 30"):
        read_dicom(write_dicom(PIXELS, FieldOfViewRotation=30.0))


def test_what_is_no_xray_is_refused(write_dicom: WriteDicom) -> None:
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"Modality": "CT"}, r"X-ray \(XA, RF, DX, CR\), its DICOM modality is CT"),
        ({"Modality": None}, "modality is not stated"),
        ({"PixelData": None}, "without pixel data"),
        ({"PhotometricInterpretation": "RGB"}, "grey image .* it is in RGB"),
    ]
    for fields, message in cases:
        with pytest.raises(InputError, match=message):
            read_dicom(write_dicom(PIXELS, **fields))


def test_damaged_files(write_dicom: WriteDicom, tmp_path: Path) -> None:
    path = write_dicom(PIXELS)
    whole = path.read_bytes()
    for size in (len(whole) - 6, 300, 140, 50, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"xray\.dcm"):
            read_dicom(path)
    text = tmp_path / "text.dcm"
    text.write_text("not an image" * 50)
    with pytest.raises(InputError, match="is not a DICOM file: it has neither"):
        read_dicom(text)
