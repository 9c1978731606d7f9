"""Kills a run of tasks at random moments, harms its results, and compares what comes out.

python benchmarks/fault_injection.py                       # a small graph, a minute
python benchmarks/fault_injection.py --kills 20 --seed 1
python benchmarks/fault_injection.py --command wsreg reproduce table1 --data FILE.h5 --out OUT

Every second kill is of the whole run, the others are of one of its workers; before each, some
results are deleted and a byte of one is changed.  One more run finds the disk full.
"""

from __future__ import annotations

import hashlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import tyro

from wsreg.files.pieces import Pieces
from wsreg.jobs.cache import RECORD_FILE
from wsreg.jobs.crew import call_crew
from wsreg.jobs.run import run
from wsreg.jobs.task import Place, Task

STEPS, SIZE = 20, 60
FULL_DISK_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to disturb, and how often.

    Args:
        kills: how many.
        seed: of the moments.
        processes: that work at a time.
        command: to be disturbed; OUT in it is the folder of its results.
        graph_in: work at the small graph in this folder and do nothing else.
    """

    kills: int = 10
    seed: int = 0
    processes: int = 2
    command: tuple[str, ...] = ()
    graph_in: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None


def train(place: Place, *, seed: int) -> None:
    """Go on from the last step that was saved, as a training does."""
    saved = Pieces(path=place.work)
    done = [step for step in range(STEPS) if saved.has(f"{step:03d}")]
    start = np.random.default_rng(seed).normal(size=(SIZE, SIZE))
    matrix = saved.load(f"{done[-1]:03d}")["matrix"] if done else start
    for step in range(done[-1] + 1 if done else 0, STEPS):
        matrix = np.tanh(matrix @ start.T / SIZE + start)
        time.sleep(0.02)
        saved.save(f"{step:03d}", {"matrix": matrix})
    Pieces(path=place.out).save("model", {"matrix": matrix})


def evaluate(place: Place, *, sample: int) -> None:
    """Make a number of each model."""
    models = {n: Pieces(path=f).load("model")["matrix"] for n, f in sorted(place.made.items())}
    lines = [f"{name},{float(m[sample].sum())!r}" for name, m in models.items()]
    (place.out / "trial.csv").write_text("\n".join(lines))


def tabulate(place: Place) -> None:
    """Put what others found one below the other."""
    texts = [(folder / "trial.csv").read_text() for _, folder in sorted(place.made.items())]
    (place.out / "table.csv").write_text("\n".join(texts))


def graph() -> list[Task]:
    """Return trainings, evaluations of them, and a table."""
    models = [Task(name=f"model-{n}", function=train, arguments={"seed": n}) for n in range(6)]
    trials = [
        Task(
            name=f"trial-{n}", function=evaluate, arguments={"sample": n},
            needs=(f"model-{n % 6}", f"model-{(n + 1) % 6}"),
        )
        for n in range(12)
    ]  # fmt: skip
    return [
        *models,
        *trials,
        Task(name="t", function=tabulate, needs=tuple(t.name for t in trials)),
    ]


def begin(options: Options, out: Path, *, full_disk: bool = False) -> subprocess.Popen[str]:
    """Begin the run; with a full disk no file can grow beyond a few bytes."""
    own = ("OUT", "--processes", str(options.processes))
    words = options.command or (sys.executable, __file__, "--graph-in", *own)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    if full_disk:  # the child inherits it
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_DISK_BYTES, usual[1]))
    try:
        return subprocess.Popen(
            [str(out) if word == "OUT" else word for word in words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def finished(process: subprocess.Popen[str]) -> int:
    """Wait for a run, and return its exit status."""
    process.communicate()
    return process.returncode


def content(out: Path) -> dict[str, str]:
    """Return the hash of every file, but of those that say how long things took."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != RECORD_FILE
    }


def harm(out: Path, chance: random.Random, share: float = 0.5) -> None:
    """Delete a share of the results that are there, and change a byte in one of the others."""
    folders = sorted(record.parent for record in out.rglob(RECORD_FILE))
    for folder in chance.sample(folders, round(share * len(folders))):
        shutil.rmtree(folder)
    files = sorted(p for p in out.glob("*/*") if p.is_file() and p.stat().st_size)
    if files:
        path = chance.choice(files)
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def kill(process: subprocess.Popen[str], *, worker: bool, chance: random.Random) -> str:
    """Kill a run or one of its workers, and return which."""
    if process.poll() is not None:
        return "nothing, it was done"
    if not worker:
        process.kill()
        return "the run"
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if workers:
            chance.choice(workers).send_signal(signal.SIGKILL)
            return "a worker"
    return "nothing, there was no worker"


def disturb(options: Options, out: Path, seconds: float) -> None:
    """Kill and harm, each time at another moment, and fill the disk once."""
    chance = random.Random(options.seed)
    for number in range(options.kills):
        harm(out, chance)
        moment = chance.uniform(0.0, seconds)
        process = begin(options, out)
        time.sleep(moment)
        killed = kill(process, worker=number % 2 == 1, chance=chance)
        said = process.communicate()[1].strip().splitlines()[-1:]
        print(f"{moment:.1f} s: killed {killed}; status {process.returncode}", *said)
    harm(out, chance, share=1.0)
    process = begin(options, out, full_disk=True)
    said = process.communicate()[1].strip().splitlines()[-1:]
    print(f"disk full: status {process.returncode}", *said)


def main(options: Options) -> int:
    """Run once undisturbed and often disturbed, compare, and return the exit status."""
    if options.graph_in is not None:
        run(graph(), options.graph_in, partial(call_crew, processes=options.processes))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        calm, disturbed = Path(folder) / "calm", Path(folder) / "disturbed"
        start = time.perf_counter()
        assert finished(begin(options, calm)) == 0
        seconds = time.perf_counter() - start
        print(f"undisturbed: {seconds:.1f} s, {len(content(calm))} files")
        disturb(options, disturbed, seconds)
        print(f"at last: status {finished(begin(options, disturbed))}")
        expected, found = content(calm), content(disturbed)
        different = sorted(set(expected.items()) ^ set(found.items()))
        print("all files are the same" if not different else f"different: {different}")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
