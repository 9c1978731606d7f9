"""``wsreg register --sequence``: frames of one camera in, poses.csv out; a stopped run goes on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsreg.cli.bodies import parse_bodies
from wsreg.cli.console import begun, no_garbage_collected, progress_bar, step
from wsreg.cli.options import parse_view, xray_reader
from wsreg.cli.rigs import rig_of_xrays
from wsreg.cli.sequence_rois import check_folder, frame_rois
from wsreg.cli.setups import run_setup
from wsreg.cli.starts import read_start
from wsreg.errors import InputError
from wsreg.files.journal import RowJournal, open_row_journal
from wsreg.files.names import stem

if TYPE_CHECKING:
    from wsreg.cli.register import Register
    from wsreg.geometry.rig import Rig
    from wsreg.radiographs.frame_files import FrameFiles
    from wsreg.registration.sequence.frames import FrameViews
    from wsreg.registration.sequence.result import SequenceResult
    from wsreg.registration.sequence.step import Step
    from wsreg.rendering.prepared import PreparedCt


def register_frames(asked: Register) -> int:
    """Register a sequence as asked, and return the exit status."""
    _refuse_what_is_for_single_xrays(asked)

    from wsreg.outputs.output_folder import SEQUENCE_JOURNAL, prepare_output_folder

    setup = _setup(asked)
    if asked.force:
        (asked.out / SEQUENCE_JOURNAL).unlink(missing_ok=True)
    begun_before = (asked.out / SEQUENCE_JOURNAL).exists()
    prepare_output_folder(asked.out, force=asked.force or begun_before)
    journal = open_row_journal(asked.out / SEQUENCE_JOURNAL, setup) if begun_before else None
    finished = None if journal is None else _finished(asked)
    if finished is not None:
        if not asked.quiet:
            print(f"{asked.out} holds all frames of this sequence already; --force makes it anew")
        return int(bool(finished.get("lost")))
    return _registered(asked, setup, journal)


def _refuse_what_is_for_single_xrays(asked: Register) -> None:
    """Refuse options that say nothing of a sequence.

    Raises:
        InputError: one is given.
    """
    refused = {
        "--frame": asked.xray_details.frame is not None,
        "--slicer": asked.slicer,
        "--render-labels": bool(asked.solver.render_labels),
        "--trace": asked.trace,
        "--scheduler": asked.scheduler is not None,
        "--scheme": asked.regions.scheme != "ours",
    }
    for option, given in refused.items():
        if given:
            raise InputError(f"{option} is for single X-rays, got it with --sequence")
    if asked.smooth is not None and not asked.smooth > 0:
        raise InputError(f"--smooth must be positive, got {asked.smooth:g}")
    check_folder(asked.regions)
    if not asked.xrays:
        raise InputError("--sequence needs frames: a multi-frame DICOM, a folder, or files")


def _setup(asked: Register) -> dict[str, Any]:
    """Return what tells this run from others: its settings, and the hashes of its files."""
    from wsreg.cli.solver import registration_config

    unsaid = (
        "xrays", "ct", "out", "rig", "force", "resume", "quiet", "slicer", "sequence", "smooth",
    )  # fmt: skip
    config = registration_config(asked.solver, asked.regions).record()
    return run_setup(asked, unsaid, asked.inputs(asked.xrays), config)


def _finished(asked: Register) -> dict[str, Any] | None:
    """Return the record of a folder that holds all that is asked for."""
    from wsreg.files.json_files import read_json
    from wsreg.outputs.sequence_files import RECORD_FILE

    path = asked.out / RECORD_FILE
    found = read_json(path) if path.exists() else None
    same = isinstance(found, dict) and found.get("smooth_frames") == asked.smooth
    return found if same else None


def _registered(asked: Register, setup: Mapping[str, Any], journal: RowJournal | None) -> int:
    from wsreg.files.whole import staged_folder
    from wsreg.outputs.earlier_runs import earlier_files
    from wsreg.outputs.output_folder import SEQUENCE_JOURNAL
    from wsreg.outputs.sequence_files import write_sequence

    with (
        step(f"Reading the CT {asked.ct.name}, loading the solver", quiet=asked.quiet),
        no_garbage_collected(),
        begun(lambda: asked.prepared_ct(parse_bodies(asked.solver.bodies))) as ready,
    ):
        rig = rig_of_xrays(asked.rig, asked.xrays, asked.geometry, asked.calibration_units)
        frames = _frames(asked, rig)
        options = _options(asked)
        ct, _ = ready.result()
    rois, roi_notes = frame_rois(asked.regions, _first_views(frames), ct.volume, several=bool(rig))
    journal = journal or open_row_journal(asked.out / SEQUENCE_JOURNAL, setup)
    result = _solved(asked, frames, ct, journal, {**options(ct), "rig": rig, "rois": rois})
    notes = [*ct.volume.notes, *_first_notes(frames), *roi_notes]
    with staged_folder(asked.out, earlier_files(asked.out) - {SEQUENCE_JOURNAL}) as staging:
        files = write_sequence(
            result, staging, frames=frames, ct=ct, inputs=setup["inputs"], notes=notes,
            smooth_frames=asked.smooth,
        )  # fmt: skip
    if not asked.quiet:
        print("\n".join(_lines(result, asked.out, files, notes)))
    return int(result.count("fail") > 0)


def _frames(asked: Register, rig: Rig | None) -> Sequence[FrameViews]:
    """Return the frames, which are read as they are asked for; of a rig those of all views."""
    from wsreg.radiographs.frame_files import FrameFiles, frame_source, frames_of_views

    def files(source: Path | Sequence[Path], camera: Any) -> FrameFiles:
        def first(path: Path, frame: int | None) -> Any:
            details = dataclasses.replace(asked.xray_details, frame=frame)
            return xray_reader(details, asked.geometry, camera)(path)

        return FrameFiles(frame_source(source), first)

    if rig is None:
        return files(asked.xrays, None)
    return frames_of_views(
        [files(path, view.camera) for path, view in zip(asked.xrays, rig.views, strict=True)]
    )


def _first_views(frames: Any) -> Any:
    return getattr(frames, "views", [frames])[0]


def _first_notes(frames: Any) -> list[str]:
    """Return what was noted of the frame by which all others are read."""
    views: Sequence[FrameFiles] = getattr(frames, "views", [frames])
    several = len(views) > 1
    return [
        f"{view.first.name}: {note}" if several else note
        for view in views
        for note in view.first.notes
        if not note.startswith("Took the first of")
    ]


def _options(asked: Register) -> Callable[[PreparedCt], dict[str, Any]]:
    """Return a function from the CT to how frames are registered, checked before it is read."""
    from wsreg.cli.solver import load_solver, registration_config

    solver, bodies = asked.solver, parse_bodies(asked.solver.bodies)
    view = None if solver.view is None else parse_view(solver.view)
    start = read_start(
        solver.init, convention=solver.pose_convention, other_patient=solver.other_patient,
        ct_landmarks=solver.ct_landmarks,
    )  # fmt: skip
    config = registration_config(solver, asked.regions)
    load_solver(config.backend)
    first = stem(asked.xrays[0])

    def options(ct: PreparedCt) -> dict[str, Any]:
        return {
            "init": start.for_ct(ct)(first), "view": view, "bodies": bodies.bodies,
            "joints_mm": bodies.joints_mm, "config": config,
        }  # fmt: skip

    return options


def _solved(
    asked: Register,
    frames: Sequence[FrameViews],
    ct: PreparedCt,
    journal: RowJournal,
    options: Mapping[str, Any],
) -> SequenceResult:
    """Register what the journal has not; the time of earlier runs counts."""
    import wsreg
    from wsreg.registration.sequence.step import Step

    steps = [_step_of(Step.from_record, row, journal.path) for row in journal.rows]
    spent = [float(row["seconds"]) for row in journal.rows]
    last = time.perf_counter()

    def keep(step: Step) -> None:
        nonlocal last
        now = time.perf_counter()
        spent.append(now - last)
        last = now
        journal.append({**step.to_record(), "seconds": spent[-1]})

    what = f"Registering {len(frames)} frames"
    with progress_bar(what, quiet=asked.quiet) as progress:
        result = wsreg.register_sequence(
            frames, ct, steps=steps, on_step=keep, progress=progress, **options
        )
    return dataclasses.replace(result, seconds=sum(spent))


def _step_of(read: Any, row: Mapping[str, Any], path: Path) -> Step:
    try:
        float(row["seconds"])
        found: Step = read(row)
    except (LookupError, TypeError, ValueError):
        raise InputError(
            f"journal {path} must hold frames of a sequence, got {str(row)[:60]!r}; delete it"
        ) from None
    return found


def _lines(
    result: SequenceResult, folder: Path, files: Sequence[str], notes: Sequence[str]
) -> list[str]:
    """Tell how many frames were found, which not and why, how fast, and the files."""
    counts = ", ".join(f"{result.count(status)} {status}" for status in ("pass", "check", "fail"))
    lines = [f"{len(result.frames)} frames: {counts}"]
    lines += [
        f"  frame {frame.number}: {' '.join(frame.verdict.reasons)}"
        for frame in result.frames
        if frame.verdict.status == "fail"
    ]
    if result.seconds > 0:
        rate = len(result.frames) / result.seconds
        lines.append(f"  time        {result.seconds:.1f} s, {rate:.1f} frames a second")
    lines += [f"  {'files' if not index else '':<11} {folder / name}"
              for index, name in enumerate(files)]  # fmt: skip
    return [*lines, *(f"  note: {note}" for note in notes)]
