"""``wsreg render``: a digitally reconstructed radiograph (DRR) as an image file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.console import step
from wsreg.cli.options import Convention, CtDetails, Labels, parse_view, read_ct
from wsreg.errors import InputError
from wsreg.vocabulary import Backend

if TYPE_CHECKING:
    from wsreg.geometry.pose_file import PoseReading


@dataclass(frozen=True, kw_only=True)
class Render:
    """Render an X-ray of a CT: line integrals of attenuation, bone is bright."""

    ct: Annotated[Path, arg(metavar="CT")]
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    camera: Annotated[Path, arg(metavar="FILE")]
    """The camera, as of wsreg register; a file of K needs its distance or pixel spacing inside."""
    out: Annotated[Path, arg(metavar="FILE")]
    """Image to write: .npy, .png, .tif, .tiff, .nii or .nii.gz; a file there is replaced."""
    pose: Annotated[Path | None, arg(metavar="FILE")] = None
    """A pose as pose.json, result.json, ITK transform, OpenCV's R and t, or matrix; the --view if
    left out."""
    pose_convention: Convention = None
    """What the pose's numbers mean, where its file does not say."""
    view: Annotated[str, arg(metavar="PA|AP|LAT|RLAT|DEG,DEG")] = "PA"
    """View where there is no pose: a name, or C-arm angles "primary,secondary" in degrees."""
    render_labels: Labels = ()
    """Render these labels only: values or names."""
    step_mm: Annotated[float | None, arg(metavar="MM")] = None
    """Longest distance between samples; every voxel plane if left out."""
    backend: Backend = "auto"
    """Renderer; auto takes the fastest that runs here."""
    quiet: bool = False
    """Print errors only."""
    ct_details: Annotated[CtDetails, arg(name="CT")] = field(default_factory=CtDetails)

    def run(self) -> int:
        """Render, save, and return the exit status."""
        import wsreg
        from wsreg.geometry.calibration_file import read_camera_with_notes
        from wsreg.geometry.plausibility import camera_warnings, check_plausible_pose
        from wsreg.outputs.image_files import save_image
        from wsreg.volumes.region_names import find_labels

        camera, notes = read_camera_with_notes(self.camera)
        notes = (*notes, *camera_warnings(camera))
        view = parse_view(self.view)
        reading = self._pose()
        with step(f"Reading the CT {self.ct.name}", quiet=self.quiet):
            volume = read_ct(self.ct, self.ct_details)
        labels = find_labels(volume, self.render_labels, "--render-labels")
        if reading is None:
            pose = wsreg.view_pose(volume, camera, view)
        else:
            pose = reading.for_ct(volume.centre_mm)
            check_plausible_pose(pose, camera, volume.corners_mm)
            notes = (*notes, *reading.notes)
        shown = volume.restricted_to(labels) if labels else volume
        with step("Rendering", quiet=self.quiet):
            image = wsreg.render(shown, camera, pose, step_mm=self.step_mm, backend=self.backend)
        kept = save_image(image[0, 0], self.out, pixel_spacing_mm=camera.pixel_spacing_mm)
        if not self.quiet:
            print("".join(f"note: {note}\n" for note in (*volume.notes, *notes)), end="")
            print(f"{self.out}: {camera.rows} rows x {camera.columns} columns, {kept}")
        return 0

    def _pose(self) -> PoseReading | None:
        """Return the pose that a file gives, if one does."""
        from wsreg.geometry.pose_file import read_pose_with_notes

        if self.pose is not None:
            return read_pose_with_notes(self.pose, convention=self.pose_convention)
        if self.pose_convention is not None:
            raise InputError("--pose-convention is for a --pose, got none")
        return None
