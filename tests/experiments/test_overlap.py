"""Figure 5: bars of Dice, and spheres on three planes."""

from __future__ import annotations

from typing import Any

import pytest

from wsreg.datasets.sample import Sample
from wsreg.experiments.dice_tables import DiceScore
from wsreg.experiments.overlap import overlap_figure


def test_a_scheme_without_an_answer_is_not_left_out(sample: Sample) -> None:
    score = DiceScore(
        network="U-Net", images="X-rays", specimen="A", projection="000", dice={"x": 0.7}
    )
    figure: Any = overlap_figure([score], sample, {"Theirs": None})
    _, axial, *_ = figure.axes
    assert axial.get_ylabel().startswith("Theirs, no answer")
    assert [tuple(circle.get_center()) for circle in axial.patches] == [
        (0.0, -22.0), (0.0, 30.0), (38.0, 0.0),
    ]  # fmt: skip


def test_bars_are_means_and_spheres_lie_where_the_pose_has_them(sample: Sample) -> None:
    scores = [
        DiceScore(network="U-Net", images="X-rays", specimen="A", projection=p, dice={"x": d})
        for p, d in (("000", 0.7), ("001", 0.9))
    ]
    pose = sample.camera_from_ct.clone()
    pose[2, 3] += 4.0  # 4 mm further from the source: to the back
    figure: Any = overlap_figure(scores, sample, {"Ours": pose})
    bars, *planes = figure.axes
    assert [bar.get_height() for bar in bars.patches] == pytest.approx([0.8, 0.0])
    assert [plane.get_title() for plane in planes] == ["Axial", "Coronal", "Sagittal"]
    axial, coronal, sagittal = (
        [tuple(circle.get_center()) for circle in plane.patches] for plane in planes
    )
    assert axial[:3] == [(0.0, -22.0), (0.0, 30.0), (38.0, 0.0)]
    assert axial[3] == pytest.approx((0.0, -18.0))
    assert coronal[0] == pytest.approx(coronal[3])
    assert sagittal[3] == pytest.approx((-18.0, 0.0))
    assert planes[0].yaxis_inverted()  # front on top
    assert not planes[1].yaxis_inverted()
    true, estimated = planes[0].patches[0], planes[0].patches[3]
    assert true.get_facecolor() != estimated.get_facecolor()
    assert true.get_linestyle() != estimated.get_linestyle()
