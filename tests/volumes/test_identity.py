from __future__ import annotations

import dataclasses

import torch

from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.volume import Volume


def test_the_same_ct_has_the_same_name_and_others_have_others() -> None:
    hu = torch.arange(60, dtype=torch.int16).view(3, 4, 5)
    grid = torch.eye(4, dtype=torch.float64)
    ct = Volume(hu=hu, ct_from_voxel=grid)
    name = ct_sha256(ct)
    assert len(name) == 64
    labelled = dataclasses.replace(ct, labels=torch.ones(3, 4, 5, dtype=torch.uint8))
    assert ct_sha256(labelled) == name
    assert ct_sha256(Volume(hu=hu.float() + 0.2, ct_from_voxel=grid)) == name
    off = torch.zeros(4, 4, dtype=torch.float64)
    off[:3] = 1e-6
    assert ct_sha256(Volume(hu=hu, ct_from_voxel=grid + off)) == name
    changed = hu.clone()
    changed[1, 2, 3] += 1
    moved = grid.clone()
    moved[0, 3] = 1.0
    others = (
        Volume(hu=changed, ct_from_voxel=grid),
        Volume(hu=hu, ct_from_voxel=moved),
        Volume(hu=hu.view(3, 5, 4), ct_from_voxel=grid),
    )
    assert len({name, *map(ct_sha256, others)}) == 4
