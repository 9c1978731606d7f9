"""``wsreg convert``: cameras and poses from one tool's format into another's."""

from __future__ import annotations

from dataclasses import dataclass

from wsreg.cli.convert_camera import Camera
from wsreg.cli.convert_pose import Pose


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Convert cameras or poses between the formats of OpenCV, MayaCam, RTK, DICOM, ITK and ours."""

    what: Camera | Pose

    def run(self) -> int:
        """Run what was chosen and return the exit status."""
        return self.what.run()
