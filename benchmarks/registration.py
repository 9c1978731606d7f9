"""Time and error to registration on two real CTs: both solvers, starts, search, verdicts, memory.

    python benchmarks/registration.py                   # everything that is missing, then report
    python benchmarks/registration.py --trials starts   # one kind of trial

Every trial is appended to ``benchmarks/output/registration.jsonl`` as it ends, so a run that is
interrupted goes on where it was.  ``--fresh`` forgets what is there.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from cases import VOLUME_KEYS, Case, VolumeKey, load_cases
from hardware import describe_hardware
from results_file import write_section
from wsreg import RegistrationConfig, Volume, read_radiograph, read_volume, register
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.geometry.rigid import perturb
from wsreg.registration.verdict.config import TrustConfig
from wsreg.registration.verdict.evidence import evidence_from_record
from wsreg.registration.verdict.judge import judge
from wsreg.volumes.examples import fetch_example

OUTPUT = Path(__file__).parent / "output" / "registration.jsonl"
Kind = Literal["starts", "search", "adam", "far", "stranger"]
KINDS: tuple[Kind, ...] = ("starts", "search", "far", "stranger", "adam")
SUCCESS_MM, FAILURE_MM = 1.0, 10.0
FAR_MM = (40.0, 80.0, 120.0)
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        trials: kinds of trial; all by default.
        fresh: run again what has been run before.
        write: put the report into docs/results.md.
    """

    trials: tuple[Kind, ...] = KINDS
    fresh: bool = False
    write: bool = False


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One registration: its name, which X-ray, which CT, how it starts."""

    name: str
    kind: Kind
    case: Case
    volume_key: VolumeKey
    init: Tensor | Literal["search"]
    config: RegistrationConfig


def trials(kind: Kind) -> Iterator[Trial]:
    """All trials of a kind.

    ``starts``: three starts 20 mm off for each X-ray.  ``search``: no start.  ``adam``: the
    paper's loop from the first start of each X-ray.  ``far``: starts 40 to 120 mm off, to make
    failures.  ``stranger``: the other patient's CT, where every answer is wrong.
    """
    plain, adam = RegistrationConfig(), RegistrationConfig(method="adam")
    for key in VOLUME_KEYS:
        other = next(k for k in VOLUME_KEYS if k != key)
        for case in load_cases(key):

            def trial(
                tag: object,
                init: Tensor | Literal["search"],
                config: RegistrationConfig = plain,
                on: VolumeKey = key,
                case: Case = case,
            ) -> Trial:
                return Trial(name=f"{kind}/{case.name}/{tag}", kind=kind, case=case,
                             volume_key=on, init=init, config=config)  # fmt: skip

            if kind == "starts":
                yield from (trial(n, start) for n, start in enumerate(case.starts))
            elif kind == "search":
                yield trial(0, "search")
            elif kind == "adam":
                yield trial(0, case.starts[0], adam)
            elif kind == "far":
                yield from (trial(n, _far_start(case, mm)) for n, mm in enumerate(FAR_MM))
            else:
                yield trial(0, "search", on=other)


def _far_start(case: Case, distance_mm: float) -> Tensor:
    """A start in the direction of the case's second one, as far as wanted (to 1 mm)."""
    from scipy.optimize import brentq

    generator = np.random.default_rng([case.seed, int(distance_mm)])
    direction = generator.normal(size=6) * np.array([0.004, 0.004, 0.004, 1.0, 1.0, 1.0])
    pivot = case.landmarks_mm.mean(dim=0)

    def start(scale: float) -> Tensor:
        return perturb(case.camera_from_ct, torch.from_numpy(scale * direction), pivot)

    def excess(scale: float) -> float:
        error = mtre_3d_mm(case.landmarks_mm, start(scale), case.camera_from_ct)
        return float(error) - distance_mm

    return start(float(brentq(excess, 0.0, 1000.0, xtol=1e-3)))


def run(trial: Trial, volume: Volume) -> Row:
    """Register as a user would, from the file of the X-ray, and measure the answer."""
    radiograph = read_radiograph(
        trial.case.image_path, camera=trial.case.camera, intensity="transmission"
    )
    result = register(radiograph, volume, init=trial.init, config=trial.config)
    truth, landmarks = trial.case.camera_from_ct, trial.case.landmarks_mm

    def errors(pose: Tensor) -> list[float]:
        projected = mpd_mm(landmarks, pose, truth, trial.case.camera)
        return [float(projected.nan_to_num(nan=1e3)), float(mtre_3d_mm(landmarks, pose, truth))]

    wrong_patient = trial.kind == "stranger"
    return {
        "trial": trial.name,
        "kind": trial.kind,
        "ct": trial.case.volume_key,
        "tools": len(trial.case.parameters.tools),
        "start": errors(result.start_camera_from_ct),
        "end": [1e3, 1e3] if wrong_patient else errors(result.camera_from_ct),
        "seconds": result.seconds["total"] - result.seconds["prepare_ct"],
        "verdict": result.verdict.status,
        "reasons": list(result.verdict.reasons),
        "similarity": result.similarity_end,
        "deviation": result.standard_deviation.tolist(),
        "renders": result.renders,
        "evidence": result.config["evidence"],
    }


def run_missing(options: Options) -> list[Row]:
    """Run what has not been run, and give back every row."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    if OUTPUT.exists():
        rows = [json.loads(line) for line in OUTPUT.read_text(encoding="utf-8").splitlines()]
    if options.fresh:
        rows = [row for row in rows if row["kind"] not in options.trials]
        OUTPUT.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = {row["trial"] for row in rows}
    volumes = {key: read_volume(fetch_example(key).ct) for key in VOLUME_KEYS}
    for kind in options.trials:
        missing = [trial for trial in trials(kind) if trial.name not in done]
        if missing:
            _warm_up(missing[0], volumes)
        for trial in tqdm(missing, desc=kind):
            row = run(trial, volumes[trial.volume_key])
            rows.append(row)
            with OUTPUT.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
    return rows


def _warm_up(trial: Trial, volumes: dict[VolumeKey, Volume]) -> None:
    """Kernels loaded, grids laid out: a user's second X-ray, which is what is timed."""
    quick = dataclasses.replace(trial.config, adam=dataclasses.replace(trial.config.adam, steps=2))
    for volume in volumes.values():
        run(dataclasses.replace(trial, config=quick, kind="stranger", init="search"), volume)


def peak_memory_gb() -> float:
    """Peak resident memory of one registration with the chest CT, in a process of its own."""
    answer = subprocess.run(
        [sys.executable, __file__, "--trials", "memory"], capture_output=True, text=True, check=True
    )
    return float(answer.stdout.strip().splitlines()[-1])


def _register_once_for_memory() -> None:
    case = load_cases("chest", 1)[0]
    radiograph = read_radiograph(case.image_path, camera=case.camera, intensity="transmission")
    register(radiograph, read_volume(fetch_example("chest").ct), init="search")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)


def report(rows: list[Row], memory_gb: float) -> str:
    """The tables as markdown."""
    hardware = describe_hardware(2, ("torch", "numba", "wsreg"))
    lines = [
        "### Registration", "", f"{hardware}.", "",
        "Simulated X-rays of two real CTs (384x384; scatter 20-60 %, beam hardening, noise, blur;",
        "every second one collimated, every third with a tool).  Seconds are wall time after",
        "loading, on a shared machine.", "",
        "| trials | CT | n | start: 3D mm | end: projected mm, median | P95 | under 1 mm "
        "| 3D mm, median | P95 | seconds, median | P95 | renders |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in KINDS:
        for key in VOLUME_KEYS:
            some = [row for row in rows if row["kind"] == kind and row["ct"] == key]
            if some and kind != "stranger":
                lines.append(_error_row(kind, key, some))
    starts = [row for row in rows if row["kind"] == "starts"]
    for text, some in (
        ("starts, no tool", [row for row in starts if not row["tools"]]),
        ("starts, with a tool", [row for row in starts if row["tools"]]),
        ("starts", starts),
    ):
        if some:
            lines.append(_error_row(text, "both", some))
    lines += ["", *_solver_lines(rows), "", *_verdict_lines(rows), "", *_deviation_lines(rows)]
    lines += ["", f"Peak memory of a registration with the chest CT: {memory_gb:.2f} GB."]
    return "\n".join(lines) + "\n"


def _column(rows: list[Row], get: Callable[[Row], float]) -> np.ndarray:
    return np.array([get(row) for row in rows])


def _error_row(kind: str, key: str, rows: list[Row]) -> str:
    start, projected = _column(rows, lambda r: r["start"][1]), _column(rows, lambda r: r["end"][0])
    spatial, seconds = _column(rows, lambda r: r["end"][1]), _column(rows, lambda r: r["seconds"])
    renders = _column(rows, lambda r: r["renders"])
    return (
        f"| {kind} | {key} | {len(rows)} | {np.median(start):.0f} | {np.median(projected):.3f} | "
        f"{np.percentile(projected, 95):.3f} | {np.mean(projected < SUCCESS_MM):.0%} | "
        f"{np.median(spatial):.3f} | {np.percentile(spatial, 95):.2f} | {np.median(seconds):.2f} | "
        f"{np.percentile(seconds, 95):.2f} | {np.median(renders):.0f} |"
    )


def _solver_lines(rows: list[Row]) -> list[str]:
    """Both solvers on the same X-rays and starts."""
    adam = {row["trial"].removeprefix("adam/"): row for row in rows if row["kind"] == "adam"}
    newton = {row["trial"].removeprefix("starts/"): row for row in rows if row["kind"] == "starts"}
    both = sorted(set(adam) & set(newton))
    if not both:
        return []
    ratio = np.median([adam[name]["seconds"] / newton[name]["seconds"] for name in both])
    cells = []
    for solver in (newton, adam):
        ends = np.array([solver[name]["end"] for name in both])
        fraction = np.mean(ends[:, 0] < SUCCESS_MM)
        cells.append(f"{np.median(ends[:, 0]):.2f} mm projected, {np.median(ends[:, 1]):.2f} mm "
                     f"3D (medians), {fraction:.0%} under 1 mm")  # fmt: skip
    return [
        f"The same {len(both)} X-rays and starts: Gauss-Newton {cells[0]}; Adam, 250 steps, "
        f"{cells[1]}.  Adam takes {ratio:.0f} times as long (median ratio)."
    ]


def _judged(row: Row) -> str:
    """Return the verdict on a trial's evidence by the present limits."""
    return judge(evidence_from_record(row["evidence"]), TrustConfig()).status


def _verdict_lines(rows: list[Row]) -> list[str]:
    failures = [row for row in rows if row["end"][1] > FAILURE_MM]
    successes = [row for row in rows if row["end"][0] < SUCCESS_MM and row["end"][1] < FAILURE_MM]
    flagged = sum(_judged(row) != "pass" for row in failures)
    failed = sum(_judged(row) == "fail" for row in failures)
    spurned = sum(_judged(row) == "fail" for row in successes)
    checked = sum(_judged(row) == "check" for row in successes)
    return [
        f"Verdicts over all trials: of {len(failures)} failures (over {FAILURE_MM:.0f} mm in 3D, "
        f"or the wrong patient) {flagged} are flagged ({failed} `fail`); of {len(successes)} "
        f"successes (under 1 mm projected) {spurned} are called `fail` and {checked} `check`."
    ]


def _deviation_lines(rows: list[Row]) -> list[str]:
    good = [row for row in rows if row["end"][0] < SUCCESS_MM]
    depth = np.median([row["deviation"][5] for row in good])
    across = np.median([max(row["deviation"][3:5]) for row in good])
    return [
        f"Stated standard deviation of successes, medians: {across:.2f} mm across, "
        f"{depth:.2f} mm in depth; 3D error {np.median([row['end'][1] for row in good]):.2f} mm."
    ]


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    torch.set_num_threads(2)
    text = report(run_missing(options), peak_memory_gb())
    print(text)
    if options.write:
        write_section("registration", text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--trials", "memory"]:
        _register_once_for_memory()
    else:
        main(tyro.cli(Options))
