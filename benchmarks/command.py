"""Seconds of ``wsreg register`` as a command, from start to files written, kernels compiled before.

python benchmarks/command.py            # run and print
python benchmarks/command.py --write    # into docs/results.md
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from cases import VOLUME_KEYS, load_cases
from hardware import describe_hardware
from results_file import write_section
from wsreg.geometry.camera_file import camera_record
from wsreg.volumes.examples import fetch_example


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        runs: counted runs for each CT, after one that is not.
        write: put the report into docs/results.md.
    """

    runs: int = 5
    write: bool = False


def seconds_of(xray: Path, ct: Path, camera: Path, out: Path) -> tuple[float, float]:
    """Return the seconds of the whole command, and of the registration in it."""
    command = [
        sys.executable, "-m", "wsreg.cli.main", "register", str(xray), "--ct", str(ct),
        "--camera", str(camera), "--intensity", "transmission", "--init", "search",
        "--out", str(out), "--force", "--quiet",
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, check=True)
    whole = time.perf_counter() - start
    return whole, json.loads((out / "result.json").read_text())["seconds"]["total"]


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    lines = [
        "### The command", "", f"{describe_hardware(2, ('torch', 'numba', 'wsreg'))}.", "",
        "`wsreg register XRAY --ct CT --camera camera.json --init search`, from the start of the",
        f"process to its end, medians (minima) of {options.runs} runs.", "",
        "| CT | whole command, s | of which the registration, s |", "|---|---|---|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for key in VOLUME_KEYS:
            case, camera = load_cases(key, 1)[0], Path(folder) / "camera.json"
            camera.write_text(json.dumps(camera_record(case.camera)))
            seconds = [
                seconds_of(case.image_path, fetch_example(key).ct, camera, Path(folder) / key)
                for _ in range(options.runs + 1)
            ]
            whole, solving = np.array(seconds[1:]).T
            lines.append(
                f"| {key} | {np.median(whole):.2f} ({whole.min():.2f}) | "
                f"{np.median(solving):.2f} ({solving.min():.2f}) |"
            )
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        write_section("command", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
