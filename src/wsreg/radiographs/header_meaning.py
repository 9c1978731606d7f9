"""What a DICOM header, taken together, says that pixel values are.

PixelIntensityRelationship and its sign tell how stored values relate to X-ray intensity, but in
an image made to be looked at they often still describe the detector's raw pixels.  Such an image
is shown with bright bone, and photometric interpretation and presentation LUT say which values
are shown bright.
"""

from __future__ import annotations

from typing import NamedTuple

from wsreg.dicom.header import Header
from wsreg.radiographs.raw_xray import PixelMeaning

SHOWN_WITH_BRIGHT_BONE = ("DX", "CR")


class HeaderMeaning(NamedTuple):
    """What pixels are, which tags say so, and whether others contradict them."""

    meaning: PixelMeaning | None = None
    reason: str = ""
    disputed: bool = False


def header_meaning(header: Header, modality: str, slope: float) -> HeaderMeaning:
    """Return what the header says of pixels that have been rescaled by ``slope``."""
    raw = _by_relationship(header, slope)
    shown = _as_shown(header, modality, slope)
    intent = header.word("PresentationIntentType")
    if shown.meaning is None or intent == "FOR PROCESSING":
        return raw
    if raw.meaning is None:
        return shown
    if not (intent or header.word("PresentationLUTShape")):
        return raw
    if _air_is_bright(raw) == _air_is_bright(shown):
        found = shown if intent else raw
        return found._replace(disputed=shown.disputed)
    return HeaderMeaning(
        shown.meaning,
        f"{shown.reason}; {raw.reason} says the opposite, as of the detector's raw pixels",
        disputed=True,
    )


def _by_relationship(header: Header, slope: float) -> HeaderMeaning:
    """Return what PixelIntensityRelationship says; it is about stored values."""
    relationship = header.word("PixelIntensityRelationship")
    if relationship not in ("LIN", "LOG"):
        return HeaderMeaning()
    sign = header.whole("PixelIntensityRelationshipSign")
    reason = f"PixelIntensityRelationship {relationship}"
    if sign is not None:
        reason += f" with sign {sign:+d}"
    if (1 if sign is None else sign) * slope < 0:
        return HeaderMeaning("attenuation", reason)
    return HeaderMeaning("transmission" if relationship == "LIN" else "log transmission", reason)


def _as_shown(header: Header, modality: str, slope: float) -> HeaderMeaning:
    """Return what pixels are if the image is shown with bright bone."""
    photometric = header.word("PhotometricInterpretation")
    if modality not in SHOWN_WITH_BRIGHT_BONE or not photometric.startswith("MONOCHROME"):
        return HeaderMeaning()
    shape = header.word("PresentationLUTShape")
    inverted = photometric == "MONOCHROME1" or shape == "INVERSE"
    contradicting = shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != (
        photometric == "MONOCHROME1"
    )
    reason = photometric
    if shape:
        reason += f" with PresentationLUTShape {shape}"
    if header.word("PresentationIntentType"):
        reason += f", {header.word('PresentationIntentType')},"
    reason += f" on a {modality} image, which is shown with bright bone"
    low_is_bone = inverted == (slope > 0)
    meaning: PixelMeaning = "log transmission" if low_is_bone else "attenuation"
    return HeaderMeaning(meaning, reason, contradicting)


def _air_is_bright(found: HeaderMeaning) -> bool:
    return found.meaning != "attenuation"
