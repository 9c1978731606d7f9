from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from wsreg.dicom.files import quietly
from wsreg.errors import InputError
from wsreg.radiographs.dicom import read_dicom
from wsreg.radiographs.reading import read_radiograph
from wsreg.volumes.dicom_segmentation import read_segmentation
from wsreg.volumes.reading import read_volume

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


def test_what_the_header_says_of_the_view(write_dicom: WriteDicom) -> None:
    raw = read_dicom(
        write_dicom(
            PIXELS,
            PatientOrientation=["L", "F"],
            ViewPosition="LL",
            FieldOfViewHorizontalFlip="YES",
        )
    )
    assert raw.patient_orientation == ("R", "F")
    assert raw.view_position == "LAT"


def test_a_disputed_meaning_is_marked(write_dicom: WriteDicom) -> None:
    fields = {"Modality": "DX", "PresentationIntentType": "FOR PRESENTATION"}
    raw = read_dicom(write_dicom(PIXELS, **fields, PixelIntensityRelationshipSign=1))
    assert (raw.meaning, raw.meaning_disputed) == ("attenuation", True)
    raw = read_dicom(write_dicom(PIXELS, **fields, PixelIntensityRelationshipSign=-1))
    assert (raw.meaning, raw.meaning_disputed) == ("attenuation", False)


def enhanced(**shared: Any) -> dict[str, Any]:
    """Fields of an enhanced XA of three frames whose angles and distances differ."""
    return {
        "PixelIntensityRelationship": None,
        "SharedFunctionalGroupsSequence": Sequence([item(
            FramePixelDataPropertiesSequence=Sequence([item(
                PixelIntensityRelationship="LOG", PixelIntensityRelationshipSign=1, **shared,
            )]),
            FieldOfViewSequence=Sequence([item(FieldOfViewHorizontalFlip="YES")]),
        )]),
        "PerFrameFunctionalGroupsSequence": Sequence([
            item(
                PositionerPositionSequence=Sequence([
                    item(PositionerPrimaryAngle=-30.0 + n, PositionerSecondaryAngle=5.0 * n)
                ]),
                XRayGeometrySequence=Sequence([item(DistanceSourceToDetector=1100.0 + n)]),
            )
            for n in range(3)
        ]),
    }  # fmt: skip


def item(**fields: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def test_enhanced_xa_has_its_geometry_in_groups(write_dicom: WriteDicom) -> None:
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    path = write_dicom(frames, **enhanced(ImagerPixelSpacing=[60.0, 50.0]))
    raw = read_dicom(path, frame=2)
    np.testing.assert_array_equal(raw.pixels, PIXELS + 2)
    assert raw.source_to_detector_mm == 1102.0
    assert raw.pixel_spacing_mm == (60.0, 50.0)
    assert raw.angles is not None
    assert math.degrees(raw.angles.primary_rad) == pytest.approx(-28.0)
    assert math.degrees(raw.angles.secondary_rad) == pytest.approx(10.0)
    assert raw.meaning == "log transmission"
    assert raw.orientation.flipped
    assert raw.notes == ("Undid a field of view rotation of 0 degrees and mirroring.",)


def test_enhanced_xa_without_a_macro_says_so(write_dicom: WriteDicom) -> None:
    raw = read_dicom(write_dicom(np.stack([PIXELS] * 3), **enhanced()), frame=1)
    assert raw.pixel_spacing_mm is None
    assert "No functional group of the frame has ImagerPixelSpacing." in raw.notes


MALFORMED = (
    ("PixelIntensityRelationshipSign", "SS", b"\x01\0\x01\0"),
    ("PixelIntensityRelationshipSign", "SS", b"\x01"),
    ("NumberOfFrames", "IS", b"abc "),
    ("NumberOfFrames", "IS", b"1\\2 "),
    ("PixelPaddingValue", "US", b"\x01\0\x01\0"),
    ("PixelPaddingValue", "LO", b"none"),
    ("RescaleSlope", "DS", b"nan "),
    ("RescaleSlope", "DS", b"0 "),
    ("RescaleIntercept", "DS", b"1\\2 "),
    ("DistanceSourceToDetector", "DS", b"one metre "),
    ("ImagerPixelSpacing", "DS", b"0.2 "),
    ("PixelSpacing", "DS", b"0.2\\abc "),
    ("EstimatedRadiographicMagnificationFactor", "DS", b"-1"),
    ("PositionerPrimaryAngle", "DS", b"inf "),
    ("PositionerPrimaryAngleIncrement", "DS", b"1\\x "),
    ("FieldOfViewRotation", "DS", b"left"),
    ("FieldOfViewOrigin", "DS", b"1\\2\\3 "),
    ("FieldOfViewHorizontalFlip", "CS", b"YES\\NO "),
    ("DetectorActiveDimensions", "DS", b"wide"),
    ("PatientOrientation", "CS", b"L "),
    ("PatientOrientation", "CS", b"?\\F "),
    ("ViewPosition", "CS", b"AP\\PA "),
    ("ViewCodeSequence", "LO", b"AP"),
    ("PerFrameFunctionalGroupsSequence", "OB", b"\xff\xff\xff\xff"),
    ("SharedFunctionalGroupsSequence", "SQ", b""),
    ("ModalityLUTSequence", "UN", b"\xfe\xff"),
    ("LossyImageCompression", "CS", b"\xff\xfe"),
    ("PresentationIntentType", "US", b"\x01\0"),
    ("SpecificCharacterSet", "CS", b"KLINGON "),
    ("PatientName", "DS", b"abc "),
    ("BitsStored", "US", b"\x63\0"),
    ("HighBit", "US", b"\x63\0"),
    ("PixelRepresentation", "US", b""),
    ("SamplesPerPixel", "US", b""),
)


@pytest.mark.parametrize(("keyword", "vr", "value"), MALFORMED)
def test_a_malformed_field_that_is_not_needed_is_ignored(
    write_dicom: WriteDicom, keyword: str, vr: str, value: bytes
) -> None:
    path = write_dicom(PIXELS, Modality="DX")
    with quietly():
        dataset = pydicom.dcmread(path)
        tag = pydicom.tag.Tag(keyword)
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
        dataset.save_as(path)
    np.testing.assert_array_equal(read_dicom(path).pixels, PIXELS)


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "message"),
    [
        ("Rows", "US", b"\x01\0\x01\0", "in the DICOM tag Rows"),
        ("Columns", "US", b"", "in the DICOM tag Columns"),
        ("BitsAllocated", "US", b"\x05\0", "BitsAllocated, got 5"),
        ("Modality", "CS", b"XA\\DX ", "its DICOM modality is"),
        ("PhotometricInterpretation", "US", b"\x05\0", "grey image"),
        ("PixelData", "SQ", b"", "pixel"),
    ],
)
def test_a_malformed_field_that_is_needed_is_named(
    write_dicom: WriteDicom, keyword: str, vr: str, value: bytes, message: str
) -> None:
    path = write_dicom(PIXELS)
    with quietly():
        dataset = pydicom.dcmread(path)
        tag = pydicom.tag.Tag(keyword)
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
        dataset.save_as(path)
    with pytest.raises(InputError, match=message) as caught:
        read_dicom(path)
    assert "xray.dcm" in str(caught.value)
    assert "\n" not in str(caught.value)


TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize("read", [read_radiograph, read_volume, read_segmentation])
def test_pydicoms_own_files_never_make_a_traceback(read: Callable[[Path], object]) -> None:
    """As X-ray, as CT and as segmentation; what cannot be read is refused in one line."""
    files = sorted(p for p in TEST_FILES.rglob("*") if p.is_file())
    assert len(files) > 100
    # a folder of many like slices is read once
    files = [p for p in files if "TINY_ALPHA" not in p.parts or p.name.endswith("0")]
    messages = []
    for path in files:
        try:
            read(path)
        except InputError as error:
            messages.append(str(error))
    assert [message for message in messages if "\n" in message] == []
    # their only CT of several slices is 8 mm wide, which no patient is
    assert (
        len(files) - len(messages)
        == {read_radiograph: 3, read_volume: 0, read_segmentation: 0}[read]
    )
