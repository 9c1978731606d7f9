"""A film of a moving pelvis and femurs, followed frame by frame: speed, errors, lost frames.

    python benchmarks/sequence.py --seed 101           # the film that settings are chosen on
    python benchmarks/sequence.py --seed 202 --write   # the one that is reported, docs/results.md

Every frame is registered as one of the sequence, with the CT as one body and with four, and every
third as a single X-ray from the first frame's pose.  Times mean something on an idle machine only:
the load average is reported beside them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

import wsreg
from hardware import describe_hardware
from results_file import write_section
from sequence_frames import BLANK, BLOCKED, FRAMES, Film, film
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.files.journal import open_row_journal
from wsreg.geometry.rigid import transform_points
from wsreg.registration.sequence.result import SequenceResult
from wsreg.rendering.loading import load_kernels
from wsreg.rendering.prepared import PreparedCt
from wsreg.threads import thread_count

SPECIMENS: Mapping[int, str] = {101: "18-1109", 202: "17-1882"}
LABELS: Mapping[str, tuple[int, ...]] = {
    "pelvis": (1, 2, 4), "left-femur": (5,), "right-femur": (6,),
}  # fmt: skip
POINTS = 500
LOST = (*BLANK, *BLOCKED)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        seed: of the film.
        singles: register every third frame as a single X-ray, too.
        write: put the report into docs/results.md.
    """

    seed: int = 101
    singles: bool = True
    write: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A sequence that was registered.

    Args:
        result: of the sequence.
        seconds: wall time of all frames, with reading them.
        cpu_seconds: of all threads.
        load: average of the last minute when it ended.
    """

    result: SequenceResult
    seconds: float
    cpu_seconds: float
    load: float


def run(made: Film, ct: PreparedCt, bodies: str | None) -> Run:
    """Register all frames; the first second of a process, which loads, is not counted."""
    wsreg.prepare(ct.volume, bodies=bodies)
    load_kernels()
    frames = wsreg.read_frames(made.folder / "cine.dcm")
    begin, cpu = time.perf_counter(), time.process_time()
    with tqdm(desc=f"bodies {bodies or 'one'}", total=FRAMES) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            bar.update(done - bar.n)

        result = wsreg.register_sequence(frames, ct, bodies=bodies, progress=progress)
    return Run(
        result=result,
        seconds=time.perf_counter() - begin,
        cpu_seconds=time.process_time() - cpu,
        load=os.getloadavg()[0],
    )


def singles(made: Film, ct: PreparedCt, bodies: str | None, name: str) -> list[dict[str, Tensor]]:
    """Poses of some frames that are not lost as single X-rays, from the first frame's true pose."""
    frames = wsreg.read_frames(made.folder / "cine.dcm")
    journal = open_row_journal(
        made.folder / f"singles-{name}.jsonl", {"wsreg": wsreg.__version__, "bodies": bodies}
    )
    rows = [dict(row) for row in journal.rows]
    wanted = alone_numbers()
    for number in tqdm(wanted[len(rows) :], desc=f"singles, {name}"):
        start = made.poses[0]["pelvis"]
        found = wsreg.register(frames[number], ct, init=start, bodies=bodies)
        rows.append({key: one.camera_from_ct.tolist() for key, one in found.bodies.items()})
        journal.append(rows[-1])
    return [
        {key: torch.tensor(pose, dtype=torch.float64) for key, pose in row.items()} for row in rows
    ]


def alone_numbers() -> list[int]:
    """Frames that are registered as single X-rays, too."""
    return [number for number in range(FRAMES) if number not in LOST][::3]


def points_of(ct: PreparedCt, body: str) -> Tensor:
    """Return [N,3] voxels of a body (CT, LPS mm)."""
    volume = ct.volume
    assert volume.labels is not None
    wanted = torch.tensor(LABELS[body], dtype=volume.labels.dtype)
    index = torch.isin(volume.labels, wanted).nonzero().flip(-1).double()
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
    return transform_points(volume.ct_from_voxel, index[order[:POINTS]])


def errors(
    made: Film, ct: PreparedCt, poses: Mapping[int, Mapping[str, Tensor]], body: str, first: str
) -> tuple[list[float], list[float]]:
    """Projected (of what the image shows) and 3D errors in mm of a body in frames by number."""
    camera, points = wsreg.read_frames(made.folder / "cine.dcm").first.camera, points_of(ct, body)
    assert camera is not None
    last = torch.tensor((camera.columns, camera.rows)) - 0.5
    flat, spatial = [], []
    for number, found in poses.items():
        true, pose = made.poses[number][body], found[body if body in found else first]
        pixels = camera.project(transform_points(true, points))
        shown = ((pixels >= -0.5) & (pixels <= last)).all(dim=-1)
        flat.append(float(mpd_mm(points[shown], pose, true, camera)) if shown.any() else np.nan)
        spatial.append(float(mtre_3d_mm(points, pose, true)))
    return flat, spatial


def line(name: str, body: str, found: tuple[Sequence[float], Sequence[float]]) -> str:
    """A row of the table of errors."""
    cells = [f"{np.nanmedian(values):.2f} / {np.nanpercentile(values, 95):.2f}" for values in found]
    return f"| {name} | {body} | {len(found[0])} | {' | '.join(cells)} |"


def report(options: Options, made: Film, ct: PreparedCt) -> str:
    """The tables as markdown."""
    speed = ["| bodies | frames a second | seconds | CPU seconds | load | pass / check / fail "
             "| lost named | others lost |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    table = ["| registered | body | frames | projected, mm: median / P95 | 3D, mm: median / P95 |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, bodies in (("one", None), ("four", "pelvis")):
        done = run(made, ct, bodies)
        speed.append(speed_line(name, done))
        first = next(iter(done.result.bodies))
        followed = {
            frame.number: {key: one.camera_from_ct for key, one in frame.bodies.items()}
            for frame in done.result.frames
            if frame.number not in LOST
        }
        sets: list[tuple[str, dict[int, dict[str, Tensor]]]] = [
            (f"{name}, sequence", {n: _known(poses) for n, poses in followed.items()})
        ]
        if options.singles:
            alone = singles(made, ct, bodies, name)
            sets.append((f"{name}, single X-rays", dict(zip(alone_numbers(), alone, strict=True))))
        for words, poses in sets:
            for body in LABELS if bodies else ("pelvis",):
                table.append(line(words, body, errors(made, ct, poses, body, first)))
    return "\n\n".join(
        (
            "### A sequence of frames",
            f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.",
            f"{FRAMES} frames of 384 x 384 pixels of a virtual person whose pelvis sways by "
            f"millimetres and degrees while each femur flexes; {len(BLANK)} are blank and "
            f"{len(BLOCKED)} blocked over three quarters of the field.  Seconds are those of all "
            "frames, the first (a search) and the lost ones included, after the CT was loaded; "
            "load is the machine's average then, of which 1 to 2 is this run itself.",
            "\n".join(speed),
            "Errors of the frames that are not blank or blocked: projected on the detector, of "
            "what the image shows of the body, and in space, of all of it.  Every third "
            "frame was registered as a single X-ray, too, from the first frame's true pose.",
            "\n".join(table),
        )
    )


def _known(poses: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {name: pose for name, pose in poses.items() if pose is not None}


def speed_line(name: str, done: Run) -> str:
    """A row of the table of speed."""
    result = done.result
    failed = {frame.number for frame in result.frames if frame.verdict.status == "fail"}
    counts = " / ".join(str(result.count(status)) for status in ("pass", "check", "fail"))
    return (
        f"| {name} | {FRAMES / done.seconds:.1f} | {done.seconds:.1f} | {done.cpu_seconds:.1f} | "
        f"{done.load:.1f} | {counts} | {len(failed & set(LOST))} of {len(LOST)} | "
        f"{len(failed - set(LOST))} |"
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    made = film(SPECIMENS[options.seed], options.seed)
    volume = wsreg.read_volume(
        made.folder / "ct.nii.gz", made.folder / "labels.nii.gz", made.folder / "label_names.csv"
    )
    text = report(options, made, wsreg.prepare(volume, bodies="pelvis"))
    print(text)
    if options.write:
        write_section("sequence", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
