"""The whole way on the phantom: the pose comes back from every kind of start."""

from __future__ import annotations

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import perturb, twist_between
from wsreg.optimisation.adam import AdamConfig
from wsreg.optimisation.levenberg_marquardt import LevenbergMarquardtConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.clock import Clock
from wsreg.registration.config import LevelConfig, RegistrationConfig
from wsreg.registration.register import register
from wsreg.registration.result import RegistrationResult
from wsreg.rendering.prepared import PreparedCt, prepare
from wsreg.rendering.render import render
from wsreg.similarity.gradient_ncc import GradientNcc
from wsreg.similarity.mae import Mae
from wsreg.similarity.measure import Measure
from wsreg.similarity.mse import Mse
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc
from wsreg.similarity.psnr import Psnr
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

ONE_LEVEL = (LevelConfig(image_px=32, voxel_mm=8.0, measure=MultiscaleNcc(windows_px=(5,))),)


def step(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(name="start", scope="module")
def _start(phantom: Volume, truth: Tensor) -> Tensor:
    return perturb(truth, step(0.08, 0.06, -0.07, 8.0, -6.0, 15.0), phantom.centre_mm)


@pytest.fixture(name="result", scope="module")
def _result(
    radiograph: Radiograph, phantom: Volume, start: Tensor, quick: RegistrationConfig
) -> RegistrationResult:
    return register(radiograph, phantom, init=start, config=quick)


def errors_mm(volume: Volume, pose: Tensor, truth: Tensor, camera: Camera) -> tuple[float, float]:
    """On the detector and in space, of points on bone."""
    assert volume.labels is not None
    index = volume.labels.nonzero()[::5000].flip(-1).to(torch.float64)
    points = index @ volume.ct_from_voxel[:3, :3].T + volume.ct_from_voxel[:3, 3]
    return float(mpd_mm(points, pose, truth, camera)), float(mtre_3d_mm(points, pose, truth))


def test_from_a_start_nearby(
    result: RegistrationResult, phantom: Volume, truth: Tensor, start: Tensor, camera: Camera
) -> None:
    assert errors_mm(phantom, start, truth, camera)[0] > 10.0
    projected, spatial = errors_mm(phantom, result.camera_from_ct, truth, camera)
    assert projected < 0.5
    assert spatial < 2.0
    assert result.verdict.status == "pass", result.verdict
    assert result.similarity_end > result.similarity_start
    assert (result.backend, result.method, result.init) == ("numba", "gauss-newton", "pose")
    assert result.seconds["total"] > 0
    torch.testing.assert_close(result.start_camera_from_ct, start)
    # Depth is what one view sees least.
    assert result.standard_deviation.shape == (6,)
    assert int(result.standard_deviation[3:].argmax()) == 2


def test_the_same_seed_gives_the_same_answer(
    result: RegistrationResult,
    radiograph: Radiograph,
    phantom: Volume,
    start: Tensor,
    quick: RegistrationConfig,
) -> None:
    again = register(radiograph, phantom, init=start, config=quick)
    assert torch.equal(again.camera_from_ct, result.camera_from_ct)


def test_without_a_start(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, camera: Camera,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    stages = []
    found = register(
        radiograph, phantom, camera, "search", config=quick,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )  # fmt: skip
    assert errors_mm(phantom, found.camera_from_ct, truth, camera)[0] < 0.5
    assert found.verdict.status == "pass", found.verdict
    assert stages[-1][1] == stages[-1][2]


def test_from_the_angles_of_the_header(
    phantom: Volume, camera: Camera, quick: RegistrationConfig
) -> None:
    angles = CArmAngles(primary_rad=math.radians(25.0), secondary_rad=math.radians(-10.0))
    pose = perturb(
        view_pose(phantom, camera, angles), step(0.03, 0.0, 0.02, 6.0, 4.0, 10.0),
        phantom.centre_mm,
    )  # fmt: skip
    image = project_attenuation(phantom, camera, pose)
    xray = Radiograph(
        image=image, mask=torch.ones_like(image, dtype=torch.bool), camera=camera, angles=angles
    )
    found = register(xray, phantom, init="dicom", config=quick)
    assert errors_mm(phantom, found.camera_from_ct, pose, camera)[0] < 0.5
    assert found.init == "dicom"


def test_the_papers_loop_improves(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, start: Tensor, camera: Camera,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    finest = LevelConfig(image_px=64, voxel_mm=4.0, measure=MultiscaleNcc(windows_px=(5,)))
    config = dataclasses.replace(
        quick, method="adam", levels=(quick.levels[0], finest), adam=AdamConfig(steps=60)
    )
    found = register(radiograph, phantom, init=start, config=config)
    before, after = (
        errors_mm(phantom, pose, truth, camera)[0] for pose in (start, found.camera_from_ct)
    )
    assert after < 0.5 * before
    assert found.method == "adam"
    assert found.iterations == 60


@pytest.mark.parametrize(
    "measure",
    [GlobalNcc(), LocalNcc(windows_px=(5, 9)), GradientNcc(), Mse(), Mae(), Psnr()],
    ids=lambda measure: measure.name,
)
def test_other_measures_find_it_too(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, start: Tensor, camera: Camera,
    quick: RegistrationConfig, measure: Measure,
) -> None:  # fmt: skip
    levels = tuple(dataclasses.replace(level, measure=measure) for level in quick.levels[:2])
    config = dataclasses.replace(quick, levels=levels)
    found = register(radiograph, phantom, init=start, config=config)
    assert errors_mm(phantom, found.camera_from_ct, truth, camera)[0] < 1.0
    assert found.config["levels"][0]["measure"]["name"] == measure.name
    assert found.verdict.status == "pass", found.verdict


def test_the_reference_backend_agrees(
    radiograph: Radiograph, phantom: Volume, start: Tensor, camera: Camera,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    descent = LevenbergMarquardtConfig(max_iterations=5)
    small = dataclasses.replace(quick, levels=ONE_LEVEL, probes=0, descent=descent)
    fast, slow = (
        register(
            radiograph, phantom, init=start, bodies=None,
            config=dataclasses.replace(small, backend=backend),
        )
        for backend in ("auto", "reference")
    )  # fmt: skip
    assert (fast.backend, slow.backend) == ("numba", "reference")
    assert errors_mm(phantom, fast.camera_from_ct, slow.camera_from_ct, camera)[0] < 0.05


@pytest.mark.parametrize(("bodies", "voxel_mm", "turn_rad", "shift_mm", "depth_mm"), [
    (None, None, 1e-4, 0.01, 0.1), (None, 3.0, 2e-3, 0.1, 0.2), ("auto", None, 5e-4, 0.02, 0.2),
])  # fmt: skip
def test_an_image_of_the_renderer_itself_comes_back_without_bias(  # noqa: PLR0913
    phantom: Volume, truth: Tensor, start: Tensor, quick: RegistrationConfig,
    bodies: str | None, voxel_mm: float | None, turn_rad: float, shift_mm: float, depth_mm: float,
) -> None:  # fmt: skip
    """Finer than any level, which averages its pixels; on the CT's own grid or not."""
    fine = Camera(source_to_detector_mm=1000.0, rows=280, columns=320, pixel_spacing_mm=(1.2, 1.2))
    image = render(phantom, fine, truth)[0, 0]
    xray = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
    finest = dataclasses.replace(quick.levels[-1], voxel_mm=voxel_mm)
    config = dataclasses.replace(quick, probes=0, levels=(*quick.levels[:-1], finest))
    found = register(xray, phantom, fine, start, bodies=bodies, config=config)
    error = twist_between(truth, found.camera_from_ct, phantom.centre_mm)
    assert found.similarity_end > (0.99 if voxel_mm is None else 0.95)
    assert float(error[:3].abs().max()) < turn_rad
    assert float(error[3:5].abs().max()) < shift_mm
    assert abs(float(error[5])) < depth_mm


def test_only_the_named_bones_are_an_answer(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, quick: RegistrationConfig
) -> None:
    bones = (7, 8, 14)
    found = register(radiograph, phantom, init=truth, config=quick, render_labels=bones)
    assert [(name, body.labels) for name, body in found.bodies.items()] == [("ct", bones)]
    assert found.config["render_labels"] == list(bones)
    assert found.comparison.rois_end.shape[0] == 3
    # What lies around them is rendered, too.
    outside = found.comparison.rois_end.sum(dim=0) == 0
    assert float(found.comparison.moving_end[outside].mean()) > 0.1
    with pytest.raises(InputError, match="render_labels must name labels of the CT"):
        register(radiograph, phantom, init=truth, config=quick, render_labels=[99])


def test_the_papers_loop_renders_the_named_bones_alone(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, quick: RegistrationConfig
) -> None:
    config = dataclasses.replace(quick, method="adam", adam=AdamConfig(steps=2))
    found = register(radiograph, phantom, init=truth, config=config, render_labels=(7, 8, 14))
    outside = found.comparison.rois_end.sum(dim=0) == 0
    moving = found.comparison.moving_end
    # Averaging to the level's voxels leaves a faint rim around the bones.
    assert float(moving[outside].mean()) < 0.01 * float(moving.max())
    assert float(moving[~outside].mean()) > 0.1 * float(moving.max())


def test_an_open_polarity_is_settled_by_the_ct(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, start: Tensor, camera: Camera,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    inverted = dataclasses.replace(
        radiograph, image=-radiograph.image, opposite_polarity=radiograph.image
    )
    found = register(inverted, phantom, init=start, config=quick)
    assert found.config["polarity"] == "opposite, which fits the CT better"
    assert errors_mm(phantom, found.camera_from_ct, truth, camera)[0] < 0.5


def test_an_image_of_something_else_does_not_pass(
    phantom: Volume, camera: Camera, start: Tensor, quick: RegistrationConfig
) -> None:
    noise = torch.randn(1, 1, 116, 132, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.avg_pool2d(noise, 5, 1)[0, 0]
    other = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
    search = dataclasses.replace(quick.search, poses=32, refined=4)
    config = dataclasses.replace(quick, levels=quick.levels[:2], search=search)
    found = register(other, phantom, camera, start, bodies=None, config=config)
    assert found.verdict.status == "fail"
    evidence = found.config["evidence"]
    assert evidence["loss_end"] <= evidence["loss_start"]


def test_a_prepared_ct_is_taken_beside_the_volume_or_in_its_place(
    radiograph: Radiograph, phantom: Volume, coarse: Volume, start: Tensor,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    config = dataclasses.replace(quick, levels=ONE_LEVEL, probes=0)
    prepared = prepare(phantom, (8.0,))
    plain = register(radiograph, phantom, init=start, config=config)
    beside = register(radiograph, phantom, init=start, prepared=prepared, config=config)
    instead = register(radiograph, prepared, init=start, config=config)
    assert torch.equal(beside.camera_from_ct, plain.camera_from_ct)
    assert torch.equal(instead.camera_from_ct, plain.camera_from_ct)
    with pytest.raises(InputError, match=r"prepared must be of the volume given.*voxel grid"):
        register(radiograph, coarse, init=start, prepared=prepared, config=config)
    other = dataclasses.replace(phantom, hu=phantom.hu + 1)
    with pytest.raises(InputError, match="a CT that differs in its Hounsfield units"):
        register(radiograph, phantom, init=start, prepared=PreparedCt(volume=other), config=config)


def test_threads_that_register_at_once_do_not_mind_each_other(
    radiograph: Radiograph, phantom: Volume, truth: Tensor, quick: RegistrationConfig
) -> None:
    config = dataclasses.replace(quick, levels=ONE_LEVEL, probes=1)
    steps = [step(0.02 * n, 0.0, -0.03, 4.0 * n, -5.0, 10.0) for n in range(4)]
    starts = [perturb(truth, one, phantom.centre_mm) for one in steps]
    shared = PreparedCt(volume=phantom)

    def found(start: Tensor) -> Tensor:
        return register(radiograph, shared, init=start, config=config).camera_from_ct

    alone = [found(start) for start in starts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(found, starts))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_torchs_threads_are_left_alone(
    radiograph: Radiograph, phantom: Volume, start: Tensor, quick: RegistrationConfig
) -> None:
    config = dataclasses.replace(quick, levels=ONE_LEVEL, probes=0)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        register(radiograph, phantom, init=start, config=config)
        assert torch.get_num_threads() == 2
        with pytest.raises(InputError):
            register(radiograph, phantom, init=start[:3], config=config)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_what_cannot_be_is_refused(
    radiograph: Radiograph, phantom: Volume, camera: Camera, truth: Tensor,
    quick: RegistrationConfig,
) -> None:  # fmt: skip
    bare = dataclasses.replace(radiograph, camera=None)
    with pytest.raises(InputError, match="camera must be given"):
        register(bare, phantom, init=truth)
    with pytest.raises(InputError, match=r"must match the image, 112 x 128, got 56 x 64"):
        register(radiograph, phantom, camera.resized(56, 64), truth)
    with pytest.raises(InputError, match="needs C-arm angles"):
        register(radiograph, phantom, camera, "dicom")
    known = "a pose or one of search, dicom, roi, encoder:DIR, landmarks:FILE"
    with pytest.raises(InputError, match=f"{known}, got 'guess'"):
        register(radiograph, phantom, camera, "guess")
    with pytest.raises(InputError, match=f"{known}, got 'pose'"):
        register(radiograph, phantom, camera, "pose")  # the name that a given pose has in results
    stretched = truth.clone()
    stretched[:3, :3] *= 1.1
    with pytest.raises(InputError, match=r"determinant 1\.331"):
        register(radiograph, phantom, camera, stretched)
    behind = truth.clone()
    behind[2, 3] -= 1500.0
    with pytest.raises(InputError, match="behind the source"):
        register(radiograph, phantom, camera, behind)
    wide = LevelConfig(image_px=32, voxel_mm=8.0, measure=MultiscaleNcc(windows_px=(40,)))
    with pytest.raises(
        InputError,
        match=r"^at the level of 28 x 32 pixels: window size must be from 2 to 28",
    ):
        register(radiograph, phantom, init=truth, config=dataclasses.replace(quick, levels=(wide,)))


def test_a_perfect_match_is_no_trouble(phantom: Volume, camera: Camera, truth: Tensor) -> None:
    """Rounding makes an NCC of 1.0000001: no loss is negative, and no state is pruned for it."""
    level = LevelConfig(image_px=128, voxel_mm=None, measure=MultiscaleNcc(windows_px=(5,)))
    config = RegistrationConfig(levels=(level, level), probes=1)
    for turn in (0.0, 0.05, 0.1):
        pose = perturb(truth, step(turn, 0.0, -turn, 5.0 * turn, 0.0, 0.0), phantom.centre_mm)
        image = render(phantom, camera, pose)[0, 0]
        perfect = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
        found = register(perfect, phantom, camera, pose, config=config)
        torch.testing.assert_close(found.camera_from_ct, pose, atol=1e-3, rtol=0)
        assert found.similarity_end == pytest.approx(1.0, abs=1e-5)
        assert found.verdict.status == "pass", found.verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """A measure as a file of its own would hold it: a loss, no least-squares form."""

    name: ClassVar[str] = "mean-difference"
    least_squares: ClassVar[bool] = False

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedDifference:
        return PreparedDifference(fixed)


class PreparedDifference:
    def __init__(self, fixed: Tensor) -> None:
        self.fixed = fixed

    def loss(self, moving: Tensor) -> Tensor:
        return (moving - self.fixed).abs().mean(dim=(-2, -1))

    def similarity(self, moving: Tensor) -> Tensor:
        return 1.0 - self.loss(moving)


def test_adam_takes_a_measure_without_least_squares(
    radiograph: Radiograph, phantom: Volume, camera: Camera, truth: Tensor, start: Tensor
) -> None:
    level = LevelConfig(image_px=48, voxel_mm=8.0, measure=MeanDifference())
    config = RegistrationConfig(method="adam", levels=(level,), adam=AdamConfig(steps=60))
    with torch.no_grad():  # whoever calls may have switched gradients off
        found = register(radiograph, phantom, camera, start, config=config)
    before, after = (errors_mm(phantom, p, truth, camera)[0] for p in (start, found.camera_from_ct))
    assert after < 0.5 * before
    # Judged as any other answer, by the default measure.
    assert bool(found.standard_deviation.isfinite().all())
    assert found.similarity_end == pytest.approx(1.0 - found.config["evidence"]["loss_end"])
    inverted = dataclasses.replace(
        radiograph, image=-radiograph.image, opposite_polarity=radiograph.image
    )
    settled = register(inverted, phantom, camera, start, config=config)
    assert settled.config["polarity"] == "opposite, which fits the CT better"


def test_what_is_not_finite_is_refused(
    radiograph: Radiograph, phantom: Volume, camera: Camera, truth: Tensor
) -> None:
    image = radiograph.image.clone()
    image[3, 4] = torch.nan
    with pytest.raises(InputError, match="must be finite where its mask is true"):
        register(dataclasses.replace(radiograph, image=image), phantom, camera, truth)
    with pytest.raises(InputError, match="pivot_mm must be 3 finite numbers"):
        register(radiograph, phantom, camera, truth, pivot_mm=torch.zeros(2))
    with pytest.raises(InputError, match="volume hu must be finite"):
        dataclasses.replace(phantom, hu=torch.full(phantom.hu.shape, torch.nan))


def test_loading_or_compiling_the_kernels_is_no_registrations_time(
    radiograph: Radiograph, phantom: Volume, start: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = []
    monkeypatch.setattr(
        "wsreg.registration.register.load_kernels", lambda: happened.append("kernels")
    )
    monkeypatch.setattr(Clock, "__init__", lambda self: happened.append("clock"))
    with pytest.raises(InputError, match="view must be"):
        register(radiograph, phantom, init="search", view="from afar")
    assert happened == ["kernels", "clock"]
