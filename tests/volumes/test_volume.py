from __future__ import annotations

from typing import Any

import pytest
import torch

from wsreg.errors import InputError
from wsreg.volumes.volume import Volume


@pytest.fixture
def volume() -> Volume:
    hu = torch.full((2, 3, 4), -1000, dtype=torch.int16)
    hu[0, 0] = torch.tensor([-2048, -900, 0, 1000])
    labels = torch.zeros((2, 3, 4), dtype=torch.uint8)
    labels[0, 0, 2], labels[0, 0, 3] = 1, 2
    affine = torch.diag(torch.tensor([0.5, 2.0, 3.0, 1.0]))
    affine[:3, 3] = torch.tensor([10.0, 20.0, 30.0])
    return Volume(hu=hu, ct_from_voxel=affine, labels=labels, label_names={1: "a", 2: "b"})


def test_attenuation_of_water_bone_air_and_padding(volume: Volume) -> None:
    before = volume.hu.clone()
    expected = torch.tensor([0.0, 0.0, 0.02, 0.04])
    torch.testing.assert_close(volume.attenuation[0, 0], expected)
    assert volume.attenuation[1].eq(0).all()
    assert volume.attenuation.dtype == torch.float32
    torch.testing.assert_close(volume.hu, before)
    as_float = Volume(hu=before.float(), ct_from_voxel=volume.ct_from_voxel)
    torch.testing.assert_close(as_float.attenuation, volume.attenuation)
    torch.testing.assert_close(as_float.hu, before.float())  # not changed in place


def test_what_counts_as_air_can_be_set() -> None:
    volume = Volume(hu=torch.full((2, 2, 2), -950), ct_from_voxel=torch.eye(4), air_hu=-1000.0)
    torch.testing.assert_close(volume.attenuation, torch.full((2, 2, 2), 0.001))


def test_geometry(volume: Volume) -> None:
    assert volume.spacing_mm == (0.5, 2.0, 3.0)
    assert volume.centre_mm.tolist() == [10.75, 22.0, 31.5]
    assert volume.corners_mm.min(0).values.tolist() == [9.75, 19.0, 28.5]
    assert volume.corners_mm.max(0).values.tolist() == [11.75, 25.0, 34.5]


def test_restriction_to_labels(volume: Volume) -> None:
    assert volume.label_values == (1, 2)
    only = volume.restricted_to([2])
    assert only.hu.dtype == torch.int16
    assert only.hu[0, 0].tolist() == [-1000, -1000, -1000, 1000]
    assert only.label_names == volume.label_names
    for wanted in ([], [3], [1, 3]):
        with pytest.raises(InputError, match=r"labels of the volume \[1, 2\]"):
            volume.restricted_to(wanted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hu": torch.zeros(3, 4)}, r"must be \[D,H,W\]"),
        ({"hu": torch.zeros(0, 3, 4)}, "not empty"),
        ({"ct_from_voxel": torch.full((4, 4), torch.nan)}, "finite 4x4"),
        ({"ct_from_voxel": torch.diag(torch.tensor([0.0, 1, 1, 1]))}, "determinant is 0"),
        ({"ct_from_voxel": torch.ones(4, 4)}, "end in the row 0 0 0 1, got"),
        ({"ct_from_voxel": "text"}, "finite 4x4"),
        ({"hu": None}, "array of real numbers"),
        ({"hu": [["a"]]}, "array of real numbers"),
        ({"hu": torch.full((2, 3, 4), 1e30)}, r"within -100000\.\.100000, got 1e\+30"),
        ({"hu": torch.full((2, 3, 4), torch.nan)}, "finite"),
        ({"labels": torch.full((2, 3, 4), 0.5)}, "whole numbers"),
        ({"labels": torch.full((2, 3, 4), -1)}, "whole numbers"),
        ({"labels": torch.zeros(2, 2, 2)}, "the CT's shape"),
    ],
)
def test_what_is_no_volume(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"hu": torch.zeros(2, 3, 4), "ct_from_voxel": torch.eye(4)} | changes
    with pytest.raises(InputError, match=message):
        Volume(**fields)


def test_identity_decides_equality(volume: Volume) -> None:
    same = Volume(hu=volume.hu, ct_from_voxel=volume.ct_from_voxel)
    assert volume != same
    assert len({volume, same}) == 2
