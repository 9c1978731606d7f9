from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from wsreg.cohort.exposure import (
    Acquisition,
    acquisition_from_record,
    acquisition_to_record,
    expose,
    sample_acquisition,
)
from wsreg.cohort.presets import PRESETS
from wsreg.geometry.carm import angles_of_rotation
from wsreg.specimens.specimen import Specimen

CAMERA = PRESETS["tiny"].camera


@pytest.fixture(scope="module")
def acquisition(specimen: Specimen) -> Acquisition:
    return sample_acquisition(specimen, CAMERA, np.random.default_rng(5))


def test_a_record_replays_the_image(specimen: Specimen, acquisition: Acquisition) -> None:
    again = acquisition_from_record(json.loads(json.dumps(acquisition_to_record(acquisition))))
    first, second = (expose(specimen, CAMERA, c) for c in (acquisition, again))
    assert torch.equal(first.transmission, second.transmission)
    assert torch.equal(first.labels, second.labels)


def test_a_record_spells_poses_as_files_already_written_do(acquisition: Acquisition) -> None:
    record = acquisition_to_record(acquisition)
    assert set(record) == {
        "camera_from_ct", "camera_from_left_femur", "camera_from_right_femur",
        "camera_from_tissue", "rot_180_for_up", "parameters", "seed",
    }  # fmt: skip
    again = acquisition_from_record({**record, "camera_from_left_femur": torch.eye(4).tolist()})
    assert again.poses["left-femur"].equal(torch.eye(4, dtype=torch.float64))
    assert again.poses["right-femur"].equal(acquisition.poses["right-femur"])
    assert again.camera_from_ct.equal(acquisition.poses["pelvis"])


def test_the_same_generator_draws_the_same(specimen: Specimen) -> None:
    records = [
        acquisition_to_record(sample_acquisition(specimen, CAMERA, np.random.default_rng(9)))
        for _ in range(2)
    ]
    assert records[0] == records[1]


def test_poses_are_those_of_a_c_arm_around_the_pelvis(specimen: Specimen) -> None:
    heads = torch.from_numpy(
        0.5 * (specimen.anatomy.landmarks_mm["FH-l"] + specimen.anatomy.landmarks_mm["FH-r"])
    )
    for seed in range(30):
        c = sample_acquisition(specimen, CAMERA, np.random.default_rng(seed))
        angles, roll = angles_of_rotation(c.camera_from_ct[:3, :3])
        assert abs(np.degrees(angles.primary_rad)) <= 50.1
        assert abs(np.degrees(angles.secondary_rad)) <= 32.1
        assert abs(np.degrees(roll)) <= 15.1
        x, y, z = (c.camera_from_ct[:3, :3] @ heads + c.camera_from_ct[:3, 3]).tolist()
        assert 550.0 < z < 900.0
        assert abs(x) < 150.0
        assert abs(y) < 150.0


def test_femurs_turn_about_their_heads(specimen: Specimen, acquisition: Acquisition) -> None:
    for head, femur in (("FH-l", "left-femur"), ("FH-r", "right-femur")):
        pose = acquisition.poses[femur]
        point = torch.from_numpy(np.append(specimen.anatomy.landmarks_mm[head], 1.0))
        torch.testing.assert_close(pose @ point, acquisition.camera_from_ct @ point)
        assert not torch.allclose(pose[:3, :3], acquisition.camera_from_ct[:3, :3], atol=1e-3)


def test_bone_is_darker_than_its_surroundings_and_air_is_bright(
    specimen: Specimen, acquisition: Acquisition
) -> None:
    exposure = expose(specimen, CAMERA, acquisition)
    labels = exposure.labels
    attenuation = -torch.log(exposure.transmission.clamp(min=1e-4))
    inner = torch.zeros_like(labels, dtype=torch.bool)
    inner[10:-10, 10:-10] = True
    femur = ((labels == 5) | (labels == 6)) & inner
    assert femur.any()
    # a femur stands out from the soft tissue around it
    near = torch.nn.functional.max_pool2d(femur[None, None].float(), 9, 1, 4)[0, 0] > 0
    around = near & (labels == 0) & inner
    assert attenuation[femur].median() > attenuation[around].median()


def test_landmarks_are_projected_with_the_pelvis(
    specimen: Specimen, acquisition: Acquisition
) -> None:
    exposure = expose(specimen, CAMERA, acquisition)
    point = torch.from_numpy(specimen.anatomy.landmarks_mm["SPS-l"])
    x, y, z = (
        acquisition.camera_from_ct[:3, :3] @ point + acquisition.camera_from_ct[:3, 3]
    ).tolist()
    pixel_mm = CAMERA.pixel_spacing_mm[0]
    expected = [47.5 + x / z * 1020.0 / pixel_mm, 47.5 + y / z * 1020.0 / pixel_mm]
    assert exposure.landmarks_px["SPS-l"].tolist() == pytest.approx(expected)
