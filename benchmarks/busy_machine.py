"""Registrations beside other programs, at once in threads and processes, and a thousand in a row.

python benchmarks/busy_machine.py                  # run and print
python benchmarks/busy_machine.py --write          # into docs/results.md
python benchmarks/busy_machine.py --lift --write   # as root, where others work on the machine too

Lifted, the benchmark and the busy programs that it starts share what they would have of an idle
machine: Linux weighs sessions against each other first, then the programs within one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch
import tyro

from cases import VOLUME_KEYS, VolumeKey, load_cases
from command import seconds_of
from hardware import describe_hardware
from results_file import write_section
from wsreg import RegistrationConfig, Volume, prepare, read_radiograph, read_volume, register
from wsreg.geometry.camera_file import camera_record
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import LevelConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render
from wsreg.similarity.ncc import MultiscaleNcc
from wsreg.volumes.examples import fetch_example
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.views import view_pose

BUSY_PROGRAMS = 2
AT_ONCE = 4
LIFTED = "-12"
"""The nice value of the session."""
LIMIT_S = 600.0
"""A way to register that takes longer hangs."""
WAYS = {
    "again in the same process": "again",
    "4 threads at once": "threads",
    "a pool of 2 forked processes": "fork",
    "a pool of 2 spawned processes": "spawn",
    "children of os.fork": "os.fork",
}
Part = Literal["seconds", "bits", "memory"]
PARTS: tuple[Part, ...] = ("seconds", "bits", "memory")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        parts: of the benchmark.
        runs: counted runs of each kind, after one that is not.
        registrations: in a row, each of a new CT.
        lift: run in a session of its own, above the other programs of the machine.
        write: put the report into docs/results.md.
    """

    parts: tuple[Part, ...] = PARTS
    runs: int = 5
    registrations: int = 1000
    lift: bool = False
    write: bool = False


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Keep so many programs at work that want all of a core."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in spinning:
            program.kill()
            program.wait()


def first_calls(key: VolumeKey, runs: int, folder: Path) -> list[float]:
    """Seconds of ``wsreg register`` from start to end, each in a process of its own."""
    case, camera = load_cases(key, 1)[0], folder / "camera.json"
    camera.write_text(json.dumps(camera_record(case.camera)), encoding="utf-8")
    ct = fetch_example(key).ct
    return [seconds_of(case.image_path, ct, camera, folder / key)[0] for _ in range(runs)]


def later_calls(key: VolumeKey, runs: int) -> list[float]:
    """Seconds of registrations in one process, its first one left out."""
    code = f"import busy_machine as b; b.print_seconds({key!r}, {runs})"
    out = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=_HERE
    )
    return [float(word) for word in out.stdout.split()]


def print_seconds(key: VolumeKey, runs: int) -> None:
    """Register an X-ray again and again and print the seconds."""
    xrays, ct = _xrays(key), _ct(key)
    for number in range(runs + 1):
        start = time.perf_counter()
        register(xrays[0], ct, init="search")
        if number:
            print(time.perf_counter() - start)


_HERE = Path(__file__).parent


@cache
def _ct(key: VolumeKey) -> PreparedCt:
    return prepare(read_volume(fetch_example(key).ct))


@cache
def _xrays(key: VolumeKey) -> list[Radiograph]:
    return [
        read_radiograph(case.image_path, camera=case.camera, intensity="transmission")
        for case in load_cases(key, AT_ONCE)
    ]


def seconds_lines(runs: int) -> list[str]:
    """The table of seconds, idle and busy."""
    lines = [
        f"| CT | call | idle, s: median (worst) | beside {BUSY_PROGRAMS} busy programs "
        "| median against idle |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        calls: dict[str, Callable[[VolumeKey], list[float]]] = {
            "the command, a fresh process": lambda key: first_calls(key, runs, Path(folder)),
            "a later call": lambda key: later_calls(key, runs),
        }
        for key in VOLUME_KEYS:
            for name, seconds in calls.items():
                seconds(key)  # files in the disk's cache
                idle = seconds(key)
                with busy_programs(BUSY_PROGRAMS):
                    busy = seconds(key)
                cells = [f"{np.median(some):.2f} ({max(some):.2f})" for some in (idle, busy)]
                ratio = np.median(busy) / np.median(idle)
                lines.append(f"| {key} | {name} | {cells[0]} | {cells[1]} | {ratio:.1f} |")
    return lines


def fingerprint(number: int) -> str:
    """Register an X-ray and hash all that is known of it but the seconds."""
    result = register(_xrays("chest")[number], _ct("chest"), init="search")
    record = {name: value for name, value in result.to_dict().items() if name != "seconds"}
    return hashlib.sha256(repr(record).encode()).hexdigest()


def _forked(number: int) -> str:
    """Register in a child made by os.fork."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sender, fingerprint(number).encode())
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as stream:
        found = stream.read()
    os.waitpid(child, 0)
    return found


def fingerprints(way: str) -> list[str]:
    """Register all X-rays in one way."""
    numbers = range(AT_ONCE)
    if way == "again":
        return [fingerprint(number) for number in numbers]
    if way == "os.fork":
        return [_forked(number) for number in numbers]
    if way == "threads":
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(fingerprint, numbers))
    with ProcessPoolExecutor(2, multiprocessing.get_context(way)) as processes:
        return list(processes.map(fingerprint, numbers))


def print_fingerprints(way: str) -> None:
    """Register all X-rays one by one, then in some way, and print both and the seconds."""
    one_by_one = fingerprints("again")
    start = time.perf_counter()
    found = fingerprints(way)
    print(json.dumps([one_by_one, found, time.perf_counter() - start]))


def bits_lines() -> list[str]:
    """The table of ways to register at once; every row is a process of its own."""
    lines = [
        f"| {AT_ONCE} X-rays | answers with equal bits | seconds |", "|---|---|---|",
    ]  # fmt: skip
    expected: list[str] = []
    programs = {name: [way] for name, way in WAYS.items()} | {"2 programs at once": ["again"] * 2}
    for name, ways in programs.items():
        running = [
            subprocess.Popen(
                [sys.executable, "-c", f"import busy_machine as b; b.print_fingerprints({way!r})"],
                stdout=subprocess.PIPE, text=True, cwd=_HERE,
            )
            for way in ways
        ]  # fmt: skip
        outputs = [program.communicate(timeout=LIMIT_S)[0] for program in running]
        told = [json.loads(output.splitlines()[-1]) for output in outputs]
        found = [one for first, second, _ in told for one in (*first, *second)]
        expected = expected or told[0][0]
        equal = sum(one == expected[n % AT_ONCE] for n, one in enumerate(found))
        lines.append(f"| {name} | {equal} of {len(found)} | {max(t[2] for t in told):.1f} |")
    return lines


def print_memory(count: int) -> None:
    """Register ``count`` new CTs and print the process's memory (MB) now and then."""
    process, phantom = psutil.Process(), resample_isotropic(analytic_phantom(), 6.0)
    generator = torch.Generator().manual_seed(0)
    camera = load_cases("chest", 1)[0].camera.resized(64, 64)
    pose = view_pose(phantom, camera, "AP")
    start = pose.clone()
    start[:3, 3] += torch.tensor([4.0, -3.0, 10.0])
    measure = MultiscaleNcc(windows_px=(5,))
    levels = tuple(LevelConfig(image_px=n, voxel_mm=None, measure=measure) for n in (32, 64))
    config = RegistrationConfig(levels=levels, probes=2)
    for number in range(count + 1):
        noise = torch.randint(-20, 20, phantom.hu.shape, generator=generator)
        ct = Volume(
            hu=(phantom.hu + noise).to(torch.int16), ct_from_voxel=phantom.ct_from_voxel,
            labels=phantom.labels, label_names=phantom.label_names,
        )  # fmt: skip
        xray = Radiograph(image=render(ct, camera, pose)[0, 0], camera=camera)
        register(xray, ct, init=start, config=config)
        if number % max(count // 20, 1) == 0:
            print(number, process.memory_info().rss / 1024**2, flush=True)


def memory_lines(count: int) -> list[str]:
    """What the memory does over many registrations."""
    out = subprocess.run(
        [sys.executable, "-c", f"import busy_machine as b; b.print_memory({count})"],
        check=True, capture_output=True, text=True, cwd=_HERE,
    ).stdout  # fmt: skip
    rows = np.array([line.split() for line in out.splitlines()], float)
    settled = rows[rows[:, 0] >= count // 20]
    grown = settled[:, 1].max() - settled[0, 1]
    return [
        f"{count} registrations of new CTs, pelvis and femurs apart, in one process: "
        f"{settled[0, 1]:.0f} MB after the first {settled[0, 0]:.0f}, {settled[-1, 1]:.0f} MB at "
        f"the end, at most {grown:+.0f} MB between."
    ]


def report(options: Options) -> str:
    """The tables as markdown."""
    lines = [
        "### Busy machines, threads, processes, memory", "",
        f"{describe_hardware(os.cpu_count() or 1, ('torch', 'numba', 'wsreg'))}.",
    ]  # fmt: skip
    if "seconds" in options.parts:
        lines += ["", "`wsreg register --init search` of 384 x 384 pixels."]
        lines += ["", *seconds_lines(options.runs)]
    if "bits" in options.parts:
        lines += ["", *bits_lines()]
    if "memory" in options.parts:
        lines += ["", *memory_lines(options.registrations)]
    return "\n".join(lines) + "\n"


def _run_lifted() -> int:
    """Run the same in a session of its own, which comes before those of other programs."""

    def lift() -> None:
        Path("/proc/self/autogroup").write_text(LIFTED, encoding="ascii")

    words = [word for word in sys.argv if word != "--lift"]
    return subprocess.run(
        [sys.executable, *words], start_new_session=True, preexec_fn=lift, check=False
    ).returncode


def main(options: Options) -> int:
    """Run, print, and write where asked."""
    if options.lift:
        return _run_lifted()
    text = report(options)
    print(text)
    if options.write:
        write_section("busy-machine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
