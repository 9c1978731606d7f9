"""How long and how large a graph is said to be, before any of it is done."""

from __future__ import annotations

import pytest

from wsreg.experiments.estimates import (
    PAPER_CPU,
    PAPER_GPU,
    SMALL,
    TINY,
    disk_bytes,
    seconds_of,
    training_seconds,
    trials_seconds,
)
from wsreg.experiments.graph import SCHEMES, TABLE_1
from wsreg.experiments.tasks import train
from wsreg.jobs.task import Task
from wsreg.methods.artefact import Artefact
from wsreg.methods.variants import SIMILARITY_VARIANTS

NETWORKS = [
    Artefact(kind="unet", specimen="a"),
    Artefact(kind="medsam", specimen="a"),
    Artefact(kind="encoder", specimen="a", losses="geo-ncc-roi"),
]


def test_a_method_takes_its_seconds_for_each_x_ray() -> None:
    assert trials_seconds(SMALL, "ours", 12) == SMALL.beginning + 12 * SMALL.xray["ours"]
    adam = [trials_seconds(SMALL, name, 1) for name in ("adam-ssim", "adam-from-20-mm")]
    assert adam == [SMALL.beginning + SMALL.adam] * 2
    assert trials_seconds(SMALL, "adam-ssim-rois", 1) == SMALL.beginning + SMALL.adam_rois
    newton = trials_seconds(SMALL, "gauss-newton-mse-rois", 2)
    assert newton == SMALL.beginning + 2 * SMALL.gauss_newton


def test_a_gpu_trains_and_registers_nothing() -> None:
    cpu, gpu = (seconds_of("paper", accelerated=there) for there in (False, True))
    assert (cpu, gpu) == (PAPER_CPU, PAPER_GPU)
    for artefact in NETWORKS:
        assert training_seconds(gpu, artefact) < training_seconds(cpu, artefact)
    for name in (*TABLE_1, *SCHEMES, *SIMILARITY_VARIANTS):
        assert trials_seconds(gpu, name, 1) == trials_seconds(cpu, name, 1)
    assert seconds_of("small", accelerated=True) == seconds_of("small", accelerated=False)


@pytest.mark.parametrize("artefact", NETWORKS, ids=lambda one: one.kind)
def test_presets_grow(artefact: Artefact) -> None:
    tiny, small, paper = (training_seconds(s, artefact) for s in (TINY, SMALL, PAPER_CPU))
    assert tiny < small < paper


def test_networks_are_most_of_the_disk() -> None:
    tasks = [Task(name=name, function=train) for name in ("unet-a", "encoder-geo-a", "table1")]
    assert disk_bytes(tasks) == pytest.approx(222.1e6)
