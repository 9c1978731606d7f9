from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from wsreg.dicom.header import file_header
from wsreg.radiographs.header_meaning import HeaderMeaning, header_meaning


def meaning(
    photometric: str,
    shape: str = "",
    intent: str = "",
    relationship: str = "",
    sign: int | None = None,
    *,
    modality: str = "DX",
    slope: float = 1.0,
) -> HeaderMeaning:
    dataset = Dataset()
    dataset.PhotometricInterpretation = photometric
    dataset.PresentationLUTShape = shape
    dataset.PresentationIntentType = intent
    dataset.PixelIntensityRelationship = relationship
    if sign is not None:
        dataset.PixelIntensityRelationshipSign = sign
    return header_meaning(file_header(dataset), modality, slope)


SHOW, PROCESS = "FOR PRESENTATION", "FOR PROCESSING"
M1, M2 = "MONOCHROME1", "MONOCHROME2"


@pytest.mark.parametrize(
    ("tags", "expected", "disputed"),
    [
        # shown with bright bone, and nothing else is said
        ((M2, "IDENTITY", SHOW), "attenuation", False),
        ((M1, "INVERSE", SHOW), "log transmission", False),
        ((M2, "IDENTITY", SHOW, "DISP"), "attenuation", False),
        # the raw tags of an image made to be looked at
        ((M2, "IDENTITY", SHOW, "LIN", 1), "attenuation", True),
        ((M2, "IDENTITY", "", "LOG", 1), "attenuation", True),
        ((M1, "INVERSE", SHOW, "LOG", -1), "log transmission", True),
        ((M2, "IDENTITY", SHOW, "LOG", -1), "attenuation", False),
        ((M1, "INVERSE", SHOW, "LIN", 1), "log transmission", False),
        # photometric interpretation and presentation LUT against each other
        ((M2, "INVERSE", SHOW), "log transmission", True),
        ((M1, "IDENTITY", SHOW), "log transmission", True),
        # for processing, or without a word on what it is for
        ((M2, "IDENTITY", PROCESS, "LIN", 1), "transmission", False),
        ((M2, "", PROCESS), None, False),
        ((M2, "", "", "LIN", 1), "transmission", False),
        ((M2, "", ""), "attenuation", False),
    ],
)
def test_a_header_taken_together(
    tags: tuple[str, ...], expected: str | None, disputed: bool
) -> None:
    found = meaning(*tags)  # type: ignore[arg-type]
    assert (found.meaning, found.disputed) == (expected, disputed)


def test_the_reason_names_the_tags_that_contradict_each_other() -> None:
    reason = meaning(M2, "IDENTITY", SHOW, "LIN", 1).reason
    for words in ("MONOCHROME2", "PresentationLUTShape IDENTITY", SHOW, "LIN with sign +1"):
        assert words in reason


def test_fluoroscopy_has_no_usual_look() -> None:
    assert meaning(M2, "IDENTITY", "", modality="XA").meaning is None
    assert meaning(M2, "IDENTITY", SHOW, "LIN", 1, modality="XA").meaning == "transmission"


def test_a_falling_rescale_turns_both_round() -> None:
    assert meaning(M2, "IDENTITY", SHOW, slope=-1.0).meaning == "log transmission"
    assert meaning(M2, relationship="LIN", sign=1, slope=-1.0).meaning == "attenuation"
