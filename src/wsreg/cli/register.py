"""``wsreg register``: X-rays and a CT in, a folder of results for each X-ray, or each rig, out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from wsreg.cli.batch import Outcome, Scheduler
from wsreg.cli.bodies import AskedBodies, bodies_file, parse_bodies
from wsreg.cli.console import begun, no_garbage_collected, progress_bar, step
from wsreg.cli.kept import Kept, check_resume, run_batch
from wsreg.cli.options import (
    CtDetails,
    Files,
    Geometry,
    XrayDetails,
    Xrays,
    parse_view,
    read_ct,
)
from wsreg.cli.regions import Regions, roi_finder
from wsreg.cli.report import notes_of, result_lines
from wsreg.cli.rigs import rig_notes, rig_of_xrays, xrays_reader
from wsreg.cli.run_report import deliver_report
from wsreg.cli.setups import run_setup
from wsreg.cli.solver import Solver, load_solver, method_of, registration_config
from wsreg.cli.starts import file_of_start, read_start
from wsreg.errors import InputError
from wsreg.files.names import different, folder_name, stem
from wsreg.vocabulary import CalibrationUnits

if TYPE_CHECKING:
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.registration.result import RegistrationResult
    from wsreg.rendering.prepared import PreparedCt

Solved = tuple["RegistrationResult", Sequence["Radiograph"], Sequence[str]]
"""A result, the X-rays that it was made of, and the notes on these."""
Solve = Callable[["_Job"], Solved]
TAKEN_NAMES = ("summary.csv", "rois.csv", "report.html", "register.journal", "segment.journal")
"""Of files in the folder of a batch."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """X-rays that are registered together, the names of them, and the folder of the result."""

    xrays: Sequence[Path]
    names: Sequence[str]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Register:
    """Find where a CT lies in X-rays, and in them the bones that move by themselves.

    Writes result.json, overlay.png and poses as .json and .tfm; with several X-rays, a folder of
    these for each and one summary.csv, or with --rig one result of all.
    """

    xrays: Xrays
    """PNG, TIFF, NPY, NIfTI or DICOM."""
    ct: Annotated[Path, arg(metavar="CT")]
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write to."""
    rig: Files = ()
    """How the cameras of the X-rays stand to each other: rig.json, or a file of one camera for each
    (MayaCam 2.0, OpenCV).  They are views of one pose, matched by the names of their files, or in
    their order.  Cameras fill what headers and flags lack; start and view are those of the first
    X-ray."""
    calibration_units: CalibrationUnits | None = None
    """Units of the rig's files, where they do not name them."""
    sequence: bool = False
    """The X-rays are the frames of one camera: a multi-frame DICOM, a folder, or files in their
    order; with --rig one of these for each view.  Writes poses.csv; the same command goes on where
    it was stopped."""
    smooth: Annotated[float | None, arg(metavar="FRAMES")] = None
    """For a sequence, write poses-smoothed.csv besides: a Gaussian of this standard deviation."""
    force: bool = False
    """Replace results that are already there."""
    resume: bool = False
    """Go on with a batch that was stopped: what it finished of these X-rays stays, if files and
    settings are still the same."""
    slicer: bool = False
    """Write a folder slicer, too: the X-ray and the C-arm in the CT's coordinates, and a scene of
    them for 3D Slicer."""
    trace: bool = False
    """Write the way to the answer, too: trace.csv, convergence.png and an animated overlay.gif."""
    report: bool = False
    """Write report.html, too: all of the run in one file with its pictures (also wsreg report)."""
    scheduler: Scheduler = None
    """Share several X-rays out among the workers of this Dask scheduler, which must see the same
    files, or among processes here (local)."""
    quiet: bool = False
    """Print errors only."""
    ct_details: Annotated[CtDetails, arg(name="CT")] = field(default_factory=CtDetails)
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)
    regions: Regions = field(default_factory=Regions)
    solver: Solver = field(default_factory=Solver)

    def run(self) -> int:
        """Register every X-ray and return the exit status."""
        from wsreg.files.lock import held_folder

        with held_folder(self.out):
            if self.sequence:
                from wsreg.cli.sequence import register_frames

                status = register_frames(self)
            else:
                status = self._register_xrays()
            deliver_report(self.out, wanted=self.report, force=self.force, quiet=self.quiet)
        return status

    def _register_xrays(self) -> int:
        """Register X-rays one by one, or the views of a rig, and return the exit status."""
        if self.smooth is not None:
            raise InputError(f"--smooth is for --sequence, got {self.smooth:g} without it")
        from wsreg.files.whole import tidy
        from wsreg.outputs.output_folder import BATCH_JOURNAL, prepare_output_folder

        jobs = self._jobs()
        check_resume(self.resume, self.force, len(jobs))
        goes_on = self.resume and (self.out / BATCH_JOURNAL).exists()
        for folder in dict.fromkeys((self.out, *(job.folder for job in jobs))):
            tidy(folder)
            prepare_output_folder(folder, force=self.force or goes_on)
        if len(jobs) > 1:
            return self._register_several(jobs)
        result, text, _ = self._register(jobs[0], self._prepare(jobs))
        if not self.quiet:
            print(text)
        return int(result.verdict.status == "fail")

    def _jobs(self) -> list[_Job]:
        """Return the X-rays as they are registered: one by one, or the views of a rig together."""
        folders = result_folders(self.xrays, self.out)
        names = xray_names(self.xrays)
        if self.rig:
            return [_Job(xrays=self.xrays, names=names, folder=self.out)]
        return [
            _Job(xrays=(path,), names=(name,), folder=folder)
            for path, name, folder in zip(self.xrays, names, folders, strict=True)
        ]

    def _prepare(self, jobs: Sequence[_Job]) -> Solve:
        """Check and read once all that can be, and bind it to reading and registering X-rays.

        Unpacking a CT needs none of Python's lock, loading the solver all of it: both at a time.
        """
        import wsreg

        solver, names = self.solver, [name for job in jobs for name in job.names]
        asked = parse_bodies(solver.bodies)
        with (
            step(f"Reading the CT {self.ct.name}, loading the solver", quiet=self.quiet),
            no_garbage_collected(),
            begun(lambda: self.prepared_ct(asked)) as ready,
        ):
            rig = rig_of_xrays(self.rig, self.xrays, self.geometry, self.calibration_units)
            read = xrays_reader(self.xray_details, self.geometry, rig)
            view = None if solver.view is None else parse_view(solver.view)
            asked_start = read_start(
                solver.init, convention=solver.pose_convention, other_patient=solver.other_patient,
                ct_landmarks=solver.ct_landmarks, several=len(names) > 1 and not self.rig,
            )  # fmt: skip
            config = registration_config(solver, self.regions)
            load_solver(config.backend)
            ct, labels = ready.result()
        start_of, more = asked_start.for_ct(ct), asked_start.notes
        find_rois = roi_finder(self.regions, ct.volume, names)

        def solve(job: _Job) -> Solved:
            radiographs = read(job.xrays)
            rois = [find_rois(*named) for named in zip(job.names, radiographs, strict=True)]
            what = " and ".join(radiograph.name for radiograph in radiographs)
            with progress_bar(f"Registering {what}", quiet=self.quiet) as progress:
                result = wsreg.register(
                    radiographs, ct, [radiograph.camera for radiograph in radiographs],
                    start_of(job.names[0]), rig=rig, view=view, bodies=asked.bodies,
                    joints_mm=asked.joints_mm, render_labels=labels, rois=rois, config=config,
                    trace=self.trace, progress=progress,
                )  # fmt: skip
            notes = (*ct.volume.notes, *more, *rig_notes(rig, job.xrays), *notes_of(radiographs))
            return result, radiographs, list(notes)

        return solve

    def prepared_ct(self, asked: AskedBodies) -> tuple[PreparedCt, tuple[int, ...]]:
        """Return the CT with the levels of its bodies, and the labels to be rendered."""
        volume = read_ct(self.ct, self.ct_details)

        from wsreg.registration.bodies import bodies_for
        from wsreg.rendering.prepared import prepare
        from wsreg.volumes.region_names import find_labels

        labels = find_labels(volume, self.solver.render_labels, "--render-labels")
        bodies = bodies_for(method_of(self.solver, self.regions), asked.bodies)
        return prepare(volume, labels=labels, bodies=bodies), labels

    def _register_several(self, jobs: Sequence[_Job]) -> int:
        """Register X-rays one by one; one that fails is reported, and the rest go on."""
        from wsreg.outputs.earlier_runs import remove_earlier_files
        from wsreg.outputs.output_folder import BATCH_JOURNAL, SUMMARY_FILE
        from wsreg.outputs.summary import write_summary

        kept = Kept(
            path=self.out / BATCH_JOURNAL, setup=self._setup(), resume=self.resume,
            xrays=[job.xrays[0] for job in jobs], folders=[job.folder for job in jobs],
        )  # fmt: skip
        return run_batch(
            self, kept, scheduler=self.scheduler,
            elsewhere=dataclasses.replace(self, scheduler=None, quiet=True),
            begun=lambda: remove_earlier_files(self.out, kept=BATCH_JOURNAL),
            write=lambda rows: write_summary(rows, self.out / SUMMARY_FILE),
        )  # fmt: skip

    def _setup(self) -> dict[str, Any]:
        """Return what tells a batch from others, but for its X-rays."""
        unsaid = (
            "xrays", "ct", "out", "rig", "force", "resume", "report", "quiet", "scheduler",
            "sequence", "smooth",
        )  # fmt: skip
        config = registration_config(self.solver, self.regions).record()
        return run_setup(self, unsaid, self.inputs(()), config)

    def begin(self) -> Callable[[int], Outcome]:
        """Read what all X-rays need, and return what registers one of them."""
        from wsreg.outputs.earlier_runs import remove_earlier_files
        from wsreg.outputs.summary import failed_row, result_row

        jobs = self._jobs()
        solve = self._prepare(jobs)

        def outcome(number: int) -> Outcome:
            name = jobs[number].names[0]
            try:
                result, text, files = self._register(jobs[number], solve)
            except InputError as error:
                remove_earlier_files(jobs[number].folder)  # which would be taken for this run's
                row = failed_row(name, str(error))
                return Outcome(rows=(row,), warning=f"error: {error}", bad=True)
            bad = result.verdict.status == "fail"
            rows = (result_row(name, result),)
            return Outcome(rows=rows, text=text, bad=bad, files=tuple(files))

        return outcome

    def _register(self, job: _Job, solve: Solve) -> tuple[RegistrationResult, str, Sequence[str]]:
        """Register, write, and return the result, what a person should read of it, and the files.

        What an earlier run put into the folder is replaced as a whole.
        """
        from wsreg.files.whole import staged_folder
        from wsreg.outputs.earlier_runs import earlier_files
        from wsreg.outputs.result_files import write_result
        from wsreg.outputs.slicer_scene import SCENE, SCENE_FOLDER, write_slicer_scene

        result, radiographs, notes = solve(job)
        with staged_folder(job.folder, earlier_files(job.folder)) as staging:
            files = write_result(result, staging, inputs=self.inputs(job.xrays), notes=notes)
            if self.slicer:
                write_slicer_scene(
                    result, staging / SCENE_FOLDER, radiographs, ct=self.ct,
                    lies_in=job.folder / SCENE_FOLDER,
                )  # fmt: skip
                files.append(f"{SCENE_FOLDER}/{SCENE}")
        return result, "\n".join(result_lines(result, job.folder, files, notes)), files

    def inputs(self, xrays: Sequence[Path]) -> dict[str, Path]:
        """Return the files behind a result."""
        init = self.solver.init
        files = {
            "ct": self.ct,
            "labels": self.ct_details.labels,
            "label_names": self.ct_details.label_names,
            "bodies": bodies_file(self.solver.bodies),
            "camera": self.geometry.camera,
            "mask": self.xray_details.mask,
            "ct_landmarks": self.solver.ct_landmarks,
            "init": file_of_start(init),
            **self.regions.files(),
            **dict(zip(different(["rig"] * len(self.rig)), self.rig, strict=True)),
            **dict(zip(different(["xray"] * len(xrays)), xrays, strict=True)),
        }
        return {role: path for role, path in files.items() if path is not None}


def result_folders(xrays: Sequence[Path], out: Path) -> list[Path]:
    """Return ``out`` itself for one X-ray; for several a folder each, named after the file."""
    if not xrays:
        raise InputError("register needs at least one X-ray, got none")
    if len(xrays) == 1:
        return [out]
    return [out / name for name in xray_names(xrays)]


def xray_names(xrays: Sequence[Path]) -> list[str]:
    """Return a name for each X-ray, all different, that folders beside the tables may have."""
    names = [folder_name(stem(path)) for path in xrays]
    return different((*TAKEN_NAMES, *names))[len(TAKEN_NAMES) :]
