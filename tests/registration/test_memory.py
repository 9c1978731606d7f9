"""Registrations of ever new CTs leave nothing behind (benchmarks/busy_machine.py: a thousand)."""

from __future__ import annotations

import gc
import weakref

import psutil
import torch

from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.register import register
from wsreg.rendering import prepared
from wsreg.rendering.render import render
from wsreg.similarity.ncc import MultiscaleNcc
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

SETTLED, COUNT = 4, 14
MOST_MB = 50.0


def test_nothing_is_left_of_a_ct_and_memory_stays_flat(
    coarse: Volume, small_camera: Camera
) -> None:
    process, alive, used_mb = psutil.Process(), [], []
    pose = view_pose(coarse, small_camera)
    start = pose.clone()
    start[:3, 3] += torch.tensor([4.0, -3.0, 10.0])
    image = render(coarse, small_camera, pose)[0, 0]
    level = LevelConfig(image_px=32, voxel_mm=None, measure=MultiscaleNcc(windows_px=(5,)))
    config = RegistrationConfig(levels=(level, level), probes=2)
    before = len(prepared._made)
    for number in range(COUNT):
        ct = Volume(
            hu=coarse.hu + number, ct_from_voxel=coarse.ct_from_voxel, labels=coarse.labels,
            label_names=coarse.label_names,
        )  # fmt: skip
        register(Radiograph(image=image, camera=small_camera), ct, init=start, config=config)
        alive.append(weakref.ref(ct))
        del ct
        gc.collect()
        used_mb.append(process.memory_info().rss / 1024**2)
    assert [reference() for reference in alive] == [None] * COUNT
    assert len(prepared._made) <= before
    assert max(used_mb[SETTLED:]) - used_mb[SETTLED] < MOST_MB
