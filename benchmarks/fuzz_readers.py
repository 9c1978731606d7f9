"""Breaks files of every kind that wsreg reads, and tells what the readers make of them.

python benchmarks/fuzz_readers.py                        # 10,000 cases, some 10 minutes
python benchmarks/fuzz_readers.py --cases 500 --seed 1 --only "X-ray XA"
python benchmarks/fuzz_readers.py --case 4711            # one case again, with its traceback
python benchmarks/fuzz_readers.py --write                # into docs/results.md

A case is a kind of file and a seed, both known by its number.  Each is read by a process that may
take so many seconds and so much memory, and comes out as one of: ``read``; ``refused``, with an
error of wsreg's that names the file; ``unnamed``, the same without the name; ``traceback``, any
other exception; ``hang``; ``memory``; ``crash`` of the process.  All but the first two are faults.
The journal (JSON lines) holds every case; a run that was stopped goes on.
"""

from __future__ import annotations

import collections
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from fuzz_mutations import mutated
from fuzz_seeds import IMAGES, Seed
from fuzz_seeds_dicom import dicom_seeds
from fuzz_seeds_records import record_seeds
from hardware import describe_hardware
from results_file import write_section
from wsreg.errors import WsregError
from wsreg.files.journal import open_row_journal

GOOD = ("read", "refused")
GIB = 2**30
MEMORY_GIB = 2.0
"""More than a reader may take beyond what the process has: all files here are tiny."""
CEILING_GIB = 8.0
"""What no process gets, so that the machine lives."""

Case = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to break.

    Args:
        cases: how many.
        seed: of all of them.
        case: one case again, told in full.
        only: kinds of files whose name holds this.
        processes: that read at a time.
        seconds: that a case may take.
        journal: JSON lines, a case each.
        write: write the section of docs/results.md.
    """

    cases: int = 10_000
    seed: int = 0
    case: int | None = None
    only: str = ""
    processes: int = 2
    seconds: float = 10.0
    journal: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path(
        "benchmarks/output/fuzz-readers.jsonl"
    )
    write: bool = False


def all_seeds() -> tuple[Seed, ...]:
    """Return whole files of every kind."""
    return (*IMAGES, *dicom_seeds(), *record_seeds())


def make_seeds(folder: Path, seeds: Sequence[Seed]) -> dict[str, bytes]:
    """Write whole files, a folder for each kind, read them, and return one content of each."""
    contents = {}
    for seed in seeds:
        (folder / seed.name).mkdir(parents=True)
        seed.make(folder / seed.name)
        contents[seed.name] = _breakable(folder / seed.name)[0].read_bytes()
        seed.read(folder / seed.name)
    return contents


def _breakable(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not path.name.startswith("whole"))


def break_one(folder: Path, others: Mapping[str, bytes], rng: np.random.Generator) -> Path:
    """Break one of the files in a folder, at times twice, and return which."""
    files = _breakable(folder)
    path = files[int(rng.integers(len(files)))]
    data = path.read_bytes()
    for _ in range(1 + int(rng.random() < 0.25)):
        data = mutated(path.name, data, others, rng)
    path.write_bytes(data)
    return path


def outcome_of(
    seed: Seed, whole: Path, others: Mapping[str, bytes], key: tuple[int, int], work: Path
) -> Case:
    """Break a copy of whole files, read them, and return what came of it."""
    folder = work / f"case-{key[1]}"
    shutil.copytree(whole / seed.name, folder)
    try:
        path = break_one(folder, others, np.random.default_rng(key))
        return _reading(seed, folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reading(seed: Seed, folder: Path, path: Path) -> Case:
    begin = time.perf_counter()
    said, where, kind = "", "", "read"
    try:
        seed.read(folder)
    except WsregError as error:
        said = str(error)
        named = path.name in said or folder.name in said
        kind = "refused" if named and "\n" not in said else "unnamed"
    except Exception as error:  # noqa: BLE001 - any exception is what is looked for
        kind, said = "traceback", f"{type(error).__name__}: {error}"
        where = _frames(error)
    seconds = time.perf_counter() - begin
    return {"result": kind, "said": said[:400], "where": where, "seconds": round(seconds, 3)}


def _frames(error: BaseException) -> str:
    """Return the innermost place within wsreg, and the one that raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}wsreg{os.sep}" in frame.filename]
    last = [own[-1], frames[-1]] if own else frames[-1:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in last)


def _serve(pipe: Connection, whole: Path, others: Mapping[str, bytes], seed: int) -> None:
    """Do cases until there are no more."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # ITK and HDF5 speak for themselves
    limit = int(_status("VmSize") + CEILING_GIB * GIB)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    seeds = all_seeds()
    with tempfile.TemporaryDirectory(prefix="wsreg-fuzz-") as work:
        while (number := pipe.recv()) is not None:
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            before = _status("VmRSS")
            case = outcome_of(seeds[number % len(seeds)], whole, others, (seed, number), Path(work))
            more = (_status("VmHWM") - before) / GIB
            kind = "memory" if more > MEMORY_GIB else case["result"]
            pipe.send({**case, "result": kind, "gib": round(more, 3)})


def _status(name: str) -> int:
    """Return a size in bytes of this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


class Worker:
    """A process that reads broken files, and is replaced when it hangs or dies."""

    def __init__(self, whole: Path, others: Mapping[str, bytes], seed: int) -> None:
        self._arguments = (whole, others, seed)
        self.number: int | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end, *self._arguments), daemon=True)
        self._process.start()
        end.close()

    def give(self, number: int) -> None:
        """Begin a case."""
        self.number, self.begun = number, time.monotonic()
        self.pipe.send(number)

    def outcome(self, seconds: float) -> Case | None:
        """Return what became of the case, None as long as it is read within its time."""
        dead = not self._process.is_alive()
        if self.pipe.poll():
            try:
                case: Case = self.pipe.recv()
            except EOFError:
                dead = True
            else:
                return case
        if not dead and time.monotonic() - self.begun < seconds:
            return None
        self._process.kill()
        self._process.join()
        kind = "crash" if dead else "hang"
        said = f"exit status {self._process.exitcode}" if dead else f"over {seconds:g} s"
        self._start()
        taken = round(time.monotonic() - self.begun, 3)
        return {"result": kind, "said": said, "where": "", "seconds": taken, "gib": 0.0}

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def run(options: Options) -> list[Case]:
    """Do the cases that the journal lacks, and return all."""
    seeds = all_seeds()
    numbers = [n for n in range(options.cases) if options.only in seeds[n % len(seeds)].name]
    setup = {"seed": options.seed, "kinds": [seed.name for seed in seeds], "only": options.only}
    journal = open_row_journal(options.journal, setup)
    cases = {int(row["case"]): row for row in journal.rows}
    waiting = [number for number in numbers if number not in cases]
    with tempfile.TemporaryDirectory(prefix="wsreg-fuzz-") as folder:
        others = make_seeds(Path(folder), seeds)
        workers = [Worker(Path(folder), others, options.seed) for _ in range(options.processes)]
        while waiting or any(worker.number is not None for worker in workers):
            for worker in workers:
                if worker.number is not None and (found := worker.outcome(options.seconds)):
                    name = seeds[worker.number % len(seeds)].name
                    row = {"case": worker.number, "kind": name, **found}
                    cases[worker.number], worker.number = row, None
                    journal.append(row)
                if worker.number is None and waiting:
                    worker.give(waiting.pop(0))
            time.sleep(0.001)
        for worker in workers:
            worker.stop()
    return [cases[number] for number in numbers]


def tell(options: Options, number: int) -> None:
    """Do one case and print everything of it."""
    seeds = all_seeds()
    seed = seeds[number % len(seeds)]
    with tempfile.TemporaryDirectory(prefix="wsreg-fuzz-") as text:
        folder = Path(text)
        others = make_seeds(folder / "whole", seeds)
        shutil.copytree(folder / "whole" / seed.name, folder / "case")
        path = break_one(folder / "case", others, np.random.default_rng((options.seed, number)))
        kept = Path(tempfile.mkdtemp(prefix=f"wsreg-case-{number}-"))
        shutil.copytree(folder / "case", kept, dirs_exist_ok=True)
        print(f"{seed.name}: {path.name} is broken; kept in {kept}", flush=True)
        print(f"read: {seed.read(kept)!r}"[:2000])


def lines_of(cases: Sequence[Case], options: Options) -> list[str]:
    """Return the table of results by kind of file."""
    kinds: dict[str, collections.Counter[str]] = {}
    for case in cases:
        kinds.setdefault(case["kind"].split()[0], collections.Counter())[case["result"]] += 1
    faults = ("unnamed", "traceback", "hang", "memory", "crash")
    lines = ["| files | cases | read | refused | faults |", "|---|---|---|---|---|"]
    total: collections.Counter[str] = collections.Counter()
    for name, counts in sorted(kinds.items()):
        total += counts
        bad = ", ".join(f"{counts[one]} {one}" for one in faults if counts[one]) or "0"
        lines.append(
            f"| {name} | {counts.total()} | {counts['read']} | {counts['refused']} | {bad} |"
        )
    bad = ", ".join(f"{total[one]} {one}" for one in faults if total[one]) or "0"
    lines.append(f"| all | {total.total()} | {total['read']} | {total['refused']} | {bad} |")
    slowest = max(case["seconds"] for case in cases)
    most = max(case["gib"] for case in cases)
    machine = describe_hardware(options.processes, ("wsreg", "h5py", "pydicom", "SimpleITK"))
    lines += ["", f"Seed {options.seed}; the slowest case took {slowest:.1f} s, the largest "
              f"{1024 * most:.0f} MiB beyond what its process had. {machine}"]  # fmt: skip
    return lines


def main() -> int:
    """Do what is asked, and return 1 if a reader is at fault."""
    options = tyro.cli(Options, description=__doc__)
    if options.case is not None:
        tell(options, options.case)
        return 0
    cases = run(options)
    bad = [case for case in cases if case["result"] not in GOOD]
    groups = collections.Counter((c["kind"], c["result"], c["where"], c["said"][:60]) for c in bad)
    for (kind, result, where, said), count in groups.most_common(60):
        numbers = [c["case"] for c in bad if (c["kind"], c["where"]) == (kind, where)][:3]
        print(f"{count:4} {result} {kind}: {said!r} at {where} (cases {json.dumps(numbers)})")
    lines = lines_of(cases, options)
    print("\n".join(lines))
    if options.write:
        write_section("fuzz", "### Broken files\n\n" + "\n".join(lines))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
