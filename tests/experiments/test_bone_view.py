"""Two boxes seen from the front: what is met first, how deep, how bright."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.experiments.bone_view import bone_view, oblique_front
from wsreg.volumes.volume import Volume

FRONT = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""To the patient's left, down, and from front to back."""


def test_the_first_label_met_and_its_depth(sample: Sample) -> None:
    seen = bone_view(sample.volume, FRONT)
    points = torch.tensor([[0.0, 0.0, 0.0], [25.0, 0.0, 0.0], [0.0, 0.0, -35.0]])
    pixels, _ = seen.seen(points)
    columns, rows = np.rint(pixels).astype(int).T
    assert seen.labels[rows, columns].tolist() == [1, 2, 0]
    depth = seen.depth_mm[rows, columns]
    assert depth[:2] == pytest.approx([-21.0, 9.0], abs=1.0)  # the faces of the first voxels
    assert np.isinf(depth[2])
    assert np.flatnonzero((seen.labels == 1).any(axis=0)).size == pytest.approx(42, abs=1)


def test_points_behind_bone_are_not_seen(sample: Sample) -> None:
    points = torch.stack(list(sample.landmarks_mm.values()))
    far = torch.tensor([[500.0, 0.0, 0.0]], dtype=torch.float64)
    _, shown = bone_view(sample.volume, FRONT).seen(torch.cat((points, far)))
    assert shown.tolist() == [True, False, True, True]


def test_faces_towards_the_light_are_brighter(sample: Sample) -> None:
    from_below = np.array([[1.0, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
    seen = bone_view(sample.volume, from_below)
    shades = seen.shade[seen.labels == 1]
    assert 0.0 < shades.min() < 0.6 < shades.max() <= 1.0
    assert seen.shade[seen.labels == 0].max() == 0.0


def test_the_oblique_view_is_a_rotation_that_looks_to_the_back_and_down() -> None:
    view = oblique_front()
    assert view @ view.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(view) == pytest.approx(1.0)
    right, down, into = view
    assert right[0] > 0.9
    assert down[2] < -0.9
    assert into[1] > 0.9
    assert into[2] < 0.0


def test_a_pinhole_in_a_thin_plate_is_closed() -> None:
    labels = torch.zeros((20, 9, 20), dtype=torch.uint8)
    labels[:, 4, :] = 3
    labels[10, 4, 10] = 0
    volume = Volume(hu=labels.to(torch.int16), ct_from_voxel=torch.eye(4), labels=labels)
    seen = bone_view(volume, FRONT)
    column, row = np.rint(seen.seen(torch.tensor([[10.0, 4.0, 10.0]]))[0][0]).astype(int)
    assert seen.labels[row, column] == 3


def test_without_labels_there_is_nothing_to_see(sample: Sample) -> None:
    volume = dataclasses.replace(sample.volume, labels=None)
    with pytest.raises(InputError, match="must have labels"):
        bone_view(volume)
