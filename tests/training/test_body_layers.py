from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.views import pose_towards
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render
from wsreg.training.body_layers import body_layers
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=32, columns=32, pixel_spacing_mm=(4.0, 4.0))


class Still:
    """A generator after which nothing has moved."""

    def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
        return np.zeros(shape)


def poses(volume: Volume, count: int = 2) -> Tensor:
    return pose_towards(volume.centre_mm, CAMERA, "PA").expand(count, 4, 4)


def test_where_nothing_has_moved_layers_add_up_to_the_ct(volume: Volume) -> None:
    ct = PreparedCt(volume=volume)
    layers = body_layers(ct, 2.0)
    assert [body.name for body in layers.bodies] == ["rest", "pelvis", "left-femur", "right-femur"]
    found = layers.render(CAMERA, poses(volume), Still())  # type: ignore[arg-type]
    assert found.shape == (2, 4, 32, 32)
    whole = render(ct.levels((2.0,))[0], CAMERA, poses(volume))[:, 0]
    torch.testing.assert_close(found.sum(dim=1), whole, atol=2e-3, rtol=1e-3)


def test_femurs_turn_and_tissue_shifts_and_the_pelvis_stays(volume: Volume) -> None:
    layers = body_layers(PreparedCt(volume=volume), 2.0)
    still = layers.render(CAMERA, poses(volume), Still())  # type: ignore[arg-type]
    moved = layers.render(CAMERA, poses(volume), np.random.default_rng(0))
    names = [body.name for body in layers.bodies]
    changed = {
        name: not torch.allclose(still[:, index], moved[:, index], atol=1e-4)
        for index, name in enumerate(names)
    }
    assert not changed["pelvis"]
    assert changed["rest"]
    joined = {body.name for body in layers.bodies if body.joint is not None}
    assert all(changed[name] for name in joined)
    again = layers.render(CAMERA, poses(volume), np.random.default_rng(0))
    assert torch.equal(moved, again)


def test_other_labels_are_bones_against_the_rest_and_none_are_one(volume: Volume) -> None:
    plain = dataclasses.replace(volume, label_names={})
    names = [body.name for body in body_layers(PreparedCt(volume=plain), 4.0).bodies]
    assert names == ["rest", "bones"]
    bare = dataclasses.replace(volume, labels=None, label_names={})
    layers = body_layers(PreparedCt(volume=bare), 4.0)
    assert len(layers.bodies) == 1
    found = layers.render(CAMERA, poses(bare, 1), np.random.default_rng(0))
    whole = render(layers.volumes[0], CAMERA, poses(bare, 1))
    torch.testing.assert_close(found, whole)
