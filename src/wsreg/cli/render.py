"""``wsreg render``: a digitally reconstructed radiograph (DRR) as an image file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from wsreg.cli.console import step
from wsreg.cli.options import CtDetails, Labels, parse_view, read_ct
from wsreg.vocabulary import Backend


@dataclass(frozen=True, kw_only=True)
class Render:
    """Render an X-ray of a CT: line integrals of attenuation, bone is bright."""

    ct: Annotated[Path, arg(metavar="CT")]
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    camera: Annotated[Path, arg(metavar="FILE")]
    """camera.json."""
    out: Annotated[Path, arg(metavar="FILE")]
    """Image to write: .npy, .png, .tif, .tiff, .nii or .nii.gz; a file there is replaced."""
    pose: Annotated[Path | None, arg(metavar="FILE")] = None
    """pose.json; the --view if left out."""
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
        from wsreg.geometry.plausibility import check_plausible_pose
        from wsreg.outputs.image_files import save_image
        from wsreg.volumes.region_names import find_labels

        camera = wsreg.read_camera(self.camera)
        view = parse_view(self.view)
        pose = None if self.pose is None else wsreg.read_pose(self.pose)
        with step(f"Reading the CT {self.ct.name}", quiet=self.quiet):
            volume = read_ct(self.ct, self.ct_details)
        labels = find_labels(volume, self.render_labels, "--render-labels")
        if pose is None:
            pose = wsreg.view_pose(volume, camera, view)
        else:
            check_plausible_pose(pose, camera, volume.corners_mm)
        shown = volume.restricted_to(labels) if labels else volume
        with step("Rendering", quiet=self.quiet):
            image = wsreg.render(shown, camera, pose, step_mm=self.step_mm, backend=self.backend)
        kept = save_image(image[0, 0], self.out, pixel_spacing_mm=camera.pixel_spacing_mm)
        if not self.quiet:
            print("".join(f"note: {note}\n" for note in volume.notes), end="")
            print(f"{self.out}: {camera.rows} rows x {camera.columns} columns, {kept}")
        return 0
