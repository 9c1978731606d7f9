"""``wsreg simulate rig``: the rig.json of a C-arm that is turned about its isocentre."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Rig:
    """Make a rig of two views: a biplane, or a C-arm turned about the patient's long axis."""

    camera: Annotated[Path, arg(metavar="FILE")]
    """camera.json of both views."""
    out: Annotated[Path, arg(metavar="FILE")]
    """rig.json to write."""
    angle_deg: Annotated[float, arg(name="angle", metavar="DEG")] = 90.0
    """From the first view to the second; positive moves the detector to the patient's left, if the
    first is PA."""
    source_to_isocentre_mm: Annotated[
        float | None,
        arg(
            name="distance-to-isocentre",
            metavar="MM",
            help_behavior_hint="(default: 0.7 of the distance to the detector)",
        ),
    ] = None
    """From the source to the point on the optical axis about which it turns."""
    names: Annotated[tuple[str, str], arg(metavar="NAME NAME")] = ("view-1", "view-2")
    """Of the views; as the X-ray files without their ending, they are matched by name."""
    force: bool = False
    """Replace the file if it is there."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Write the rig and return the exit status."""
        from wsreg.files.lock import held_file

        with held_file(self.out):
            self._write()
        if not self.quiet:
            print(f"{self.out}: {' and '.join(self.names)}, {self.angle_deg:g} degrees apart")
        return 0

    def _write(self) -> None:
        from wsreg.files.json_files import write_json
        from wsreg.geometry.calibration_file import read_camera
        from wsreg.geometry.rig import orbit_rig
        from wsreg.geometry.rig_file import rig_record
        from wsreg.geometry.views import ISOCENTRE_FRACTION

        if self.out.exists() and not self.force:
            raise InputError(f"{self.out} is there already; name another file or pass --force")
        camera = read_camera(self.camera)
        depth_mm = self.source_to_isocentre_mm
        if depth_mm is None:
            depth_mm = ISOCENTRE_FRACTION * camera.source_to_detector_mm
        rig = orbit_rig(
            camera,
            angle_rad=math.radians(self.angle_deg),
            source_to_isocentre_mm=depth_mm,
            names=self.names,
        )
        write_json(self.out, rig_record(rig))
