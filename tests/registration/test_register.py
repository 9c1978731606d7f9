"""The whole way on the phantom: the pose comes back from every kind of start."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from wsreg.registration.adam import AdamConfig
from wsreg.registration.search import SearchConfig

from wsreg.errors import InputError
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import perturb
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=112, columns=128, pixel_spacing_mm=(3.0, 3.0))
QUICK = RegistrationConfig(
    image_sizes_px=(32, 64, 128),
    voxel_sizes_mm=(8.0, 4.0, 3.0),
    window_sizes_px=((5,), (7,), (5,)),
    probes=2,
    search=SearchConfig(poses=128, refined=12, kept=3, rotation_deg=12.0, shift_mm=40.0),
)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def phantom() -> Volume:
    return analytic_phantom()


@pytest.fixture(scope="module")
def truth(phantom: Volume) -> Tensor:
    turn = step(0.1, -0.12, 0.08, 20.0, -15.0, 40.0)
    return perturb(view_pose(phantom, CAMERA), turn, phantom.centre_mm)


def xray(volume: Volume, pose: Tensor) -> Radiograph:
    """By the simulator's projector on the finest grid, with noise."""
    image = project_attenuation(volume, CAMERA, pose)
    generator = torch.Generator().manual_seed(0)
    image = image + 0.01 * torch.randn(image.shape, generator=generator)
    return Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))


@pytest.fixture(scope="module")
def radiograph(phantom: Volume, truth: Tensor) -> Radiograph:
    return xray(phantom, truth)


@pytest.fixture(scope="module")
def start(phantom: Volume, truth: Tensor) -> Tensor:
    return perturb(truth, step(0.08, 0.06, -0.07, 8.0, -6.0, 15.0), phantom.centre_mm)


@pytest.fixture(scope="module")
def result(radiograph: Radiograph, phantom: Volume, start: Tensor) -> RegistrationResult:
    return register(radiograph, phantom, CAMERA, start, config=QUICK)


def errors_mm(volume: Volume, pose: Tensor, truth: Tensor) -> tuple[float, float]:
    """On the detector and in space, of points on bone."""
    assert volume.labels is not None
    index = volume.labels.nonzero()[::5000].flip(-1).to(torch.float64)
    points = index @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]
    return float(mpd_mm(points, pose, truth, CAMERA)), float(mtre_3d_mm(points, pose, truth))


def test_from_a_start_nearby(
    result: RegistrationResult, phantom: Volume, truth: Tensor, start: Tensor
) -> None:
    assert errors_mm(phantom, start, truth)[0] > 10.0
    projected, spatial = errors_mm(phantom, result.camera_from_ct, truth)
    assert projected < 0.5
    assert spatial < 2.0
    assert result.verdict.status == "pass", result.verdict
    assert result.similarity_end > result.similarity_start
    assert (result.backend, result.method, result.init) == ("numba", "gauss-newton", "pose")
    assert result.seconds["total"] > 0
    # Depth is what one view sees least.
    assert int(result.standard_deviation[3:].argmax()) == 2


def test_the_same_seed_gives_the_same_answer(
    result: RegistrationResult, radiograph: Radiograph, phantom: Volume, start: Tensor
) -> None:
    again = register(radiograph, phantom, CAMERA, start, config=QUICK)
    assert torch.equal(again.camera_from_ct, result.camera_from_ct)


def test_without_a_start(radiograph: Radiograph, phantom: Volume, truth: Tensor) -> None:
    stages = []
    found = register(
        radiograph, phantom, CAMERA, "search", config=QUICK,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )  # fmt: skip
    assert errors_mm(phantom, found.camera_from_ct, truth)[0] < 0.5
    assert found.verdict.status == "pass", found.verdict
    assert stages[-1][1] == stages[-1][2]


def test_from_the_angles_of_the_header(phantom: Volume) -> None:
    angles = CArmAngles(primary_rad=math.radians(25.0), secondary_rad=math.radians(-10.0))
    pose = perturb(
        view_pose(phantom, CAMERA, angles), step(0.03, 0.0, 0.02, 6.0, 4.0, 10.0),
        phantom.centre_mm,
    )  # fmt: skip
    image = dataclasses.replace(xray(phantom, pose), camera=CAMERA, angles=angles)
    found = register(image, phantom, init="dicom", config=QUICK)
    assert errors_mm(phantom, found.camera_from_ct, pose)[0] < 0.5
    assert found.init == "dicom"


def test_the_papers_loop_improves(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, start: Tensor
) -> None:
    config = dataclasses.replace(
        QUICK, method="adam", image_sizes_px=(32, 48, 64), adam=AdamConfig(steps=60)
    )
    found = register(radiograph, phantom, CAMERA, start, config=config)
    before, after = (errors_mm(phantom, pose, truth)[0] for pose in (start, found.camera_from_ct))
    assert after < 0.5 * before
    assert found.method == "adam"
    assert found.iterations == 60


def test_the_reference_backend_agrees(
    radiograph: Radiograph, phantom: Volume, start: Tensor
) -> None:
    small = dataclasses.replace(
        QUICK, image_sizes_px=(32,), voxel_sizes_mm=(8.0,), window_sizes_px=((5,),), probes=0
    )
    fast = register(radiograph, phantom, CAMERA, start, config=small)
    slow = register(
        radiograph, phantom, CAMERA, start, config=dataclasses.replace(small, backend="reference")
    )
    assert (fast.backend, slow.backend) == ("numba", "reference")
    assert errors_mm(phantom, fast.camera_from_ct, slow.camera_from_ct)[0] < 0.05


def test_only_the_named_bones_are_rendered(
    radiograph: Radiograph, phantom: Volume, truth: Tensor
) -> None:
    bones = phantom.label_values[:2]
    found = register(radiograph, phantom, CAMERA, truth, config=QUICK, render_labels=bones)
    assert found.comparison.rois_end.shape[0] == 2
    outside = found.comparison.rois_end.sum(dim=0) == 0
    moving = found.comparison.moving_end
    # Averaging to the level's voxels leaves a faint rim around the bones.
    assert float(moving[outside].mean()) < 0.01 * float(moving.max())
    assert float(moving[~outside].mean()) > 0.1 * float(moving.max())
    with pytest.raises(InputError, match="labels must name labels of the volume"):
        register(radiograph, phantom, CAMERA, truth, config=QUICK, render_labels=[99])


def test_an_open_polarity_is_settled_by_the_ct(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, start: Tensor
) -> None:
    inverted = dataclasses.replace(
        radiograph, image=-radiograph.image, opposite_polarity=radiograph.image
    )
    found = register(inverted, phantom, CAMERA, start, config=QUICK)
    assert found.config["polarity"] == "opposite, which fits the CT better"
    assert errors_mm(phantom, found.camera_from_ct, truth)[0] < 0.5


def test_an_image_of_something_else_does_not_pass(phantom: Volume, start: Tensor) -> None:
    noise = torch.randn(1, 1, 116, 132, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]
    other = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
    found = register(other, phantom, CAMERA, start, config=QUICK)
    assert found.verdict.status == "fail"
    assert found.similarity_end >= found.similarity_start


def test_torchs_threads_are_given_back(
    radiograph: Radiograph, phantom: Volume, start: Tensor
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(InputError):
            register(radiograph, phantom, CAMERA, start[:3], config=QUICK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_what_cannot_be_is_refused(radiograph: Radiograph, phantom: Volume, truth: Tensor) -> None:
    with pytest.raises(InputError, match="camera must be given"):
        register(radiograph, phantom, init=truth)
    with pytest.raises(InputError, match=r"must match the image, 112 x 128, got 56 x 64"):
        register(radiograph, phantom, CAMERA.resized(56, 64), truth)
    with pytest.raises(InputError, match="needs C-arm angles"):
        register(radiograph, phantom, CAMERA, "dicom")
    with pytest.raises(InputError, match="init must be a pose, 'search' or 'dicom', got 'guess'"):
        register(radiograph, phantom, CAMERA, "guess")  # type: ignore[arg-type]
    stretched = truth.clone()
    stretched[:3, :3] *= 1.1
    with pytest.raises(InputError, match=r"determinant 1\.331"):
        register(radiograph, phantom, CAMERA, stretched)
    behind = truth.clone()
    behind[2, 3] -= 1500.0
    with pytest.raises(InputError, match="behind the source"):
        register(radiograph, phantom, CAMERA, behind)
    with pytest.raises(InputError, match="method must be one of gauss-newton, adam"):
        RegistrationConfig(method="newton")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one entry for each level"):
        RegistrationConfig(image_sizes_px=(64,))
