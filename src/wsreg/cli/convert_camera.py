"""``wsreg convert camera``: calibrations from one format into another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from wsreg.errors import InputError
from wsreg.vocabulary import CalibrationUnits

if TYPE_CHECKING:
    from torch import Tensor

    from wsreg.geometry.calibration import Calibration

CameraFormat = Literal["camera", "rig", "opencv", "mayacam"]
_BY_ENDING: dict[str, CameraFormat] = {
    ".yml": "opencv", ".yaml": "opencv", ".xml": "opencv", ".txt": "mayacam", ".csv": "mayacam",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Convert one camera, or several that stand in one frame into a rig.json."""

    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="IN ... OUT")]
    """Files to read (camera.json, rig.json, OpenCV .json, .yml, .xml, MayaCam 2.0 .txt, RTK .xml,
    RT Image .dcm), and the one to write."""
    to: CameraFormat | None = None
    """What to write; by the ending of OUT if left out: .json is a camera, or a rig of several,
    .yml and .xml are OpenCV's, .txt is MayaCam 2.0."""
    units: CalibrationUnits | None = None
    """Units of translations in files that do not name them (OpenCV, MayaCam, RTK)."""
    out_units: CalibrationUnits = "mm"
    """Units of the translation in a MayaCam file that is written."""
    rows: Annotated[int | None, arg(metavar="N")] = None
    """Rows of the image, where the file does not have them (RTK)."""
    columns: Annotated[int | None, arg(metavar="N")] = None
    """Columns of the image, likewise."""
    pixel_spacing_mm: Annotated[
        tuple[float, float] | None, arg(name="pixel-spacing", metavar="ROW_MM COLUMN_MM")
    ] = None
    """Pixel spacing at the detector, where the file does not have it (K, RTK)."""
    source_to_detector_mm: Annotated[float | None, arg(name="sdd", metavar="MM")] = None
    """Or the distance from the source to the detector (K)."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Read, write, and return the exit status."""
        from wsreg.geometry.calibration import CalibrationDetails
        from wsreg.geometry.calibration_file import read_calibrations

        if len(self.paths) < 2:
            raise InputError(f"convert camera needs IN and OUT, got {len(self.paths)} files")
        *inputs, out = self.paths
        details = CalibrationDetails(
            rows=self.rows,
            columns=self.columns,
            pixel_spacing_mm=self.pixel_spacing_mm,
            source_to_detector_mm=self.source_to_detector_mm,
        )
        found = [one for path in inputs for one in read_calibrations(path, details)]
        kind = self._kind(out, len(found))
        if kind == "rig":
            self._write_rig(found, out)
        elif len(found) > 1:
            raise InputError(f"{out} can hold one camera, got {len(found)}; a rig.json can")
        else:
            self._write_one(found[0], kind, out)
        if not self.quiet:
            notes = dict.fromkeys(note for one in found for note in (*one.notes, *_doubts(one)))
            print("".join(f"note: {note}\n" for note in notes), end="")
            print(f"{out}: {kind}, {', '.join(one.name for one in found)}")
        return 0

    def _kind(self, out: Path, count: int) -> CameraFormat:
        if self.to is not None:
            return self.to
        if out.suffix.lower() == ".json":
            return "rig" if count > 1 else "camera"
        if out.suffix.lower() not in _BY_ENDING:
            raise InputError(
                f"{out} must end in .json, {', '.join(_BY_ENDING)}, or --to say what to write"
            )
        return _BY_ENDING[out.suffix.lower()]

    def _write_rig(self, found: Sequence[Calibration], out: Path) -> None:
        from wsreg.files.json_files import write_json
        from wsreg.geometry.calibration_file import rig_of
        from wsreg.geometry.rig_file import rig_record

        write_json(out, rig_record(rig_of(found, self.units)))

    def _write_one(self, one: Calibration, kind: CameraFormat, out: Path) -> None:
        from wsreg.files.json_files import write_json
        from wsreg.geometry.calibration import MM_PER_UNIT
        from wsreg.geometry.calibration_file import the_camera
        from wsreg.geometry.calibration_writing import write_opencv_camera
        from wsreg.geometry.camera_file import camera_record
        from wsreg.geometry.mayacam import write_mayacam

        if kind == "camera":
            write_json(out, camera_record(the_camera(one)))
            return
        if one.camera is None:
            raise InputError(f"{one.source} must tell the camera of {one.name}, it does not")
        place: Tensor | None = None
        if one.place is not None or kind == "mayacam":
            place = one.camera_from_world(self.units)
        if place is not None and kind == "mayacam":
            write_mayacam(one.camera, place, out, MM_PER_UNIT[self.out_units])
        else:
            write_opencv_camera(one.camera, place, out, nominal=one.nominal)


def _doubts(one: Calibration) -> list[str]:
    """Return what cannot be of a camera; nominal lengths are nobody's."""
    from wsreg.geometry.plausibility import camera_warnings

    if one.camera is None:
        return []
    if one.nominal:
        return camera_warnings(one.camera, ("principal_point_px",))
    return camera_warnings(one.camera)
