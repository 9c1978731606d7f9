"""Errors of bodies that hold on to the first: shifts whose projections are known by hand."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.evaluation.body_errors import POINTS, body_errors, points_of_labels
from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.volumes.volume import Volume

DEPTH_MM = 500.0
CAMERA = Camera(source_to_detector_mm=1000.0, rows=41, columns=41, pixel_spacing_mm=(1.0, 1.0))


def pose(*shift_mm: float) -> Tensor:
    """The CT as the camera sees it, moved, its origin 500 mm from the source."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor(shift_mm, dtype=torch.float64) + torch.tensor([0, 0, DEPTH_MM])
    return matrix


@pytest.fixture(name="sample")
def _sample() -> Sample:
    """One plane of voxels of 1 mm: label 1 is all of it, but for a row of label 2 along x."""
    labels = torch.ones((1, 9, 61), dtype=torch.uint8)
    labels[0, 4] = 2
    affine = torch.eye(4, dtype=torch.float64)
    affine[:3, 3] = torch.tensor([-30.0, -4.0, 0.0])
    volume = Volume(hu=torch.zeros(labels.shape), ct_from_voxel=affine, labels=labels)
    image = torch.zeros(41, 41)
    radiograph = Radiograph(
        image=image, mask=torch.ones_like(image, dtype=torch.bool), camera=CAMERA
    )
    return Sample(
        specimen="a", projection="000", volume=volume, radiograph=radiograph,
        poses={"pelvis": pose(0, 0, 0), "left-femur": pose(0, 0, 0)},
    )  # fmt: skip


def found(**poses: Tensor) -> Any:
    """A result as far as errors are concerned."""
    return SimpleNamespace(
        bodies={
            name.replace("_", "-"): SimpleNamespace(labels=(2,), camera_from_ct=where)
            for name, where in poses.items()
        }
    )


def test_a_shift_across_counts_twice_on_the_detector(sample: Sample) -> None:
    result = found(pelvis=pose(0, 0, 0), left_femur=pose(0, 1.5, 0), rest=pose(9, 9, 9))
    (name, errors), *others = body_errors(sample, result).items()
    assert (name, others) == ("left-femur", [])
    assert errors.mtre_3d_mm == pytest.approx(1.5)
    assert errors.mpd_mm == pytest.approx(3.0)
    assert errors.mpd_shown_mm == pytest.approx(3.0)


def test_what_the_image_does_not_show_may_be_left_out(sample: Sample) -> None:
    """A point x mm beside the axis projects at 2x; 10 mm deeper at 2x/1.02.  It shows |x| <= 10."""
    errors = body_errors(sample, found(left_femur=pose(0, 0, 10.0)))["left-femur"]
    lost = 2.0 * (1.0 - 1.0 / 1.02)
    assert errors.mpd_shown_mm == pytest.approx(lost * 2 * sum(range(11)) / 21)
    assert errors.mpd_mm == pytest.approx(lost * 2 * sum(range(31)) / 61)
    aside = dataclasses.replace(sample, poses={**sample.poses, "left-femur": pose(100.0, 0, 0)})
    errors = body_errors(aside, found(left_femur=pose(100.0, 0, 0)))["left-femur"]
    assert math.isnan(errors.mpd_shown_mm)
    assert errors.mpd_mm == pytest.approx(0.0)


def test_points_are_voxels_of_the_labels_and_the_same_at_every_call(sample: Sample) -> None:
    row = points_of_labels(sample, (2,))
    assert sorted(row[:, 0].tolist()) == list(range(-30, 31))
    assert float(row[:, 1:].abs().max()) == 0.0
    many = points_of_labels(sample, (1, 2))
    assert many.shape == (POINTS, 3)
    assert torch.equal(many, points_of_labels(sample, (1, 2)))
    bare = dataclasses.replace(sample.volume, labels=None)
    with pytest.raises(InputError, match=r"^sample a/000 must have labels of its CT, it has none$"):
        points_of_labels(dataclasses.replace(sample, volume=bare), (1,))
