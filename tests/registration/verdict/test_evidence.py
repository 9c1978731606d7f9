"""Evidence as a record."""

from __future__ import annotations

import dataclasses
import json
import math

from wsreg.registration.verdict.evidence import Evidence, ViewEvidence, evidence_from_record

EVIDENCE = Evidence(
    views=(
        ViewEvidence(name="a", similarity=0.9, gradient_agreement=0.99, overlap=1.0, masked=0.1),
        ViewEvidence(
            name="b", similarity=0.8, gradient_agreement=0.98, overlap=0.9, masked=0.2, coverage=0.7
        ),
    ),
    similarity_start=0.2,
    similarity_end=0.8,
    loss_start=0.3,
    loss_end=0.1,
    steepness=0.01,
    disagreement_mm=0.0,
    rivals=0,
    starts=4,
    depth_deviation_mm={"image": 0.2, "pixel spacing": 3.0},
    remaining_gain=0.0,
    contradiction_mm=0.7,
    contradicting="b",
    doubts=("The labels look wrong.", "All of them."),
    parallel=True,
    shown=0.8,
    alone="Alone a fits the CT, and b does not.",
    start_kept="The start is the answer.",
    roi_dice={"pelvis": 0.9, "femurs": 0.7},
    orientation="mirrored, half turn",
    other_view="AP",
    other_reading=1.3,
)


def test_a_record_gives_the_evidence_back() -> None:
    record = json.loads(json.dumps(dataclasses.asdict(EVIDENCE)))
    assert evidence_from_record(record) == EVIDENCE


def test_the_mean_dice_is_of_the_regions_that_took_part() -> None:
    assert EVIDENCE.mean_roi_dice == 0.8
    assert dataclasses.replace(EVIDENCE, roi_dice={}).mean_roi_dice is None
    assert dataclasses.replace(EVIDENCE, roi_dice=None).mean_roi_dice is None


def test_a_record_of_one_view_and_one_body_lacks_what_there_was_not() -> None:
    record = json.loads(json.dumps(dataclasses.asdict(EVIDENCE)))
    for view in record["views"]:
        del view["coverage"]
    news = ("start_kept", "orientation", "other_view", "other_reading")
    for name in (
        *news,
        "contradiction_mm",
        "contradicting",
        "doubts",
        "parallel",
        "shown",
        "alone",
    ):
        del record[name]
    found = evidence_from_record(record)
    assert (found.contradiction_mm, found.contradicting, found.doubts) == (None, "", ())
    assert (found.parallel, found.shown, found.alone) == (False, 1.0, "")
    assert (found.start_kept, found.orientation, found.other_view) == ("", "none", "")
    assert found.other_reading is None
    assert [view.coverage for view in found.views] == [1.0, 1.0]


def test_what_was_not_tried_is_none_and_what_is_no_number_is_not() -> None:
    """In a record both are null; a ratio of readings or a contradiction of views may be None."""
    record = json.loads(json.dumps(dataclasses.asdict(EVIDENCE)))
    record.update(other_reading=None, contradiction_mm=None, roi_dice=None, steepness=None)
    found = evidence_from_record(record)
    assert (found.other_reading, found.contradiction_mm, found.roi_dice) == (None, None, None)
    assert math.isnan(found.steepness)
