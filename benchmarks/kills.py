"""Kills commands at random moments, goes on, and compares what comes out with undisturbed runs.

python benchmarks/kills.py                        # 50 kills, half an hour on two cores
python benchmarks/kills.py --kills 6 --only register

Every second kill is of the whole process group, the others of the parent alone, whose processes
must then end by themselves.  Kills come one or two in a row, then the command runs to its end, and
every file must be as in the undisturbed run, but for seconds.  A stopped benchmark goes on.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
import tyro

from hardware import describe_hardware
from killed_commands import COMMANDS, make_inputs, train
from results_file import write_section
from same_files import content_of
from wsreg.files.journal import open_row_journal

OUTPUT = Path(__file__).parent / "output" / "kills"
SECONDS_TO_END = 20.0
"""In which processes must end whose parent was killed."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How often to kill.

    Args:
        kills: how many, shared out among the commands.
        seed: of the moments.
        only: names of commands; all if empty.
        train_in: train a network in this folder and do nothing else.
        kind: of the network.
    """

    kills: int = 50
    seed: int = 0
    only: tuple[str, ...] = ()
    train_in: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    kind: str = "unet"


def begin(words: Sequence[str]) -> subprocess.Popen[str]:
    """Begin a command in a process group of its own."""
    return subprocess.Popen(
        words, cwd=OUTPUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        process_group=0,
    )  # fmt: skip


def finished(words: Sequence[str]) -> tuple[float, str]:
    """Run a command to its end; return its seconds and what it says if it fails."""
    start = time.perf_counter()
    process = begin(words)
    said = process.communicate()[1]
    good = process.returncode == 0 and "Traceback" not in said
    return (
        time.perf_counter() - start,
        "" if good else f"status {process.returncode}: {said[-300:]}",
    )


def kill(process: subprocess.Popen[str], *, group: bool) -> dict[str, Any] | None:
    """Kill a command, and tell what became of its processes; None if it was done before."""
    if process.poll() is not None:
        process.communicate()
        return None
    children = psutil.Process(process.pid).children(recursive=True)
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    start = time.perf_counter()
    _, alive = psutil.wait_procs(children, timeout=SECONDS_TO_END)
    seconds = time.perf_counter() - start
    for child in alive:  # named below; they must not spoil what follows
        child.kill()
    process.communicate()
    return {"processes": len(children), "stayed": len(alive), "seconds": seconds}


def disturbed(name: str, number: int, seconds: float, options: Options) -> dict[str, Any]:
    """Kill a command once or twice, let it end, and return how its files differ."""
    chance = random.Random(f"{options.seed} {name} {number}")
    out = OUTPUT / f"{name}-disturbed"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    words = COMMANDS[name](out)
    kills: list[dict[str, Any]] = []
    wanted = chance.choice((1, 2))
    for _ in range(wanted):
        moment = chance.uniform(0.0, seconds)
        process = begin(words)
        time.sleep(moment)
        group = (number // len(COMMANDS) + len(kills)) % 2 == 1
        found = kill(process, group=group)
        if found is not None:
            kills.append({"moment": moment, "group": group, **found})
    _, error = finished(words)
    expected, got = content_of(OUTPUT / f"{name}-calm"), content_of(out)
    differing = sorted(n for n in {*expected, *got} if expected.get(n) != got.get(n))
    return {"name": name, "number": number, "kills": kills, "error": error, "differing": differing}


def main(options: Options) -> int:
    """Kill, compare, write the section, and return the exit status."""
    if options.train_in is not None:
        train(options.train_in, options.kind)
        return 0
    make_inputs(OUTPUT)
    names = options.only or tuple(COMMANDS)
    setup = {"seed": options.seed, "names": list(names)}
    journal = open_row_journal(OUTPUT / f"journal-{'-'.join(options.only) or 'all'}.jsonl", setup)
    rows = list(journal.rows)
    calm = {name: undisturbed(name) for name in names}
    for turn in range(options.kills):
        name = names[turn % len(names)]
        if sum(len(row["kills"]) for row in rows) >= options.kills:
            break
        if any((row["name"], row["number"]) == (name, turn) for row in rows):
            continue
        row = disturbed(name, turn, calm[name], options)
        journal.append(row)
        rows.append(row)
        print(row, flush=True)
    bad = [row for row in rows if is_bad(row)]
    if not options.only:
        write_section("kills", section(rows, options))
    print(f"{len(bad)} of {len(rows)} restarts are bad")
    return int(bool(bad))


def undisturbed(name: str) -> float:
    """Run a command once, if its files are not there, and return its seconds."""
    out = OUTPUT / f"{name}-calm"
    clock = OUTPUT / f"{name}.seconds"
    if not clock.exists():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        seconds, error = finished(COMMANDS[name](out))
        assert not error, error
        clock.write_text(repr(seconds))
    return float(clock.read_text())


def is_bad(row: Mapping[str, Any]) -> bool:
    """Tell whether a restart failed, gave other files, or a process stayed."""
    stayed = any(kill["stayed"] for kill in row["kills"])
    return bool(row["error"] or row["differing"] or stayed)


def section(rows: Sequence[Mapping[str, Any]], options: Options) -> str:
    """Return the table of all commands, of those restarts that come after a kill."""
    rows = [row for row in rows if row["kills"]]
    lines = []
    for name in COMMANDS:
        own = [row for row in rows if row["name"] == name]
        kills = [kill for row in own for kill in row["kills"]]
        alone = [kill for kill in kills if not kill["group"]]
        others = sum(1 for row in own if row["error"] or row["differing"])
        longest = max((kill["seconds"] for kill in alone), default=0.0)
        lines.append(
            f"| {name} | {len(kills)} ({len(alone)}) | {len(own)} | {others} | "
            f"{sum(kill['processes'] for kill in kills)} | "
            f"{sum(kill['stayed'] for kill in kills)} | {longest:.1f} |"
        )
    total = sum(len(row["kills"]) for row in rows)
    bad = sum(is_bad(row) for row in rows)
    return f"""### Killed runs

{describe_hardware(1, ("torch", "numba", "wsreg"))}; seed {options.seed}.

{total} kills (SIGKILL) at random moments of commands of some seconds, of the process group or of \
the parent alone, one or two before each restart; {bad} of {len(rows)} restarts ended with other \
files than an undisturbed run (bit for bit, but for seconds), with an error, or left a process.

| command | kills (of the parent alone) | restarts | other files | processes beside the parent | \
stayed | seconds until the last ended |
|---|---|---|---|---|---|---|
{chr(10).join(lines)}
"""


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
