"""``wsreg demo``: see a registration work, with a known answer."""

from __future__ import annotations

import functools
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.console import progress_bar, step
from wsreg.cli.report import body_lines
from wsreg.errors import InputError
from wsreg.vocabulary import DemoSource

if TYPE_CHECKING:
    from wsreg.demo import DemoReport, PoseError


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Make a virtual patient with CT and X-ray at a hidden pose, and find the pose again.

    With --biplane there are two X-rays, registered together.
    """

    out: Annotated[Path, arg(metavar="DIR")] = Path("demo-output")
    """Folder to write to."""
    source: Annotated[DemoSource, arg(aliases=["--sample"])] = "specimen"
    """A virtual specimen, a real CT (chest, pelvis: fetched once), or a plain phantom."""
    biplane: bool = False
    """Two X-rays instead of one, of a C-arm that is turned about the patient."""
    angle_deg: Annotated[float, arg(name="angle", metavar="DEG")] = 90.0
    """Between the two X-rays."""
    seed: int = 0
    """Seed of the hidden pose, the X-rays and the search."""
    force: bool = False
    """Replace results that are already there."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Run, print the table, and return the exit status."""
        from wsreg.files.lock import held_folder

        if not math.isfinite(self.angle_deg):
            raise InputError(f"--angle must be finite, got {self.angle_deg}")
        with held_folder(self.out):
            return self._demo()

    def _demo(self) -> int:
        from wsreg.volumes.examples import DownloadError

        try:
            report = self._run(self.source)
        except DownloadError as error:
            print(
                f"wsreg: warning: {error}\n"
                "wsreg: warning: NO REAL CT: the demo goes on with the analytic phantom instead.",
                file=sys.stderr,
            )
            report = self._run("phantom")
        if not self.quiet:
            print("\n".join(_report_lines(report, self.out)))
            if self.biplane:
                print("by hand", *_by_hand(report, self.out, self.angle_deg), sep="\n  ")
        return int(report.result.verdict.status == "fail")

    def _run(self, source: DemoSource) -> DemoReport:
        from wsreg.demo import run_demo

        with progress_bar("Registering", quiet=self.quiet) as progress:
            return run_demo(
                self.out, source, angle_deg=self.angle_deg if self.biplane else None,
                seed=self.seed, force=self.force, step=functools.partial(step, quiet=self.quiet),
                progress=progress,
            )  # fmt: skip


def _report_lines(report: DemoReport, out: Path) -> list[str]:
    result, inputs = report.result, report.inputs
    xrays = [path for role, path in inputs.items() if role.startswith("xray")]
    geometry = ["--rig", inputs["rig"]] if "rig" in inputs else ["--camera", inputs["camera"]]
    again = [
        "register", *xrays, *_ct_words(inputs), *geometry, "--intensity", "transmission",
        "--out", out / "again",
    ]  # fmt: skip
    ends = ["end"] if len(report.ends) == 1 else [f"end, {view.name}" for view in result.views]
    return [
        "",
        "mean error of bone points    on the detector (mpd_mm)    in space (mtre_3d_mm)",
        _error_line("start, the plain PA view", report.start),
        *map(_error_line, ends, report.ends),
        "",
        f"verdict  {result.verdict.status.upper()}: {' '.join(result.verdict.reasons)}",
        *body_lines(result),
        f"time     {result.seconds['total']:.2f} s, {result.renders} renderings",
        f"picture  {out / 'overlay.png'}",
        f"truth    {report.true_pose}",
        f"again    {_command(again)}",
    ]


def _by_hand(report: DemoReport, out: Path, angle_deg: float) -> list[str]:
    """Return commands that make two X-rays of the CT in a rig of their own, and register them."""
    folder, ct = out / "by-hand", _ct_words(report.inputs)
    rig, names = folder / "rig.json", [view.name for view in report.result.views]
    simulated = [
        _command([
            "simulate", "xray", *ct, "--rig", rig, "--rig-view", name,
            "--pose", report.true_pose, "--seed", seed, "--out", folder / name,
        ])
        for seed, name in enumerate(names)
    ]  # fmt: skip
    xrays = [folder / name / "xray.png" for name in names]
    return [
        _command([
            "simulate", "rig", "--camera", report.inputs["camera"], "--angle", f"{angle_deg:g}",
            "--out", rig,
        ]),
        *simulated,
        _command(["register", *xrays, *ct, "--rig", rig, "--out", folder / "result"]),
    ]  # fmt: skip


def _ct_words(inputs: Mapping[str, Path]) -> list[object]:
    """Return the options that name the CT and its labels."""
    roles = [role for role in ("ct", "labels", "label_names") if role in inputs]
    return [word for role in roles for word in (f"--{role.replace('_', '-')}", inputs[role])]


def _command(words: Sequence[object]) -> str:
    return shlex.join(["wsreg", *map(str, words)])


def _error_line(name: str, error: PoseError) -> str:
    return f"{name:<29}{error.mpd_mm:>20.2f} mm{error.mtre_3d_mm:>22.2f} mm"
