"""``wsreg simulate xray``: an X-ray of a CT with a known pose."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.console import step
from wsreg.cli.options import CtDetails, OptionalFile, parse_view, read_ct
from wsreg.errors import InputError
from wsreg.vocabulary import CollimatorShape

if TYPE_CHECKING:
    from torch import Tensor

    from wsreg.geometry.camera import Camera
    from wsreg.geometry.rig import Rig
    from wsreg.simulation.parameters import XrayParameters
    from wsreg.simulation.scene import ScenePart
    from wsreg.simulation.xray import SimulatedXray
    from wsreg.volumes.volume import Volume


@dataclass(frozen=True, kw_only=True)
class Xray:
    """Simulate an X-ray of a CT: spectrum, scatter, noise, blur; its pose is known exactly."""

    ct: Annotated[Path, arg(metavar="CT")]
    """NIfTI, NRRD or MetaImage file, or a folder with a DICOM series."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder for xray.png (16-bit counts, air is bright), camera.json, pose.json, parameters.json,
    and labels.png if --labels are given."""
    camera: OptionalFile = None
    """camera.json."""
    rig: OptionalFile = None
    """rig.json in place of the camera; pose and view are then those of its first view."""
    rig_view: Annotated[str | None, arg(metavar="NAME")] = None
    """Which view of the rig to simulate."""
    pose: OptionalFile = None
    """pose.json; the --view if left out."""
    view: Annotated[str, arg(metavar="PA|AP|LAT|RLAT|DEG,DEG")] = "PA"
    """View where there is no pose: a name, or C-arm angles "primary,secondary" in degrees."""
    seed: int = 0
    """Seed of everything that is drawn."""
    collimator: CollimatorShape = "none"
    """Shape of the exposed field."""
    tools: Annotated[int, arg(metavar="N")] = 0
    """Number of rods, wires and screws in the image."""
    parameters: OptionalFile = None
    """parameters.json of an earlier X-ray, to make it again; its seed, collimator and tools are
    used."""
    force: bool = False
    """Replace results that are already there."""
    quiet: bool = False
    """Print errors only."""
    ct_details: Annotated[CtDetails, arg(name="CT")] = field(default_factory=CtDetails)

    def run(self) -> int:
        """Simulate, save, and return the exit status."""
        from wsreg.files.lock import held_folder

        with held_folder(self.out):
            self._simulate()
        return 0

    def _simulate(self) -> None:
        from wsreg.outputs.output_folder import prepare_output_folder
        from wsreg.simulation.record_file import read_xray_record
        from wsreg.simulation.silhouettes import label_silhouettes
        from wsreg.simulation.xray import ct_part, simulate_scene

        self._check()
        prepare_output_folder(self.out, force=self.force)
        rig, index = self._read_rig()
        camera = _camera(rig, index)
        record = None if self.parameters is None else read_xray_record(self.parameters)
        with step(f"Reading the CT {self.ct.name}", quiet=self.quiet):
            volume = read_ct(self.ct, self.ct_details)
        pose = self._find_pose(volume, rig, index)
        labels = None
        if volume.labels is not None:
            with step("Rendering the labels", quiet=self.quiet):
                labels = label_silhouettes(volume, camera, pose)
        with step("Simulating the X-ray", quiet=self.quiet):
            part = ct_part(volume, pose)
            parameters, seed = record or (self._draw(part, camera), self.seed)
            xray = simulate_scene([part], camera, parameters, seed)
        names = _save(self.out, xray, camera, pose, labels)
        if not self.quiet:
            print(f"{self.out}/: {', '.join(names)}")

    def _check(self) -> None:
        if (self.camera is None) == (self.rig is None):
            given = "neither" if self.rig is None else "both"
            raise InputError(f"--camera or --rig must be given, one of the two, got {given}")
        if (self.rig is None) != (self.rig_view is None):
            raise InputError("--rig and --rig-view must be given together, got only one of them")
        for name in ("seed", "tools"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name} must be at least 0, got {getattr(self, name)}")
        drawn = (self.seed, self.collimator, self.tools)
        if self.parameters is not None and drawn != (0, "none", 0):
            raise InputError("--parameters give seed, collimator and tools, leave those out")

    def _read_rig(self) -> tuple[Rig, int]:
        """Return the rig, of one view where a camera is given, and the number of the view."""
        import torch

        from wsreg.geometry.calibration_file import read_camera, read_rig
        from wsreg.geometry.rig import Rig, RigView

        if self.camera is not None:
            place = torch.eye(4, dtype=torch.float64)
            view = RigView(name="view-1", camera=read_camera(self.camera), camera_from_rig=place)
            return Rig(views=(view,)), 0
        assert self.rig is not None  # one of the two is given
        rig = read_rig(self.rig)
        names = [view.name for view in rig.views]
        if self.rig_view not in names:
            raise InputError(
                f"--rig-view must be one of the rig's views {', '.join(names)}, "
                f"got {self.rig_view!r}"
            )
        return rig, names.index(self.rig_view)

    def _find_pose(self, volume: Volume, rig: Rig, index: int) -> Tensor:
        """Return ``camera_from_ct`` of a view; what is given is that of the first view."""
        import wsreg
        from wsreg.geometry.plausibility import check_plausible_pose
        from wsreg.geometry.rig import relative
        from wsreg.volumes.views import rig_view_pose

        if self.pose is None:
            cameras = [_camera(rig, i) for i in range(len(rig.views))]
            places = [view.camera_from_rig for view in rig.views]
            first = rig_view_pose(volume, cameras, places, parse_view(self.view))
        else:
            first = wsreg.read_pose(self.pose, ct_centre_mm=volume.centre_mm)
            check_plausible_pose(first, _camera(rig, 0), volume.corners_mm)
        if self.rig is None:
            return first
        pose = relative(rig)[index] @ first
        try:
            check_plausible_pose(pose, _camera(rig, index), volume.corners_mm)
        except InputError as error:
            raise InputError(f"in rig view {self.rig_view!r}, {error}") from None
        return pose

    def _draw(self, part: ScenePart, camera: Camera) -> XrayParameters:
        import numpy as np

        from wsreg.simulation.parameters import C_ARM, sample_parameters
        from wsreg.simulation.scene import body_thickness_mm

        ranges = dataclasses.replace(
            C_ARM, collimators={self.collimator: 1.0}, tool_counts={self.tools: 1.0}
        )
        return sample_parameters(
            np.random.default_rng(self.seed),
            camera,
            ranges,
            body_thickness_mm=body_thickness_mm([part], camera),
        )


def _camera(rig: Rig, index: int) -> Camera:
    """Return the camera of a view, which no X-ray is there to give."""
    view = rig.views[index]
    if view.camera is None:
        raise InputError(f"rig view {view.name!r} must have a camera for a simulation, got none")
    return view.camera


def _save(
    folder: Path, xray: SimulatedXray, camera: Camera, pose: Tensor, labels: Tensor | None
) -> list[str]:
    """Write the image and all that is known of it, whole or not at all; return the files' names."""
    from PIL import Image

    from wsreg.files.json_files import write_json
    from wsreg.files.whole import staged_folder
    from wsreg.geometry.camera_file import camera_record
    from wsreg.geometry.pose_file import pose_record
    from wsreg.outputs.earlier_runs import earlier_files
    from wsreg.simulation.detector import digitise
    from wsreg.simulation.record_file import xray_record

    pictures = {"xray.png": digitise(xray.transmission.numpy())}
    if labels is not None:
        pictures["labels.png"] = labels.numpy()
    records = {
        "camera.json": camera_record(camera),
        "pose.json": pose_record(pose),
        "parameters.json": xray_record(xray.parameters, xray.seed),
    }
    with staged_folder(folder, earlier_files(folder) | {"labels.png"}) as staging:
        for name, pixels in pictures.items():
            Image.fromarray(pixels).save(staging / name)
        for name, content in records.items():
            write_json(staging / name, content)
    return [*pictures, *records]
