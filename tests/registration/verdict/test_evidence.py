"""Evidence as a record."""

from __future__ import annotations

import dataclasses
import json

from wsreg.registration.verdict.evidence import Evidence, ViewEvidence, evidence_from_record

EVIDENCE = Evidence(
    views=(
        ViewEvidence(name="a", similarity=0.9, gradient_agreement=0.99, overlap=1.0, masked=0.1),
        ViewEvidence(name="b", similarity=0.8, gradient_agreement=0.98, overlap=0.9, masked=0.2),
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
    roi_dice={"pelvis": 0.9, "femurs": 0.7},
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
    for name in ("contradiction_mm", "contradicting", "doubts", "parallel", "shown", "alone"):
        del record[name]
    found = evidence_from_record(record)
    assert (found.contradiction_mm, found.contradicting, found.doubts) == (None, "", ())
    assert (found.parallel, found.shown, found.alone) == (False, 1.0, "")
