from __future__ import annotations

import torch

from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.volume import Volume


def _hu_at(volume: Volume, x_mm: float, y_mm: float, z_mm: float) -> tuple[int, int]:
    point = torch.tensor([x_mm, y_mm, z_mm, 1.0], dtype=torch.float64)
    x, y, z = (torch.linalg.inv(volume.ct_from_voxel) @ point).round().long()[:3]
    assert volume.labels is not None
    return int(volume.hu[z, y, x]), int(volume.labels[z, y, x])


def _value(volume: Volume, name: str) -> int:
    return next(value for value, given in volume.label_names.items() if given == name)


def test_grid() -> None:
    volume = analytic_phantom()
    assert volume.labels is not None
    assert volume.hu.shape == volume.labels.shape == (160, 120, 160)
    assert (volume.hu.dtype, volume.labels.dtype) == (torch.int16, torch.uint8)
    assert volume.spacing_mm == (2.0, 2.0, 2.0)
    torch.testing.assert_close(volume.centre_mm, torch.zeros(3, dtype=torch.float64))


def test_known_places() -> None:
    volume = analytic_phantom()
    assert _hu_at(volume, 157, 117, 0) == (-1000, 0)
    assert _hu_at(volume, -144, 0, 40) == (-90, 0)
    assert _hu_at(volume, -50, 0, 40) == (40, 0)
    assert _hu_at(volume, 56, -50, 66) == (-950, 0)  # the stomach's gas, on the patient's left
    assert _hu_at(volume, 84, 5, -98) == (250, _value(volume, "femur_left"))
    assert _hu_at(volume, 84 - 22.5, 5, -98) == (1100, _value(volume, "femur_left"))


def test_every_label_is_there_and_is_bone_on_its_side() -> None:
    volume = analytic_phantom()
    assert volume.label_values == tuple(range(1, len(volume.label_names) + 1))
    assert {"sacrum", "hip_left", "hip_right", "vertebrae_L3"} <= set(volume.label_names.values())
    x_mm = torch.linspace(-159, 159, 160).expand(160, 120, 160)
    assert volume.labels is not None
    for value, name in volume.label_names.items():
        inside = volume.labels.eq(value)
        assert inside.sum() > 1000
        assert set(volume.hu[inside].unique().tolist()) == {250, 1100}
        if name.endswith("_left") or "_left_" in name:
            assert x_mm[inside].mean() > 30
        if name.endswith("_right") or "_right_" in name:
            assert x_mm[inside].mean() < -30


def test_its_frontal_picture_is_no_mirror_image_of_itself() -> None:
    picture = analytic_phantom().attenuation.sum(1)
    mirrored = picture.flip(-1)
    correlation = torch.corrcoef(torch.stack([picture.flatten(), mirrored.flatten()]))[0, 1]
    assert correlation < 0.98
    assert ((picture - mirrored).abs() > 0.1 * picture.max()).float().mean() > 0.02
