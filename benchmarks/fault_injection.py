"""Kills a run of tasks at random moments, harms its results, and compares what comes out.

python benchmarks/fault_injection.py                       # a small graph, a minute
python benchmarks/fault_injection.py --kills 20 --seed 1
python benchmarks/fault_injection.py --reproduce table1    # by wsreg, preset tiny: ten minutes
python benchmarks/fault_injection.py --reproduce all --write    # an hour
python benchmarks/fault_injection.py --command wsreg reproduce table1 --data FILE.h5 --out OUT

Every second kill is of the whole run, the others are of one of its workers; before each, some
results are deleted and a bit is changed in one, or in what a killed task goes on from.  One more
run finds the disk full.  What a run leaves is compared byte by byte, but for what says how long
things took.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import tyro

from hardware import describe_hardware
from results_file import write_section
from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset
from wsreg.files.pieces import Pieces
from wsreg.jobs.cache import RECORD_FILE
from wsreg.jobs.crew import call_crew
from wsreg.jobs.run import run
from wsreg.jobs.task import Place, Task
from wsreg.specimens.specimen import Detail
from wsreg.vocabulary import ExperimentName

STEPS, SIZE = 20, 60
FULL_DISK_BYTES = 2000
GONE_ON_FROM = (".jsonl", ".safetensors")
"""Endings of the files from which killed tasks of wsreg go on."""
MOST_LETTERS = 300
"""Of what a run said last."""
SPECIMENS = ("17-1882", "18-2799")
COARSE = Preset(
    name="coarse",
    xrays=dict.fromkeys(SPECIMENS, 1),
    ct_mm=6.0,
    image_px=48,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)
"""A cohort that is made in seconds; a preset of ``tiny`` measures nothing on it."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to disturb, and how often.

    Args:
        kills: how many.
        seed: of the moments.
        processes: that work at a time.
        command: to be disturbed; OUT in it is the folder of its results.
        reproduce: disturb ``wsreg reproduce`` of this, preset tiny, on a small cohort.
        write: put the report into docs/results.md.
        graph_in: work at the small graph in this folder and do nothing else.
    """

    kills: int = 10
    seed: int = 0
    processes: int = 2
    command: tuple[str, ...] = ()
    reproduce: ExperimentName | None = None
    write: bool = False
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
        if path.is_file() and not _tells_time(path.relative_to(out))
    }


def _tells_time(path: Path) -> bool:
    """Tell whether a file holds seconds, as records, trials and reports do."""
    timed = path.name == RECORD_FILE or "-seconds." in path.name or path.suffix == ".html"
    return timed or path.parts[0] == "cache"


def harm(out: Path, chance: random.Random, share: float = 0.5) -> None:
    """Delete a share of the results that are there, and change a bit in what is left."""
    folders = sorted(record.parent for record in out.rglob(RECORD_FILE))
    for folder in chance.sample(folders, round(share * len(folders))):
        shutil.rmtree(folder)
    rest = (folder for folder in folders if folder.exists())
    files = sorted(p for f in rest for p in f.iterdir() if p.is_file() and p.stat().st_size)
    files += sorted(p for p in out.rglob("unfinished/**/*") if p.suffix in GONE_ON_FROM)
    if files:
        path = chance.choice(files)
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def kill(process: subprocess.Popen[str], *, worker: bool, chance: random.Random) -> str:
    """Kill a run or one of its workers, and return which; "" if neither was there any more."""
    if process.poll() is not None:
        return ""
    if not worker:
        process.kill()
        return "the run"
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if workers:
            chance.choice(workers).send_signal(signal.SIGKILL)
            return "a worker"
    return ""


def disturb(options: Options, out: Path, seconds: float) -> Iterator[str]:
    """Kill and harm, each time at another moment, and fill the disk once; say what happened.

    A run that was done before its moment came is no kill, and another one takes its place.
    """
    chance = random.Random(options.seed)
    kills = 0
    while kills < options.kills:
        harm(out, chance)
        moment = chance.uniform(0.0, seconds)
        process = begin(options, out)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        killed = kill(process, worker=kills % 2 == 1, chance=chance)
        told = _told(f"after {moment:.1f} s: killed {killed}", process)
        if killed:
            kills += 1
            yield told
        elif process.returncode != 0:
            yield told
    harm(out, chance, share=1.0)
    yield _told("disk full", begin(options, out, full_disk=True))


def _told(what: str, process: subprocess.Popen[str]) -> str:
    """Wait for a run, and return how it ended, with the last that wsreg said."""
    said = process.communicate()[1].strip().splitlines()
    last = [line for line in said if line.startswith("wsreg:")][-1:]
    words = ("ended well" if process.returncode == 0 else f"status {process.returncode}", *last)
    return f"{what}; " + ": ".join(words)[:MOST_LETTERS]


def reproduction(options: Options, folder: Path) -> Options:
    """Return options that disturb ``wsreg reproduce`` on a cohort made for it."""
    data = folder / "cohort.h5"
    build_cohort(data, COARSE, 0, SPECIMENS, workers=1)
    wsreg = str(Path(sys.executable).with_name("wsreg"))
    what = str(options.reproduce)
    words = (wsreg, "reproduce", what, "--data", str(data), "--preset", "tiny", "--out", "OUT")
    processes = ("--workers", str(options.processes), "--specimen", SPECIMENS[1])
    return dataclasses.replace(options, command=(*words, *processes))


def injected(options: Options, folder: Path) -> tuple[bool, list[str]]:
    """Run once undisturbed and often disturbed; return whether all is the same, and what was."""
    calm, disturbed = folder / "calm", folder / "disturbed"
    start = time.perf_counter()
    undisturbed = begin(options, calm)
    said = undisturbed.communicate()[1]
    if undisturbed.returncode != 0:
        raise SystemExit(f"the run fails by itself: {said}")
    seconds = time.perf_counter() - start
    lines = [f"undisturbed: {seconds:.1f} s, {len(content(calm))} files"]
    print(*lines, flush=True)
    for line in disturb(options, disturbed, seconds):
        print(line, flush=True)
        lines.append(line)
    lines.append(f"at last: status {finished(begin(options, disturbed))}")
    different = {name for name, _ in content(calm).items() ^ content(disturbed).items()}
    lines.append("all files are the same" if not different else f"different: {sorted(different)}")
    print(*lines[-2:], sep="\n")
    return not different, lines


def main(options: Options) -> int:
    """Disturb, compare, report, and return the exit status."""
    if options.graph_in is not None:
        run(graph(), options.graph_in, partial(call_crew, processes=options.processes))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        asked = reproduction(options, Path(folder)) if options.reproduce else options
        same, lines = injected(asked, Path(folder))
    if options.write:
        text = [line.replace(folder, "DIR") for line in lines]
        hardware = f"{describe_hardware(1, ('wsreg',))}, {options.processes} processes."
        command = f"`wsreg reproduce {options.reproduce} --preset tiny`"
        what = command if options.reproduce else "A graph of tasks"
        head = f"### {what}, killed {options.kills} times"
        write_section(
            "fault injection", "\n".join([head, "", hardware, "", *(f"- {t}" for t in text)])
        )
    return int(not same)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
