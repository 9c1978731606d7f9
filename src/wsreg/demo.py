"""The whole way once, with a known answer: a CT, X-rays simulated from it, and a registration.

The pose of the X-ray, or of the two of a biplane, is hidden from the registration, which begins
from the plain PA view.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wsreg.cohort.exposure import Acquisition, expose, sample_acquisition
from wsreg.cohort.presets import person_of
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.files.json_files import write_json
from wsreg.files.names import different
from wsreg.files.whole import staged_file, staged_folder
from wsreg.geometry.calibration_file import read_camera
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.pose_file import pose_record
from wsreg.geometry.rig import Rig, RigView, orbit_rig, relative
from wsreg.geometry.rig_file import rig_record
from wsreg.geometry.rigid import perturb
from wsreg.geometry.views import ISOCENTRE_FRACTION
from wsreg.outputs.earlier_runs import earlier_files
from wsreg.outputs.image_files import save_image
from wsreg.outputs.output_folder import prepare_output_folder
from wsreg.outputs.result_files import write_result
from wsreg.radiographs.reading import read_radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.registration.strategy import Progress
from wsreg.simulation.parameters import SamplingRanges, sample_parameters
from wsreg.simulation.xray import simulate_xray
from wsreg.specimens.ct import scan
from wsreg.specimens.specimen import Detail, build_specimen
from wsreg.vocabulary import DemoSource, ExampleName
from wsreg.volumes.examples import fetch_example
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.reading import read_volume
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(
    source_to_detector_mm=1020.0,
    rows=384,
    columns=384,
    pixel_spacing_mm=(300.0 / 384, 300.0 / 384),
)

SPECIMEN = "17-1882"
SPECIMEN_DETAIL = Detail(bone_mm=0.8, body_mm=2.0)
SPECIMEN_CT_MM = 1.5

ROTATION_RANGE_DEG = 10.0
TRANSLATION_RANGE_MM = (30.0, 30.0, 50.0)
"""Across, along and in depth."""

BONE_HU = (300, 2000)
BONE_REACH_MM = 80.0
"""Bone points are drawn this near to the CT's centre along each axis: what an X-ray shows."""
BONE_POINTS = 200

CASE_FILES = {
    "ct.nii.gz", "labels.nii.gz", "label_names.json", "camera.json", "rig.json", "true_pose.json",
    "xray.tiff", "view-1.tiff", "view-2.tiff",
}  # fmt: skip
"""That a demo may put into its folder beside the result."""

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class PoseError:
    """Mean distances of bone points to where they truly are; see :mod:`wsreg.evaluation.distances`.

    Args:
        mpd_mm: between their projections, on the detector.
        mtre_3d_mm: in space.
    """

    mpd_mm: float
    mtre_3d_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """A CT, X-rays of it, and the hidden pose.

    Args:
        ct: file of the CT.
        labels, label_names: of its labels, if it has some.
        volume: what is in them.
        pose: [4,4] true ``camera_from_ct`` in the first view.
        transmissions: [rows,columns] the X-ray in each view.
        points_mm: [N,3] where errors are measured (LPS mm).
    """

    ct: Path
    labels: Path | None = None
    label_names: Path | None = None
    volume: Volume
    pose: Tensor
    transmissions: Sequence[Tensor]
    points_mm: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class DemoReport:
    """What a demo made and found.

    Args:
        inputs: files of the case by their role, to register it again: ``ct``, ``labels``,
            ``label_names``, ``camera``, ``rig``, ``xray``, ``xray-2``; those that there are.
        true_pose: file of the hidden pose.
        result: of the registration.
        start: errors before it, in the first view.
        ends: errors after it, in each view.
    """

    inputs: Mapping[str, Path]
    true_pose: Path
    result: RegistrationResult
    start: PoseError
    ends: tuple[PoseError, ...]


def run_demo(
    folder: Path,
    source: DemoSource = "specimen",
    *,
    angle_deg: float | None = None,
    seed: int = 0,
    force: bool = False,
    step: Step = lambda text: nullcontext(),
    progress: Progress = lambda stage, done, total: None,
) -> DemoReport:
    """Simulate an X-ray, or two, register, and write case and result to a folder.

    Args:
        folder: gets xray.tiff, camera.json, true_pose.json (with the CT that was made, ct.nii.gz,
            and its labels), and what :func:`wsreg.write_result` writes; of a biplane view-1.tiff,
            view-2.tiff and rig.json.
        source: a virtual specimen, a real CT (fetched if need be), or the analytic phantom.
        angle_deg: from the first view of a biplane to the second; None for one X-ray.
        seed: of the hidden pose, the X-rays and the search.
        force: whether to replace results already in the folder.
        step: entered with a short text around each piece of work.
        progress: as for :func:`wsreg.register`.

    Raises:
        DownloadError: the example cannot be fetched.
        InputError: the folder cannot be written or holds results.
    """
    prepare_output_folder(folder, force=force)
    with staged_folder(folder, earlier_files(folder) | CASE_FILES) as staging:
        report = _run_in(staging, source, _rig(angle_deg), seed, step, progress)
    return dataclasses.replace(
        report,
        inputs={role: _moved(path, staging, folder) for role, path in report.inputs.items()},
        true_pose=_moved(report.true_pose, staging, folder),
    )


def _moved(path: Path, staging: Path, folder: Path) -> Path:
    """Return where a file lies when what was staged is in its place."""
    return folder / path.relative_to(staging) if path.is_relative_to(staging) else path


def _run_in(
    folder: Path, source: DemoSource, rig: Rig, seed: int, step: Step, progress: Progress
) -> DemoReport:
    """Make the case and the result in an empty folder."""
    generator = np.random.default_rng(seed)
    if source == "specimen":
        case = _specimen_case(folder, rig, generator, step)
    else:
        case = _ct_case(_ct_file(source, folder, step), rig, generator, seed, step)
    inputs = _write_case(case, rig, folder)
    write_json(folder / "true_pose.json", pose_record(case.pose))
    camera = read_camera(inputs["camera"])
    radiographs = [
        read_radiograph(path, camera=camera, intensity="transmission")
        for role, path in inputs.items()
        if role.startswith("xray")
    ]
    config = RegistrationConfig(seed=seed)
    result = register(
        radiographs, case.volume, rig=rig, view="PA", config=config, progress=progress
    )
    notes = list(dict.fromkeys(note for xray in radiographs for note in xray.notes))
    write_result(result, folder, inputs=inputs, notes=notes)
    start = result.start_camera_from_ct
    return DemoReport(
        inputs=inputs,
        true_pose=folder / "true_pose.json",
        result=result,
        start=_pose_error(case.points_mm, start, case.pose),
        ends=tuple(
            _pose_error(case.points_mm, move @ result.camera_from_ct, move @ case.pose)
            for move in relative(rig)
        ),
    )


def _rig(angle_deg: float | None) -> Rig:
    """Return the rig of one X-ray, or of a plain biplane."""
    if angle_deg is None:
        place = torch.eye(4, dtype=torch.float64)
        return Rig(views=(RigView(name="xray", camera=CAMERA, camera_from_rig=place),))
    return orbit_rig(
        CAMERA,
        angle_rad=math.radians(angle_deg),
        source_to_isocentre_mm=ISOCENTRE_FRACTION * CAMERA.source_to_detector_mm,
    )


def _write_case(case: _Case, rig: Rig, folder: Path) -> dict[str, Path]:
    """Write X-rays and geometry; return the files of the case by their role."""
    files = {"ct": case.ct, "labels": case.labels, "label_names": case.label_names}
    inputs = {role: path for role, path in files.items() if path is not None}
    inputs["camera"] = folder / "camera.json"
    write_json(inputs["camera"], camera_record(CAMERA))
    if len(rig.views) > 1:
        inputs["rig"] = folder / "rig.json"
        write_json(inputs["rig"], rig_record(rig))
    roles = different(["xray"] * len(rig.views))
    for role, view, transmission in zip(roles, rig.views, case.transmissions, strict=True):
        inputs[role] = folder / f"{view.name}.tiff"
        save_image(transmission, inputs[role], pixel_spacing_mm=CAMERA.pixel_spacing_mm)
    return inputs


def _specimen_case(folder: Path, rig: Rig, generator: np.random.Generator, step: Step) -> _Case:
    """Make a virtual person: the CT is a scan of it, X-rays are made from its finer geometry.

    Femurs and soft tissue have moved since the CT, and lie alike in all views.
    """
    with step("Building a virtual specimen (bones, soft tissue)"):
        specimen = build_specimen(person_of(SPECIMEN, 0), SPECIMEN_DETAIL)
    with step("Scanning it (CT)"):
        volume = scan(specimen, SPECIMEN_CT_MM)
        assert volume.labels is not None
        ct = _write_nifti(volume.hu, volume, folder / "ct.nii.gz")
        labels = _write_nifti(volume.labels, volume, folder / "labels.nii.gz")
        write_json(folder / "label_names.json", dict(volume.label_names))
    pose, transmissions = _hidden_pose(volume, generator), []
    lying: Acquisition | None = None
    for view, move in zip(rig.views, relative(rig), strict=True):
        with step(f"Simulating {view.name} (spectrum, scatter, noise, blur, collimator)"):
            drawn = sample_acquisition(specimen, CAMERA, generator, move @ pose)
            lying = lying or drawn
            seen = dataclasses.replace(
                drawn,
                poses={name: move @ camera_from for name, camera_from in lying.poses.items()},
                camera_from_tissue=move @ lying.camera_from_tissue,
            )
            transmissions.append(expose(specimen, CAMERA, seen).transmission)
    landmarks = [torch.from_numpy(point) for point in specimen.anatomy.landmarks_mm.values()]
    return _Case(
        ct=ct,
        labels=labels,
        label_names=folder / "label_names.json",
        volume=volume,
        pose=pose,
        transmissions=transmissions,
        points_mm=torch.stack(landmarks),
    )


def _ct_case(ct: Path, rig: Rig, generator: np.random.Generator, seed: int, step: Step) -> _Case:
    """Take a CT as it is; the X-rays are made from a finer grid through it."""
    with step(f"Reading the CT {ct.name}"):
        volume = read_volume(ct)
    pose, transmissions = _hidden_pose(volume, generator), []
    ranges = SamplingRanges(collimators={"circle": 1.0})
    for number, (view, move) in enumerate(zip(rig.views, relative(rig), strict=True)):
        with step(f"Simulating {view.name} (spectrum, scatter, noise, blur, collimator)"):
            parameters = sample_parameters(generator, CAMERA, ranges)
            xray = simulate_xray(volume, CAMERA, move @ pose, parameters, seed + number)
            transmissions.append(xray.transmission)
    return _Case(
        ct=ct,
        volume=volume,
        pose=pose,
        transmissions=transmissions,
        points_mm=_bone_points(volume, generator),
    )


def _ct_file(source: ExampleName | Literal["phantom"], folder: Path, step: Step) -> Path:
    if source == "phantom":
        with step("Making the analytic phantom"):
            phantom = analytic_phantom()
            return _write_nifti(phantom.hu, phantom, folder / "ct.nii.gz")
    with step(f"Fetching the {source} CT"):
        return fetch_example(source).ct


def _write_nifti(voxels: Tensor, volume: Volume, path: Path) -> Path:
    """Write voxels [D,H,W] on the grid of a volume as NIfTI, whole or not at all."""
    import nibabel

    ras_from_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = ras_from_lps @ volume.ct_from_voxel.numpy()
    image = nibabel.Nifti1Image(voxels.numpy().transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    with staged_file(path) as temporary:
        nibabel.save(image, temporary)
    return path


def _hidden_pose(volume: Volume, generator: np.random.Generator) -> Tensor:
    """Draw a pose [4,4] turned about, and moved from, the CT's centre in the PA view."""
    reach = np.array([math.radians(ROTATION_RANGE_DEG)] * 3 + list(TRANSLATION_RANGE_MM))
    motion = torch.from_numpy(reach * generator.uniform(-1.0, 1.0, size=6))
    return perturb(view_pose(volume, CAMERA, view="PA"), motion, volume.centre_mm)


def _bone_points(volume: Volume, generator: np.random.Generator) -> Tensor:
    """Draw [N,3] random points on bone around the CT's centre (LPS mm)."""
    low, high = BONE_HU
    index = ((volume.hu > low) & (volume.hu < high)).nonzero().flip(-1).to(torch.float64)
    points = index @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]
    points = points[((points - volume.centre_mm).abs() < BONE_REACH_MM).all(dim=-1)]
    return points[generator.choice(len(points), BONE_POINTS)]


def _pose_error(bone_mm: Tensor, pose: Tensor, true_pose: Tensor) -> PoseError:
    return PoseError(
        mpd_mm=float(mpd_mm(bone_mm, pose, true_pose, CAMERA)),
        mtre_3d_mm=float(mtre_3d_mm(bone_mm, pose, true_pose)),
    )
