"""``wsreg inspect``: what the readers make of a CT and X-rays, before anything is registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.console import step
from wsreg.cli.options import CtDetails, Geometry, XrayDetails, Xrays, read_ct, xray_reader
from wsreg.cli.report import ct_lines, data_set_lines, xray_lines
from wsreg.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.volumes.volume import Volume

HDF5_SUFFIXES = (".h5", ".hdf5")
THUMBNAIL_VIEWS = ("AP", "PA", "LAT")
THUMBNAIL_PX = 256
USUAL_DISTANCE_MM, USUAL_DETECTOR_MM = 1000.0, 400.0


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Say what was found in a CT and in X-rays, what was assumed, and what is missing."""

    xrays: Xrays = ()
    """PNG, TIFF, NPY, NIfTI or DICOM; or one DeepFluoro file or cohort (.h5)."""
    ct: Annotated[Path | None, arg(metavar="CT")] = None
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    out: Annotated[Path | None, arg(metavar="PNG")] = None
    """Picture to write of at most one X-ray, masked parts dimmed, beside AP, PA and LAT views of
    the CT."""
    quiet: bool = False
    """Print errors only."""
    ct_details: Annotated[CtDetails, arg(name="CT")] = field(default_factory=CtDetails)
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)

    def run(self) -> int:
        """Read, describe, and return the exit status."""
        if any(path.suffix.lower() in HDF5_SUFFIXES for path in self.xrays):
            return self._inspect_data_set()
        if not self.xrays and self.ct is None:
            raise InputError("inspect needs an X-ray or a CT (--ct), got neither")
        if self.out is not None and (len(self.xrays) > 1 or self.out.suffix.lower() != ".png"):
            raise InputError(
                "--out needs at most one X-ray and a .png file, "
                f"got {len(self.xrays)} X-rays and {self.out}"
            )
        read = xray_reader(self.xray_details, self.geometry)
        radiographs = [read(path) for path in self.xrays]
        volume = None
        if self.ct is not None:
            with step(f"Reading the CT {self.ct.name}", quiet=self.quiet):
                volume = read_ct(self.ct, self.ct_details)
        if not self.quiet:
            lines = [line for radiograph in radiographs for line in xray_lines(radiograph)]
            if self.ct is not None and volume is not None:
                lines += ct_lines(self.ct, volume)
            print("\n".join(lines))
        if self.out is not None:
            self._write_picture(self.out, radiographs[0] if radiographs else None, volume)
        return 0

    def _inspect_data_set(self) -> int:
        """Describe an HDF5 file; return 1 if it lacks parts of the layout."""
        from wsreg.datasets.inspection import inspect_deepfluoro

        if len(self.xrays) != 1 or self.ct is not None:
            raise InputError(f"inspect takes one HDF5 file on its own, got {len(self.xrays)} files")
        report = inspect_deepfluoro(self.xrays[0])
        if not self.quiet:
            print("\n".join(data_set_lines(self.xrays[0], report)))
        return int(bool(report.problems))

    def _write_picture(
        self, out: Path, radiograph: Radiograph | None, volume: Volume | None
    ) -> None:
        from wsreg.outputs.pictures import inspect_picture, write_png

        views = {}
        if volume is not None:
            with step("Rendering views of the CT", quiet=self.quiet):
                views = _thumbnails(volume, radiograph)
        write_png(inspect_picture(radiograph, views), out)
        if not self.quiet:
            print(f"Picture: {out}")


def _thumbnails(volume: Volume, radiograph: Radiograph | None) -> dict[str, Tensor]:
    """Render views [H,W] by name, with the X-ray's geometry, or a usual one where it has none."""
    from wsreg import Camera, render, view_pose

    camera = (radiograph and radiograph.camera) or Camera(
        source_to_detector_mm=USUAL_DISTANCE_MM,
        rows=THUMBNAIL_PX,
        columns=THUMBNAIL_PX,
        pixel_spacing_mm=(USUAL_DETECTOR_MM / THUMBNAIL_PX,) * 2,
    )
    scale = THUMBNAIL_PX / max(camera.rows, camera.columns)
    small = camera.resized(
        max(1, round(scale * camera.rows)), max(1, round(scale * camera.columns))
    )
    return {
        view: render(volume, small, view_pose(volume, small, view))[0, 0]
        for view in THUMBNAIL_VIEWS
    }
