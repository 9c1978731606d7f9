"""Figures 1 and 4: what is drawn where, read from Matplotlib's objects."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.trial import Trial
from wsreg.experiments.scenes import ESTIMATED, TRUE, anatomy_figure, landmarks_figure

TrialMaker = Callable[..., Trial]


def test_bones_landmarks_and_masks(sample: Sample) -> None:
    figure = anatomy_figure(sample)
    bones, masks = figure.axes
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == ["1 front", "2 back"]
    assert sorted(text.get_text() for text in bones.texts) == ["before", "behind", "beside"]
    filled = [line.get_markerfacecolor() != "none" for line in bones.lines]
    assert filled == [True, False, True]
    assert [text.get_text() for text in masks.texts] == ["1"]  # the second is not in the X-ray
    assert masks.texts[0].get_position() == (80, 80)


def test_an_xray_without_masks_is_refused(sample: Sample) -> None:
    with pytest.raises(InputError, match="A/000 must have labels of its X-ray"):
        anatomy_figure(dataclasses.replace(sample, labels=None))


def test_landmarks_under_both_poses(sample: Sample, make_trial: TrialMaker) -> None:
    """The answer is 5 mm off to the right: 10 px, as all is magnified twice."""
    pose = sample.camera_from_ct.clone()
    pose[0, 3] += 5.0
    found = make_trial(10.0, camera_from_ct=tuple(tuple(row) for row in pose.tolist()))
    nothing = make_trial(math.nan)
    key = ("A", "000")
    figure = landmarks_figure([sample], {"Ours": {key: found}, "Theirs": {key: nothing}})
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["Ours", "Theirs"]
    true, *lines, _, estimated = first.lines
    assert true.get_markerfacecolor() == TRUE
    assert estimated.get_markeredgecolor() == ESTIMATED
    assert true.get_marker() != estimated.get_marker()
    moved = np.asarray(estimated.get_xdata()) - np.asarray(true.get_xdata())
    depths = np.array([778.0, 830.0, 800.0])
    assert moved == pytest.approx(5.0 * 1600.0 / depths)
    assert len(lines) == 3
    assert first.get_xlabel() == "10.00 mm projected\n1 of 3 landmarks outside"
    assert second.get_xlabel() == "no answer"
    assert len(second.lines) == 1


def test_landmarks_behind_the_source_are_outside(sample: Sample, make_trial: TrialMaker) -> None:
    """The answer is 800 mm too near: of the landmarks one lies before the source, by 30 mm."""
    pose = sample.camera_from_ct.clone()
    pose[2, 3] -= 800.0
    rows = tuple(tuple(row) for row in pose.tolist())
    found = make_trial(800.0, camera_from_ct=rows, mpd_mm=math.nan)
    (axes,) = landmarks_figure([sample], {"Ours": {("A", "000"): found}}).axes
    assert axes.get_xlabel() == "– mm projected\n3 of 3 landmarks outside"


def test_a_method_that_did_not_try_an_xray_is_named(sample: Sample) -> None:
    with pytest.raises(InputError, match="trials of Ours must have X-ray A/000"):
        landmarks_figure([sample], {"Ours": {}})
