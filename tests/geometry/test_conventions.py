from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.conventions import (
    camera_from_ct_from_deepfluoro,
    camera_from_ct_from_opencv,
    camera_from_deepfluoro,
    camera_from_opencv,
    deepfluoro_from_camera,
    deepfluoro_from_camera_from_ct,
    image_from_deepfluoro,
    opencv_from_camera_from_ct,
    pixels_from_deepfluoro,
)
from wsreg.geometry.rigid import exp_so3, inverse_rigid, rigid, transform_points

FOCAL_LENGTH_PX = 1020 / 0.194
INTRINSIC = torch.tensor(
    [[-FOCAL_LENGTH_PX, 0, 767.5], [0, -FOCAL_LENGTH_PX, 760.0], [0, 0, 1]], dtype=torch.float64
)
SIZE = {"rows": 1500, "columns": 1536}
BOTH_WAYS_UP = pytest.mark.parametrize("rot_180_for_up", [False, True])


def matrix(rotation_vector: list[float], translation: list[float]) -> Tensor:
    w, t = (torch.tensor(v, dtype=torch.float64) for v in (rotation_vector, translation))
    return rigid(exp_so3(w), t)


EXTRINSIC = matrix([0.1, -3.0, 0.3], [-4.0, -2.7, -632.0])
CAM_TO_VOL = matrix([-1.2, 0.4, 2.0], [30.0, -50.0, 120.0])


def our_camera(rot_180_for_up: bool) -> Camera:
    return camera_from_deepfluoro(
        INTRINSIC, **SIZE, pixel_spacing_mm=(0.194, 0.194), rot_180_for_up=rot_180_for_up
    )


@BOTH_WAYS_UP
def test_deepfluoro_landmarks_project_to_their_pixels_in_our_image(rot_180_for_up: bool) -> None:
    projective = torch.tensor([[0.0, 0.0, -700.0], [60.0, -20.0, -650.0]], dtype=torch.float64)
    homogeneous = projective @ INTRINSIC.T
    theirs = homogeneous[:, :2] / homogeneous[:, 2:]
    landmarks = transform_points(CAM_TO_VOL @ inverse_rigid(EXTRINSIC), projective)

    pose = camera_from_ct_from_deepfluoro(EXTRINSIC, CAM_TO_VOL, rot_180_for_up=rot_180_for_up)
    seen = transform_points(pose, landmarks)
    ours = pixels_from_deepfluoro(theirs, **SIZE, rot_180_for_up=rot_180_for_up)
    torch.testing.assert_close(our_camera(rot_180_for_up).project(seen), ours)
    torch.testing.assert_close(seen[:, 2], torch.tensor([700.0, 650.0], dtype=torch.float64))
    assert float(torch.linalg.det(pose[:3, :3])) == pytest.approx(1.0)


def test_deepfluoro_intrinsic_signs_known_by_hand() -> None:
    # In front of the source z < 0; with -f, increasing x must give increasing columns.
    point = INTRINSIC @ torch.tensor([10.0, 0.0, -700.0], dtype=torch.float64)
    assert float(point[0] / point[2]) > 767.5
    camera = our_camera(False)
    assert camera.source_to_detector_mm == pytest.approx(1020.0)
    assert camera.centre_px == pytest.approx((767.5, 760.0))
    assert our_camera(True).centre_px == pytest.approx((767.5, 739.0))


@BOTH_WAYS_UP
def test_image_and_pixels_move_together(rot_180_for_up: bool) -> None:
    image = torch.zeros(4, 6)
    image[1, 2] = 1.0
    flipped = image_from_deepfluoro(image, rot_180_for_up=rot_180_for_up)
    pixel = pixels_from_deepfluoro(
        torch.tensor([2, 1]), rows=4, columns=6, rot_180_for_up=rot_180_for_up
    )
    column, row = pixel.tolist()
    assert (column, row) == ((2, 2) if rot_180_for_up else (3, 1))
    assert flipped[row, column] == 1.0
    back = image_from_deepfluoro(flipped, rot_180_for_up=rot_180_for_up)
    assert torch.equal(back, image)


def test_the_half_turn_for_up_is_a_half_turn_in_the_image_plane() -> None:
    upright, turned = (
        camera_from_ct_from_deepfluoro(EXTRINSIC, CAM_TO_VOL, rot_180_for_up=up)
        for up in (False, True)
    )
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(turned, half_turn @ upright)
    image = torch.arange(24.0).reshape(4, 6)
    torch.testing.assert_close(
        image_from_deepfluoro(image, rot_180_for_up=True),
        torch.rot90(image_from_deepfluoro(image, rot_180_for_up=False), 2),
    )


@BOTH_WAYS_UP
def test_deepfluoro_poses_and_cameras_come_back(rot_180_for_up: bool) -> None:
    pose = camera_from_ct_from_deepfluoro(EXTRINSIC, CAM_TO_VOL, rot_180_for_up=rot_180_for_up)
    back = deepfluoro_from_camera_from_ct(pose, EXTRINSIC, rot_180_for_up=rot_180_for_up)
    torch.testing.assert_close(back, CAM_TO_VOL)
    camera = our_camera(rot_180_for_up)
    intrinsic = deepfluoro_from_camera(camera, rot_180_for_up=rot_180_for_up)
    torch.testing.assert_close(intrinsic, INTRINSIC)


def test_single_precision_files_give_double_poses() -> None:
    pose = camera_from_ct_from_deepfluoro(
        EXTRINSIC.float(), CAM_TO_VOL.float()[None], rot_180_for_up=False
    )
    assert pose.dtype == torch.float64
    assert pose.shape == (1, 4, 4)


def test_opencv_projects_like_our_camera(camera: Camera) -> None:
    rvec = torch.tensor([0.1, 0.2, -0.3], dtype=torch.float64)
    tvec = torch.tensor([5.0, -6.0, 700.0], dtype=torch.float64)
    K = torch.tensor([[1000.0, 0, 90], [0, 500, 60], [0, 0, 1]], dtype=torch.float64)
    point = torch.tensor([20.0, 30.0, -40.0], dtype=torch.float64)
    homogeneous = K @ (exp_so3(rvec) @ point + tvec)

    same = camera_from_opencv(K, rows=100, columns=200, source_to_detector_mm=1000.0)
    assert same == camera
    pose = camera_from_ct_from_opencv(rvec, tvec)
    ours = same.project(transform_points(pose, point[None]))[0]
    torch.testing.assert_close(ours, homogeneous[:2] / homogeneous[2])


def test_opencv_poses_and_cameras_come_back(camera: Camera) -> None:
    rvec = torch.tensor([[0.1, 0.2, -0.3], [0.0, 0.0, 0.0]], dtype=torch.float64)
    tvec = torch.tensor([[5.0, -6.0, 700.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    back = opencv_from_camera_from_ct(camera_from_ct_from_opencv(rvec, tvec))
    torch.testing.assert_close(back, (rvec, tvec))
    same = camera_from_opencv(
        camera.intrinsic_matrix, rows=100, columns=200, source_to_detector_mm=1000.0
    )
    assert same == camera


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({(0, 0): FOCAL_LENGTH_PX}, "negative focal lengths"),
        ({(0, 1): 3.0}, "fx, 0, cx"),
        ({(2, 2): 2.0}, "fx, 0, cx"),
        ({(1, 1): -4000.0}, "one source-to-detector distance"),
        ({(1, 1): float("nan")}, "negative focal lengths"),
    ],
)
def test_what_is_no_deepfluoro_intrinsic(
    changed: dict[tuple[int, int], float], message: str
) -> None:
    intrinsic = INTRINSIC.clone()
    for index, value in changed.items():
        intrinsic[index] = value
    with pytest.raises(InputError, match=message):
        camera_from_deepfluoro(
            intrinsic, **SIZE, pixel_spacing_mm=(0.194, 0.194), rot_180_for_up=False
        )


@pytest.mark.parametrize("K", [torch.eye(4), torch.diag(torch.tensor([-1.0, -1.0, 1.0]))])
def test_what_is_no_opencv_matrix(K: Tensor) -> None:
    with pytest.raises(InputError, match="OpenCV K must"):
        camera_from_opencv(K, rows=10, columns=10, source_to_detector_mm=1000.0)
