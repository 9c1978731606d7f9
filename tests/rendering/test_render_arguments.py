"""What ``render`` refuses because it can only be meant otherwise."""

from __future__ import annotations

import pytest
import torch

from wsreg import Camera, Volume, prepare, render, render_with_jacobian, view_pose
from wsreg.errors import InputError
from wsreg.geometry.rigid import inverse_rigid


@pytest.mark.parametrize("view", ["PA", "AP", "RLAT"])
def test_an_inverse_pose_is_refused_alone_and_in_a_batch(
    noisy_volume: Volume, camera: Camera, view: str
) -> None:
    good = view_pose(noisy_volume, camera, view)
    inverse = inverse_rigid(good)
    for poses in (inverse, torch.stack([good, inverse])):
        with pytest.raises(InputError, match="its inverse does, is it ct_from_camera"):
            render(noisy_volume, camera, poses)
        with pytest.raises(InputError, match="its inverse does, is it ct_from_camera"):
            render_with_jacobian(noisy_volume, camera, poses)
    assert float(render(noisy_volume, camera, good).max()) > 0
    assert render(noisy_volume, camera, inverse, any_pose=True).shape[0] == 1


def test_a_pose_in_metres_is_refused(noisy_volume: Volume, camera: Camera) -> None:
    metres = view_pose(noisy_volume, camera, "LAT")
    metres[:3, 3] /= 1000.0
    with pytest.raises(InputError, match="looks like metres"):
        render(noisy_volume, camera, metres)


def test_other_kinds_of_arguments_are_named(noisy_volume: Volume, camera: Camera) -> None:
    pose = view_pose(noisy_volume, camera)
    with pytest.raises(InputError, match=r"volume must be a Volume or PreparedVolume .* got str"):
        render("ct.nii.gz", camera, pose)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"camera must be a Camera .* got dict"):
        render(noisy_volume, {"rows": 3}, pose)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"volume must be a Volume \(.*\), got str"):
        view_pose("PA", noisy_volume)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="view must be one of PA, AP, LAT, RLAT, got 3"):
        view_pose(noisy_volume, camera, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="volume must be a Volume"):
        prepare("ct.nii.gz")  # type: ignore[arg-type]
