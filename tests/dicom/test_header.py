from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from wsreg.dicom.header import Header, file_header, frame_header, frame_headers


def item(**fields: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def raw(keyword: str, vr: str | None, value: bytes) -> Header:
    """A header with one field as its bytes lie in a file."""
    dataset = Dataset()
    tag = Tag(keyword)
    dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, vr is None, True)
    return file_header(dataset)


@pytest.mark.parametrize(
    ("vr", "value", "count", "expected"),
    [
        ("DS", b"0.5\\0.25", 2, (0.5, 0.25)),
        ("DS", b" 1e3 ", 1, (1000.0,)),
        ("DS", b"0.5\\0.25", 1, None),
        ("DS", b"abc ", 1, None),
        ("DS", b"nan ", 1, None),
        ("DS", b"inf ", 1, None),
        ("DS", b"1,5 ", 1, None),
        ("DS", b"1\\\\2 ", 2, None),
        ("FD", b"\0\0\0\0\0\0\xf0\x3f", 1, (1.0,)),
        ("FD", b"\0\0\0", 1, None),
        ("US", b"\x05\x00", 1, (5.0,)),
        ("US", b"\x05", 1, None),
        ("LO", b"0.5 ", 1, (0.5,)),
        ("UN", b"0.5 ", 1, (0.5,)),
        ("OB", b"\xff\xfe", 1, None),
        ("SQ", b"\xff\xfe\xff\xff", 1, None),
        ("ZZ", b"12", 1, None),
        (None, b"0.5 ", 1, (0.5,)),
    ],
)
def test_numbers_of_any_value(
    vr: str | None, value: bytes, count: int, expected: tuple[float, ...] | None
) -> None:
    header = raw("PixelSpacing", vr, value)
    assert header.numbers("PixelSpacing", count) == expected
    ignored = ["Ignored PixelSpacing, which is malformed."]
    assert header.notes == ([] if expected else ignored)


def test_absent_and_empty_values_are_no_news() -> None:
    header = raw("PixelSpacing", "DS", b"")
    assert header.numbers("PixelSpacing", 2) is None
    assert header.numbers("Rows", 1) is None
    assert header.word("Modality") == ""
    assert header.items("ViewCodeSequence") == ()
    assert header.notes == []


def test_whole_and_positive() -> None:
    assert raw("NumberOfFrames", "IS", b"12").whole("NumberOfFrames") == 12
    header = raw("PixelSpacing", "DS", b"1.5 ")
    assert header.whole("PixelSpacing") is None
    header = raw("PixelSpacing", "DS", b"0\\1 ")
    assert header.positive("PixelSpacing", 2) is None
    assert header.notes == ["Ignored PixelSpacing, which must be positive, got (0.0, 1.0)."]


def test_words() -> None:
    assert raw("Modality", "CS", b"dx\0 ").word("Modality") == "DX"
    assert raw("ImageType", "CS", b"ORIGINAL\\LOCALIZER ").words("ImageType")[1] == "LOCALIZER"
    assert raw("Modality", "UN", b"XA").word("Modality") == "XA"
    header = raw("Modality", "CS", b"DX\\XA ")
    assert header.word("Modality") == ""
    assert header.notes == ["Ignored Modality, which is malformed."]


def test_groups_of_the_frame_come_before_shared_ones_and_those_before_the_header() -> None:
    dataset = item(RescaleSlope=1.0, RescaleIntercept=2.0, WindowCenter=3.0)
    dataset.SharedFunctionalGroupsSequence = Sequence([
        item(PixelValueTransformationSequence=Sequence([item(RescaleSlope=10.0)]),
             PixelMeasuresSequence=Sequence([item(RescaleIntercept=20.0)])),
    ])  # fmt: skip
    dataset.PerFrameFunctionalGroupsSequence = Sequence([
        item(PlanePositionSequence=Sequence([item(ImagePositionPatient=[0, 0, z])]))
        for z in (5, 7)
    ])  # fmt: skip
    dataset.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence = Sequence(
        [item(RescaleSlope=100.0)]
    )
    first, second = frame_headers(dataset)
    third = frame_header(dataset, 2)  # has no groups of its own
    assert [h.number("RescaleSlope") for h in (first, second, third)] == [10.0, 100.0, 10.0]
    assert [h.number("RescaleIntercept") for h in (first, second, third)] == [20.0] * 3
    assert [h.number("WindowCenter") for h in (first, second, third)] == [3.0] * 3
    assert second.numbers("ImagePositionPatient", 3) == (0.0, 0.0, 7.0)
    assert third.numbers("ImagePositionPatient", 3) is None
    assert frame_header(dataset, 0).numbers("ImagePositionPatient", 3) == (0.0, 0.0, 5.0)


def test_a_malformed_group_gives_way_to_the_header() -> None:
    dataset = item(DistanceSourceToDetector=900.0, PerFrameFunctionalGroupsSequence=Sequence([]))
    assert frame_headers(dataset) == []
    dataset.SharedFunctionalGroupsSequence = Sequence([item(Rows=3)])
    assert frame_header(dataset, 0).number("DistanceSourceToDetector") == 900.0
