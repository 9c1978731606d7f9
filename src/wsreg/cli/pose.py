"""``wsreg pose``: the poses that a trained encoder finds in X-rays, without registering them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.options import Geometry, XrayDetails, Xrays, xray_reader
from wsreg.cli.report import notes_of
from wsreg.errors import InputError
from wsreg.files.names import different, stem

if TYPE_CHECKING:
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.registration.starts.pose_estimator import PoseEstimate, PoseEstimator


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Print the pose that an encoder finds in each X-ray, and how sure it is.

    No CT is needed, and nothing is compared: wsreg register --init encoder:DIR does.
    """

    xrays: Xrays
    """PNG, TIFF, NPY, NIfTI or DICOM."""
    encoder: Annotated[Path, arg(metavar="DIR")]
    """Folder written by wsreg train encoder."""
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder for the poses, a .json for each X-ray."""
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)

    def run(self) -> int:
        """Find every pose and return the exit status."""
        from wsreg.files.lock import held_folder

        if not self.xrays:
            raise InputError("pose needs at least one X-ray, got none")
        if self.out is None:
            return self._find_all()
        with held_folder(self.out):
            return self._find_all()

    def _find_all(self) -> int:
        from wsreg.registration.starts.pose_estimator import load_pose_estimator

        estimator = load_pose_estimator(self.encoder)
        if estimator.generic:
            raise InputError(
                f"pose needs the encoder of a patient, {self.encoder} knows no CT; register --init "
                f"encoder:{self.encoder} --ct CT takes it"
            )
        read = xray_reader(self.xray_details, self.geometry)
        failures = 0
        for path, name in zip(self.xrays, different(map(stem, self.xrays)), strict=True):
            try:
                self._find(path, name, read, estimator)
            except InputError as error:
                if len(self.xrays) == 1:
                    raise
                failures += 1
                print(f"wsreg: error: {error}", file=sys.stderr)
        return int(failures > 0)

    def _find(
        self,
        path: Path,
        name: str,
        read: Callable[[Path], Radiograph],
        estimator: PoseEstimator,
    ) -> None:
        from wsreg.geometry.pose_writing import write_pose

        radiograph = read(path)
        if radiograph.camera is None:
            raise InputError(f"{path} needs a camera (--camera), its header has none")
        estimate = estimator.estimate(radiograph, radiograph.camera)
        print("\n".join(pose_lines(name, estimate)))
        print("\n".join(f"  {note}" for note in notes_of([radiograph])))
        if self.out is not None:
            write_pose(estimate.camera_from_ct, self.out / f"{name}.json")


def pose_lines(name: str, estimate: PoseEstimate) -> list[str]:
    """Return a pose in words: its matrix, and its standard deviations."""
    turn, shift = estimate.deviations[:3], estimate.deviations[3:]
    angles = ", ".join(f"{math.degrees(value):.1f}" for value in turn.tolist())
    lengths = ", ".join(f"{value:.1f}" for value in shift.tolist())
    lines = [f"{name}: camera_from_ct" + (" (the X-ray is upside down)" if estimate.turned else "")]
    lines += [
        "  " + "".join(f"{value:>14.6f}" for value in row)
        for row in estimate.camera_from_ct.tolist()
    ]
    lines.append(f"  standard deviations: {angles} degrees, {lengths} mm")
    if estimate.lost:
        lines.append("  The X-ray is unlike all that the encoder has learnt: this tells nothing.")
    lines.append("  Not compared with the X-ray; a mirrored or inverted one misleads.")
    return lines
