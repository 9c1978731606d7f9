"""``wsreg demo``: see a registration work, with a known answer."""

from __future__ import annotations

import functools
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.console import progress_bar, step
from wsreg.vocabulary import DemoSource

if TYPE_CHECKING:
    from wsreg.demo import DemoReport, PoseError


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Make a virtual patient with CT and X-ray at a hidden pose, and find the pose again."""

    out: Annotated[Path, arg(metavar="DIR")] = Path("demo-output")
    """Folder to write to."""
    source: Annotated[DemoSource, arg(aliases=["--sample"])] = "specimen"
    """A virtual specimen, a real CT (chest, pelvis: fetched once), or a plain phantom."""
    seed: int = 0
    """Seed of the hidden pose, the X-ray and the search."""
    force: bool = False
    """Replace results that are already there."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Run, print the table, and return the exit status."""
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
        return int(report.result.verdict.status == "fail")

    def _run(self, source: DemoSource) -> DemoReport:
        from wsreg.demo import run_demo

        with progress_bar("Registering", quiet=self.quiet) as progress:
            return run_demo(
                self.out, source, seed=self.seed, force=self.force,
                step=functools.partial(step, quiet=self.quiet), progress=progress,
            )  # fmt: skip


def _report_lines(report: DemoReport, out: Path) -> list[str]:
    result = report.result
    again = [
        "wsreg", "register", str(report.xray), "--ct", str(report.ct),
        "--camera", str(report.camera), "--intensity", "transmission",
        "--out", str(out / "again"),
    ]  # fmt: skip
    return [
        "",
        "mean error of bone points    on the detector (mpd_mm)    in space (mtre_3d_mm)",
        _error_line("start, the plain PA view", report.start),
        _error_line("end", report.end),
        "",
        f"verdict  {result.verdict.status.upper()}: {' '.join(result.verdict.reasons)}",
        f"time     {result.seconds['total']:.2f} s, {result.renders} renderings",
        f"picture  {out / 'overlay.png'}",
        f"truth    {report.true_pose}",
        f"again    {shlex.join(again)}",
    ]


def _error_line(name: str, error: PoseError) -> str:
    return f"{name:<29}{error.mpd_mm:>20.2f} mm{error.mtre_3d_mm:>22.2f} mm"
