"""Threads, forked and spawned processes render the same bits, at once or one after the other."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numba
import pytest
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.rendering import prepared
from wsreg.rendering.backends import numba_backend
from wsreg.rendering.prepared import PreparedVolume
from wsreg.rendering.render import render, render_with_jacobian
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume


@pytest.fixture(autouse=True)
def many_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even small images are worth several threads."""
    monkeypatch.setattr(numba_backend, "SAMPLES_WORTH_A_THREAD", 1)
    monkeypatch.setenv("WSREG_THREADS", "3")


def copy_of(volume: Volume) -> Volume:
    """A volume of which nothing is prepared."""
    return Volume(hu=volume.hu, ct_from_voxel=volume.ct_from_voxel, labels=volume.labels)


def rendered(volume: Volume, camera: Camera, pose: Tensor) -> Tensor:
    """Image and derivatives, with ROIs, as one row of numbers."""
    image, jacobian = render_with_jacobian(volume, camera, pose, rois=[1, (2, 3)], backend="numba")
    return torch.cat((image.flatten(), jacobian.flatten()))


def test_the_number_of_threads_changes_nothing(
    noisy_volume: Volume,
    camera: Camera,
    poses: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = torch.stack(list(poses.values()))
    answers = []
    for threads in ("1", "2", "5", "64"):
        monkeypatch.setenv("WSREG_THREADS", threads)
        answers.append(rendered(noisy_volume, camera, batch))
    assert float(answers[0].abs().max()) > 0
    for answer in answers[1:]:
        assert torch.equal(answer, answers[0])


def test_numbas_own_threads_are_never_started(
    noisy_volume: Volume, camera: Camera, poses: dict[str, Tensor]
) -> None:
    rendered(noisy_volume, camera, poses["PA"])
    project_attenuation(noisy_volume, camera, poses["PA"])
    with pytest.raises(ValueError, match="Threading layer is not initialized"):
        numba.threading_layer()


def test_four_threads_at_once_render_what_one_renders_in_turn(
    noisy_volume: Volume, camera: Camera, poses: dict[str, Tensor]
) -> None:
    chosen = list(poses.values())[:4]
    expected = [rendered(noisy_volume, camera, pose) for pose in chosen]
    fresh = copy_of(noisy_volume)  # so that they prepare it at the same time, too
    start = threading.Barrier(4)

    def turns(number: int) -> list[Tensor]:
        start.wait(timeout=30.0)
        return [rendered(fresh, camera, chosen[(number + turn) % 4]) for turn in range(8)]

    with ThreadPoolExecutor(4) as threads:
        for number, answers in enumerate(threads.map(turns, range(4))):
            for turn, answer in enumerate(answers):
                assert torch.equal(answer, expected[(number + turn) % 4])


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_renders_what_its_parent_did(noisy_volume: Volume, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    # So large that a spawned child, which sees nothing of the fixture above, needs threads, too.
    camera = Camera(
        source_to_detector_mm=1000.0, rows=200, columns=200, pixel_spacing_mm=(1.0, 1.0)
    )
    pose = view_pose(noisy_volume, camera)
    expected = render(noisy_volume, camera, pose, backend="numba")
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, context, initializer=torch.set_num_threads, initargs=(1,)) as child:
        answer = child.submit(render, noisy_volume, camera, pose, backend="numba")
        assert torch.equal(answer.result(timeout=120.0), expected)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_what_a_thread_of_its_parent_was_preparing(
    noisy_volume: Volume, camera: Camera
) -> None:
    volume, pose = copy_of(noisy_volume), view_pose(noisy_volume, camera)
    expected = rendered(volume, camera, pose)
    made = PreparedVolume(volume=volume)._made
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with made.lock, prepared._made_lock:
            holding.set()
            release.wait(timeout=120.0)

    def render_anew() -> None:
        made.values.clear()
        os._exit(0 if torch.equal(rendered(volume, camera, pose), expected) else 2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(timeout=30.0)
    child = multiprocessing.get_context("fork").Process(target=render_anew)
    child.start()
    child.join(60.0)
    release.set()
    holder.join()
    child.kill()
    assert child.exitcode == 0
