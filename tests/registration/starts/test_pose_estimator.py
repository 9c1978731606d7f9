from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.json_files import read_sealed_json, write_sealed_json
from wsreg.geometry.camera import Camera
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.rigid import transform_points
from wsreg.networks.checkpoint import CARD_FILE, ModelCard, save_checkpoint
from wsreg.networks.pose_encoder import PoseEncoder, PoseEncoderConfig
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.starts.pose_estimator import PoseEstimator, load_pose_estimator
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=32, columns=32, pixel_spacing_mm=(8.0, 8.0))
SCALE = (0.2, 0.3, 0.1, 40.0, 30.0, 50.0)


def encoder_folder(folder: Path, **changes: Any) -> Path:
    """A folder with an encoder that has learnt nothing."""
    torch.manual_seed(0)
    sizes = PoseEncoderConfig(width=4, hidden=8)
    frame = {
        "camera": camera_record(CAMERA), "view": "PA", "pivot_mm": [1.0, 2.0, 3.0],
        "depth_mm": 700.0, "scale": list(SCALE),
    }  # fmt: skip
    config = {"network": dataclasses.asdict(sizes), "frame": frame, "calibration": 2.0}
    card = ModelCard(kind="pose-encoder", config=config, size_px=32, data_sha256="ab" * 32)
    save_checkpoint(folder, dataclasses.replace(card, **changes), PoseEncoder(sizes).state_dict())
    return folder


def bright_left(camera: Camera = CAMERA) -> Radiograph:
    image = torch.linspace(1.0, 0.0, camera.columns).expand(camera.rows, -1).clone()
    mask = torch.ones(image.shape, dtype=torch.bool)
    return Radiograph(image=image, mask=mask, camera=camera, name="x")


class LooksLeft:
    """Finds a shift by a unit, surely where the left is bright, and hardly where the right is."""

    def __call__(self, readings: Tensor) -> tuple[Tensor, Tensor]:
        left, right = readings[:, 0, :, :8].mean((1, 2)), readings[:, 0, :, -8:].mean((1, 2))
        numbers = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]).expand(len(readings), -1)
        return numbers, torch.where(left > right, -2.0, 0.0)[:, None].expand(-1, 6)


@pytest.fixture
def looks_left(tmp_path: Path) -> PoseEstimator:
    return dataclasses.replace(load_pose_estimator(encoder_folder(tmp_path)), network=LooksLeft())


def test_a_checkpoint_is_read_with_its_frame(tmp_path: Path) -> None:
    estimator = load_pose_estimator(encoder_folder(tmp_path))
    assert estimator.frame.camera == CAMERA
    assert estimator.frame.scale == SCALE
    assert estimator.calibration == 2.0
    upright, turned = estimator.estimates(bright_left(), CAMERA)
    assert not upright.turned
    assert turned.turned
    pivot = transform_points(upright.camera_from_ct, estimator.frame.pivot[None])[0]
    assert float(pivot[2]) == pytest.approx(700.0, abs=10.0)


def test_numbers_become_a_pose_and_deviations(looks_left: PoseEstimator) -> None:
    found = looks_left.estimate(bright_left(), CAMERA)
    pivot = transform_points(found.camera_from_ct, looks_left.frame.pivot[None])[0]
    torch.testing.assert_close(pivot, torch.tensor([40.0, 0.0, 700.0], dtype=torch.float64))
    deviations = 2.0 * 0.3678794 * torch.tensor(SCALE, dtype=torch.float64)
    torch.testing.assert_close(found.deviations, deviations, rtol=1e-5, atol=0.0)
    assert found.unsure == pytest.approx(2.0 * 0.3678794)
    assert not found.turned


def test_an_x_ray_upside_down_is_found_by_the_surer_reading(looks_left: PoseEstimator) -> None:
    radiograph = bright_left()
    stored = dataclasses.replace(radiograph, image=radiograph.image.flip(0, 1))
    found = looks_left.estimate(stored, CAMERA)
    assert found.turned
    pivot = transform_points(found.camera_from_ct, looks_left.frame.pivot[None])[0]
    torch.testing.assert_close(pivot, torch.tensor([-40.0, 0.0, 700.0], dtype=torch.float64))


def test_other_detectors_are_brought_to_the_one_learnt(looks_left: PoseEstimator) -> None:
    other = Camera(source_to_detector_mm=1200.0, rows=80, columns=90, pixel_spacing_mm=(4.0, 4.0))
    found = looks_left.estimate(bright_left(other), other)
    wanted = looks_left.estimate(bright_left(), CAMERA)
    torch.testing.assert_close(found.camera_from_ct, wanted.camera_from_ct)
    aside = dataclasses.replace(other, principal_point_px=(-200.0, 40.0))
    with pytest.raises(InputError, match=r"X-ray x must cover the field .* it covers 0% of it"):
        looks_left.estimate(bright_left(aside), aside)


def test_another_patient(looks_left: PoseEstimator, coarse: Volume) -> None:
    with pytest.raises(InputError, match="--other-patient tries it all the same"):
        looks_left.for_ct(PreparedCt(volume=coarse))
    card = dataclasses.replace(looks_left.card, data_sha256=ct_sha256(coarse))
    own = dataclasses.replace(looks_left, card=card)
    ct = PreparedCt(volume=coarse)
    assert own.for_ct(ct).frame == own.frame == own.for_ct(ct, other_patient=True).frame
    found = looks_left.for_ct(PreparedCt(volume=coarse), other_patient=True).estimate(
        bright_left(), CAMERA
    )
    labels = [value for value, name in coarse.label_names.items() if "femur" not in name]
    assert labels
    lies = transform_points(found.camera_from_ct, coarse.centre_mm[None])[0]
    assert float((lies - torch.tensor([40.0, 0.0, 700.0])).norm()) < 200.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "unet"}, "must be of the kind pose-encoder, got 'unet'"),
        ({"config": {}}, "has a config that is no pose-encoder's"),
    ],
)
def test_what_is_no_encoder(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_pose_estimator(encoder_folder(tmp_path, **changes))


def test_weights_of_another_size(tmp_path: Path) -> None:
    encoder_folder(tmp_path)
    card = read_sealed_json(tmp_path / CARD_FILE)
    card["config"]["network"]["width"] = 8
    write_sealed_json(tmp_path / CARD_FILE, card)
    with pytest.raises(InputError, match="does not fit its architecture"):
        load_pose_estimator(tmp_path)


def test_the_one_of_many_people_serves_any_ct(coarse: Volume) -> None:
    generic = load_pose_estimator(Path("generic"))
    assert generic.generic
    ready = generic.for_ct(PreparedCt(volume=coarse))
    assert ready.frame.pivot_mm != generic.frame.pivot_mm
    assert ready.frame.camera == generic.frame.camera


class SeesBright:
    """Finds how far right of a column the brightest one is, in units of the shift."""

    def __init__(self, column: float, unit_px: float) -> None:
        self.column, self.unit_px = column, unit_px

    def __call__(self, readings: Tensor) -> tuple[Tensor, Tensor]:
        columns = readings[:, 0].mean(dim=1).argmax(dim=1) - self.column
        numbers = torch.zeros(len(readings), 6)
        numbers[:, 3] = columns / self.unit_px
        return numbers, torch.zeros_like(numbers)


def test_both_half_turns_see_the_same_ray_of_a_camera_that_is_off_centre(
    looks_left: PoseEstimator,
) -> None:
    camera = dataclasses.replace(CAMERA, principal_point_px=(9.5, 15.5))
    radiograph = dataclasses.replace(bright_left(camera), image=torch.zeros(32, 32))
    radiograph.image[:, 12] = 1.0
    frame = dataclasses.replace(looks_left.frame, camera=camera)
    estimator = dataclasses.replace(
        looks_left, frame=frame, network=SeesBright(9.5, 40.0 * 1000.0 / 700.0 / 8.0)
    )
    for found in estimator.estimates(radiograph, camera):
        pivot = transform_points(found.camera_from_ct, frame.pivot[None])
        # The middle pose has the pivot on the optical axis.
        assert float(camera.project(pivot)[0, 0]) == pytest.approx(12.0, abs=0.1), found.turned


def test_an_encoder_of_others_needs_the_hips(looks_left: PoseEstimator, coarse: Volume) -> None:
    bare = PreparedCt(volume=dataclasses.replace(coarse, labels=None, label_names={}))
    with pytest.raises(InputError, match=r"needs the labels of both hip bones .* it has none"):
        looks_left.for_ct(bare, other_patient=True)


def test_a_folder_named_generic_is_not_taken_for_the_package_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "generic").mkdir()
    with pytest.raises(InputError, match="is the encoder that comes with wsreg, and a folder here"):
        load_pose_estimator(Path("./generic"))
