"""The whole way once, with a known answer: a CT, an X-ray simulated from it, and a registration.

The pose of the X-ray is hidden from the registration, which begins from the plain PA view.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wsreg.cohort.exposure import expose, sample_acquisition
from wsreg.cohort.presets import person_of
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.files.json_files import write_json
from wsreg.files.whole import staged_file
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_record, read_camera
from wsreg.geometry.pose_file import pose_record
from wsreg.geometry.rigid import perturb
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
    """A CT, an X-ray of it, and the hidden pose.

    Args:
        ct: file of the CT.
        volume: what is in it.
        pose: [4,4] true ``camera_from_ct``.
        transmission: [rows,columns] the X-ray.
        points_mm: [N,3] where errors are measured (LPS mm).
    """

    ct: Path
    volume: Volume
    pose: Tensor
    transmission: Tensor
    points_mm: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class DemoReport:
    """What a demo made and found.

    Args:
        ct, xray, camera, true_pose: files of the case, to register it again.
        result: of the registration.
        start, end: errors before and after it.
    """

    ct: Path
    xray: Path
    camera: Path
    true_pose: Path
    result: RegistrationResult
    start: PoseError
    end: PoseError


def run_demo(
    folder: Path,
    source: DemoSource = "specimen",
    *,
    seed: int = 0,
    force: bool = False,
    step: Step = lambda text: nullcontext(),
    progress: Progress = lambda stage, done, total: None,
) -> DemoReport:
    """Simulate an X-ray, register it, and write case and result to a folder.

    Args:
        folder: gets xray.tiff, camera.json, true_pose.json (with the CT that was made, ct.nii.gz),
            and what :func:`wsreg.write_result` writes.
        source: a virtual specimen, a real CT (fetched if need be), or the analytic phantom.
        seed: of the hidden pose, the X-ray and the search.
        force: whether to replace results already in the folder.
        step: entered with a short text around each piece of work.
        progress: as for :func:`wsreg.register`.

    Raises:
        DownloadError: the example cannot be fetched.
        InputError: the folder cannot be written or holds results.
    """
    prepare_output_folder(folder, force=force)
    generator = np.random.default_rng(seed)
    if source == "specimen":
        case = _specimen_case(folder, generator, step)
    else:
        case = _ct_case(_ct_file(source, folder, step), generator, seed, step)
    files = [folder / name for name in ("xray.tiff", "camera.json", "true_pose.json")]
    xray_path, camera_path, pose_path = files
    save_image(case.transmission, xray_path, pixel_spacing_mm=CAMERA.pixel_spacing_mm)
    write_json(camera_path, camera_record(CAMERA))
    write_json(pose_path, pose_record(case.pose))
    camera = read_camera(camera_path)
    radiograph = read_radiograph(xray_path, camera=camera, intensity="transmission")
    config = RegistrationConfig(seed=seed)
    result = register(radiograph, case.volume, view="PA", config=config, progress=progress)
    inputs = {"ct": case.ct, "xray": xray_path, "camera": camera_path}
    write_result(result, folder, inputs=inputs, notes=radiograph.notes)
    return DemoReport(
        ct=case.ct,
        xray=xray_path,
        camera=camera_path,
        true_pose=pose_path,
        result=result,
        start=_pose_error(case.points_mm, result.start_camera_from_ct, case.pose),
        end=_pose_error(case.points_mm, result.camera_from_ct, case.pose),
    )


def _specimen_case(folder: Path, generator: np.random.Generator, step: Step) -> _Case:
    """Make a virtual person: the CT is a scan of it, the X-ray is made from its finer geometry."""
    with step("Building a virtual specimen (bones, soft tissue)"):
        specimen = build_specimen(person_of(SPECIMEN, 0), SPECIMEN_DETAIL)
    with step("Scanning it (CT)"):
        volume = scan(specimen, SPECIMEN_CT_MM)
        ct = _write_ct(volume, folder / "ct.nii.gz")
    with step("Simulating an X-ray (spectrum, scatter, noise, blur, collimator)"):
        pose = _hidden_pose(volume, generator)
        acquisition = sample_acquisition(specimen, CAMERA, generator, pose)
        transmission = expose(specimen, CAMERA, acquisition).transmission
    landmarks = [torch.from_numpy(point) for point in specimen.anatomy.landmarks_mm.values()]
    return _Case(
        ct=ct,
        volume=volume,
        pose=pose,
        transmission=transmission,
        points_mm=torch.stack(landmarks),
    )


def _ct_case(ct: Path, generator: np.random.Generator, seed: int, step: Step) -> _Case:
    """Take a CT as it is; the X-ray is made from a finer grid through it."""
    with step(f"Reading the CT {ct.name}"):
        volume = read_volume(ct)
    pose = _hidden_pose(volume, generator)
    with step("Simulating an X-ray (spectrum, scatter, noise, blur, collimator)"):
        parameters = sample_parameters(
            generator, CAMERA, SamplingRanges(collimators={"circle": 1.0})
        )
        xray = simulate_xray(volume, CAMERA, pose, parameters, seed)
    return _Case(
        ct=ct,
        volume=volume,
        pose=pose,
        transmission=xray.transmission,
        points_mm=_bone_points(volume, generator),
    )


def _ct_file(source: ExampleName | Literal["phantom"], folder: Path, step: Step) -> Path:
    if source == "phantom":
        with step("Making the analytic phantom"):
            return _write_ct(analytic_phantom(), folder / "ct.nii.gz")
    with step(f"Fetching the {source} CT"):
        return fetch_example(source).ct


def _write_ct(volume: Volume, path: Path) -> Path:
    """Write the Hounsfield units as NIfTI, whole or not at all."""
    import nibabel

    ras_from_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = ras_from_lps @ volume.ct_from_voxel.numpy()
    image = nibabel.Nifti1Image(volume.hu.numpy().transpose(2, 1, 0), affine)
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
