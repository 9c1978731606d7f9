"""``wsreg register``: X-rays and a CT in, a folder of results for each X-ray out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from wsreg.cli.console import begun, no_garbage_collected, progress_bar, step
from wsreg.cli.options import (
    CtDetails,
    Geometry,
    Labels,
    XrayDetails,
    Xrays,
    find_labels,
    parse_view,
    read_ct,
    xray_reader,
)
from wsreg.cli.regions import Regions, roi_finder
from wsreg.cli.report import result_lines
from wsreg.errors import InputError
from wsreg.files.names import stem
from wsreg.vocabulary import Backend, InitName, Method

if TYPE_CHECKING:
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.registration.result import RegistrationResult
    from wsreg.rendering.prepared import PreparedCt

Read = Callable[[Path], "Radiograph"]
Solve = Callable[[str, "Radiograph"], "RegistrationResult"]


@dataclass(frozen=True, kw_only=True)
class Solver:
    """How to search and solve."""

    init: Annotated[InitName | Path, arg(metavar="POSE_JSON|search|dicom")] = "search"
    """Where to start: a pose file, a search around --view, or the X-ray's C-arm angles."""
    view: Annotated[str, arg(metavar="PA|AP|LAT|RLAT|DEG,DEG")] = "PA"
    """View to search around: a name, or C-arm angles "primary,secondary" in degrees."""
    render_labels: Labels = ()
    """Register these bones only: label values or names."""
    method: Method = "gauss-newton"
    """Levenberg-Marquardt, or the paper's 250 steps of Adam."""
    backend: Backend = "auto"
    """Renderer; auto takes the fastest that runs here."""
    device: Literal["cpu"] = "cpu"
    """Where to compute; so far on the CPU only."""
    seed: int = 0
    """Seed of everything random."""


@dataclass(frozen=True, kw_only=True)
class Register:
    """Find where a CT lies in X-rays.

    Writes result.json, pose.json, pose.tfm and overlay.png; with several X-rays, a folder of these
    for each and one summary.csv.
    """

    xrays: Xrays
    """PNG, TIFF, NPY, NIfTI or DICOM."""
    ct: Annotated[Path, arg(metavar="CT")]
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write to."""
    force: bool = False
    """Replace results that are already there."""
    quiet: bool = False
    """Print errors only."""
    ct_details: Annotated[CtDetails, arg(name="CT")] = field(default_factory=CtDetails)
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)
    regions: Regions = field(default_factory=Regions)
    solver: Solver = field(default_factory=Solver)

    def run(self) -> int:
        """Register every X-ray and return the exit status."""
        from wsreg.outputs.output_folder import prepare_output_folder

        folders = result_folders(self.xrays, self.out)
        for folder in dict.fromkeys((self.out, *folders)):
            prepare_output_folder(folder, force=self.force)
        names = [folder.name for folder in folders]
        if len(self.xrays) == 1:
            names = [stem(self.xrays[0])]
        read, solve = self._prepare(names)
        if len(self.xrays) == 1:
            result = self._register(self.xrays[0], names[0], folders[0], read, solve)
            return int(result.verdict.status == "fail")
        return self._register_several(folders, read, solve)

    def _prepare(self, names: Sequence[str]) -> tuple[Read, Solve]:
        """Check and read once all that can be, and bind it to reading and registering an X-ray.

        Unpacking a CT needs none of Python's lock, loading the solver all of it: both at a time.
        """
        import wsreg

        solver = self.solver
        with (
            step(f"Reading the CT {self.ct.name}, loading the solver", quiet=self.quiet),
            no_garbage_collected(),
            begun(self._prepared_ct) as ready,
        ):
            read = xray_reader(self.xray_details, self.geometry)
            view = parse_view(solver.view)
            init = solver.init
            start = wsreg.read_pose(init) if isinstance(init, Path) else init
            config = wsreg.RegistrationConfig(
                method=solver.method, backend=solver.backend, seed=solver.seed
            )
            _load_solver(config.backend)
            ct, labels = ready.result()
        find_rois = roi_finder(self.regions, ct.volume, names)

        def solve(name: str, radiograph: Radiograph) -> RegistrationResult:
            rois = find_rois(name, radiograph)
            with progress_bar(f"Registering {radiograph.name}", quiet=self.quiet) as progress:
                return wsreg.register(
                    radiograph, ct, init=start, view=view, render_labels=labels,
                    rois=rois, config=config, progress=progress,
                )  # fmt: skip

        return read, solve

    def _prepared_ct(self) -> tuple[PreparedCt, tuple[int, ...]]:
        """Return the CT with its levels, and the labels to be rendered."""
        volume = read_ct(self.ct, self.ct_details)
        labels = find_labels(volume, self.solver.render_labels)

        from wsreg.rendering.prepared import VOXEL_SIZES_MM, PreparedCt
        from wsreg.volumes.bodies import parts_of_bodies

        prepared = PreparedCt(volume=volume)
        for part in parts_of_bodies(volume, "auto", labels).values():
            prepared.levels(VOXEL_SIZES_MM, part)
        return prepared, labels

    def _register_several(self, folders: Sequence[Path], read: Read, solve: Solve) -> int:
        """Register one X-ray after the other; one that fails is reported, and the rest go on."""
        from wsreg.outputs.csv_file import Row
        from wsreg.outputs.summary import failed_row, result_row, write_summary

        rows: list[Row] = []
        for path, folder in zip(self.xrays, folders, strict=True):
            try:
                result = self._register(path, folder.name, folder, read, solve)
                rows.append(result_row(folder.name, result))
            except InputError as error:
                print(f"wsreg: error: {error}", file=sys.stderr)
                rows.append(failed_row(folder.name, str(error)))
            # After each, so that an interrupted run leaves the table of what it finished.
            write_summary(rows, self.out / "summary.csv")
        return int(any(row.get("verdict") in (None, "fail") for row in rows))

    def _register(
        self,
        path: Path,
        name: str,
        folder: Path,
        read: Read,
        solve: Solve,
    ) -> RegistrationResult:
        from wsreg.outputs.result_files import write_result

        radiograph = read(path)
        result = solve(name, radiograph)
        inputs = self._inputs() | {"xray": path}
        write_result(result, folder, inputs=inputs, notes=radiograph.notes)
        if not self.quiet:
            print("\n".join(result_lines(radiograph, result, folder)))
        return result

    def _inputs(self) -> dict[str, Path]:
        """Return the files behind every result."""
        init = self.solver.init
        files = {
            "ct": self.ct,
            "labels": self.ct_details.labels,
            "label_names": self.ct_details.label_names,
            "camera": self.geometry.camera,
            "mask": self.xray_details.mask,
            "init": init if isinstance(init, Path) else None,
            **self.regions.files(),
        }
        return {role: path for role, path in files.items() if path is not None}


def _load_solver(backend: Backend) -> None:
    """Import what registers and writes, and load its kernels, before they are needed."""
    from wsreg.rendering.loading import load_kernels
    from wsreg.rendering.render import resolve_backend

    if resolve_backend(backend) == "numba":
        load_kernels()


def result_folders(xrays: Sequence[Path], out: Path) -> list[Path]:
    """Return ``out`` itself for one X-ray; for several a folder each, named after the file."""
    if not xrays:
        raise InputError("register needs at least one X-ray, got none")
    if len(xrays) == 1:
        return [out]
    names: list[str] = []
    for path in xrays:
        name, number = stem(path), 1
        while name in names:
            number += 1
            name = f"{stem(path)}-{number}"
        names.append(name)
    return [out / name for name in names]
