"""Threads, forked and spawned processes register to the same bits, at once or one by one."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = '''
import multiprocessing, os, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
import torch
import wsreg
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import LevelConfig
from wsreg.similarity.ncc import MultiscaleNcc
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.resampling import resample_isotropic

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: that is the test
VOLUME = resample_isotropic(analytic_phantom(), 8.0)
CAMERA = wsreg.Camera(
    source_to_detector_mm=1000.0, rows=64, columns=64, pixel_spacing_mm=(6.0, 6.0)
)
LEVELS = tuple(
    LevelConfig(image_px=size, voxel_mm=None, measure=MultiscaleNcc(windows_px=(5,)))
    for size in (32, 64)
)


def team_of_torch():
    """Work for a team of OpenMP threads."""
    numbers = torch.arange(2_000_000, dtype=torch.float64)
    assert bool((numbers * 2 - numbers == numbers).all())


def answer(number):
    """Register an X-ray; return all that is known of it but the seconds, as text."""
    team_of_torch()
    pose = wsreg.view_pose(VOLUME, CAMERA, "AP")
    image = wsreg.render(VOLUME, CAMERA, pose)[0, 0]
    start = pose.clone()
    start[:3, 3] += torch.tensor([4.0 + number, 3.0, -8.0])
    config = wsreg.RegistrationConfig(levels=LEVELS, probes=2)
    xray = Radiograph(image=image, camera=CAMERA)
    result = wsreg.register(xray, VOLUME, init=start, bodies=None, config=config)
    record = {k: v for k, v in result.to_dict().items() if k != "seconds"}
    return repr(record)


def forked(number):
    """Register in a child made by os.fork, with nothing of multiprocessing's help."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer"
        child = os.fork()
        if child == 0:
            file.write_text(answer(number))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        return file.read_text()


def answers(way):
    if way == "again":
        return [answer(number) for number in range(4)]
    if way == "threads":
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(answer, range(4)))
    if way == "os.fork":
        return [forked(number) for number in range(4)]
    with ProcessPoolExecutor(2, multiprocessing.get_context(way)) as pool:
        return list(pool.map(answer, range(4)))


if __name__ == "__main__":
    torch.set_num_threads(2)
    expected = [answer(number) for number in range(4)]
    assert len(set(expected)) == 4
    for way in sys.argv[1:]:
        print(way, answers(way) == expected, flush=True)
'''
WAYS = ["again", "threads", *multiprocessing.get_all_start_methods()]
if hasattr(os, "fork"):
    WAYS.append("os.fork")


def test_every_way_to_register_at_once_gives_the_bits_of_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "registrations.py"
    script.write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setenv("WSREG_THREADS", "3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run = subprocess.run(
        [sys.executable, str(script), *WAYS], capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert run.stdout.split("\n")[:-1] == [f"{way} True" for way in WAYS], run.stderr
    assert run.returncode == 0
