"""Python's comfort: arrays and lists for tensors, names for labels, and what a person reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import wsreg
from wsreg.errors import InputError
from wsreg.geometry.rigid import perturb
from wsreg.volumes.phantom import analytic_phantom

VOLUME = analytic_phantom()
FORMS: list[Any] = [lambda tensor: tensor.numpy(), lambda tensor: tensor.tolist()]
# What types say is a tensor may be an array.
MAKE_VOLUME: Any = wsreg.Volume
MAKE_RADIOGRAPH: Any = wsreg.Radiograph
MAKE_TARGET: Any = wsreg.RoiTarget
CAMERA = wsreg.Camera(source_to_detector_mm=1020, rows=48, columns=64, pixel_spacing_mm=(6, 5))
POSE = wsreg.view_pose(VOLUME, CAMERA, "PA")
IMAGE = wsreg.render(VOLUME, CAMERA, POSE)
NAMES = {name: value for value, name in VOLUME.label_names.items()}


@pytest.mark.parametrize("form", FORMS)
def test_render_takes_arrays_and_lists(form: Any) -> None:
    assert torch.equal(wsreg.render(VOLUME, CAMERA, form(POSE)), IMAGE)
    both = wsreg.render(VOLUME, CAMERA, form(torch.stack((POSE, POSE))))
    assert torch.equal(both[1:], IMAGE)
    pivot = form(VOLUME.centre_mm)
    expected = wsreg.render_with_jacobian(VOLUME, CAMERA, POSE, pivot_mm=VOLUME.centre_mm)[1]
    found = wsreg.render_with_jacobian(VOLUME, CAMERA, form(POSE), pivot_mm=pivot)[1]
    assert torch.equal(found, expected)


def test_render_takes_names_of_labels() -> None:
    by_name = wsreg.render(VOLUME, CAMERA, POSE, rois=("hip_left", ("hip_right", "sacrum")))
    values = (NAMES["hip_left"], (NAMES["hip_right"], NAMES["sacrum"]))
    assert torch.equal(by_name, wsreg.render(VOLUME, CAMERA, POSE, rois=values))
    with pytest.raises(InputError, match=r"rois must name labels of the CT .* got 'hip_middle'"):
        wsreg.render(VOLUME, CAMERA, POSE, rois=("hip_middle",))


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.diag([2.0, 2, 2, 1]), "it scales by 2"),
        (np.diag([-1.0, 1, 1, 1]), "it mirrors"),
        ("pose.json", "must be a 4x4 matrix of numbers, got 'pose.json'"),
        (np.eye(3), "must be"),
    ],
)
def test_render_refuses_what_is_no_rigid_pose(matrix: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        wsreg.render(VOLUME, CAMERA, matrix)
    with pytest.raises(InputError, match=said):
        wsreg.render_with_jacobian(VOLUME, CAMERA, matrix)


def test_render_refuses_one_bad_pose_of_several() -> None:
    sheared = POSE.clone()
    sheared[0, :3] += 0.1
    with pytest.raises(InputError, match="camera_from_ct must be rigid"):
        wsreg.render(VOLUME, CAMERA, torch.stack((POSE, sheared)))


def radiograph(image: Any) -> wsreg.Radiograph:
    mask: Any = np.ones((48, 64))
    return wsreg.Radiograph(image=image, mask=mask, camera=CAMERA)


def test_register_takes_arrays_lists_and_names() -> None:
    start = perturb(
        POSE, torch.tensor([0.02, 0, 0, 3.0, -2.0, 4.0], dtype=torch.float64), VOLUME.centre_mm
    )
    xray = wsreg.Radiograph(
        image=IMAGE[0, 0], mask=torch.ones(48, 64, dtype=torch.bool), camera=CAMERA
    )
    how: Any = {"view": "PA", "bodies": None}
    expected = wsreg.register(xray, VOLUME, init=start, pivot_mm=VOLUME.centre_mm, **how)
    for form in FORMS:
        found = wsreg.register(
            radiograph(form(IMAGE[0, 0])), VOLUME, init=form(start),
            pivot_mm=form(VOLUME.centre_mm), **how,
        )  # fmt: skip
        assert torch.equal(found.camera_from_ct, expected.camera_from_ct)
    by_name = wsreg.register(xray, VOLUME, init=start, render_labels=("hip_left", "sacrum"))
    assert by_name.config["render_labels"] == sorted((NAMES["hip_left"], NAMES["sacrum"]))
    single = wsreg.register(xray, VOLUME, init=start, render_labels="hip_left")
    assert single.bodies["ct"].labels == (NAMES["hip_left"],)


def test_regions_may_name_their_labels() -> None:
    masks = wsreg.render(VOLUME, CAMERA, POSE, rois=("hip_left",), attenuation=False)[0] > 0
    by_name, by_value = (
        MAKE_TARGET(names=("hip",), masks=masks.float(), labels=((label,),))
        for label in ("hip_left", NAMES["hip_left"])
    )
    found = [
        wsreg.register(radiograph(IMAGE[0, 0]), VOLUME, init=POSE, rois=rois).camera_from_ct
        for rois in (by_name, by_value)
    ]
    assert torch.equal(*found)
    wrong = MAKE_TARGET(names=("hip",), masks=masks.float(), labels=(("hop",),))
    with pytest.raises(InputError, match="ROI hip must name labels of the CT"):
        wsreg.register(radiograph(IMAGE[0, 0]), VOLUME, init=POSE, rois=wrong)


def test_volumes_and_radiographs_take_arrays() -> None:
    hu = np.array([[[-1000, 0], [40, 300]]])
    volume = MAKE_VOLUME(hu=hu, ct_from_voxel=np.eye(4), labels=np.array([[[0, 1], [2, 3]]]))
    assert (volume.hu.dtype, volume.hu.tolist()) == (torch.int16, hu.tolist())
    assert volume.labels is not None
    assert volume.labels.dtype == torch.int16
    floats = MAKE_VOLUME(hu=hu + 0.5, ct_from_voxel=np.eye(4))
    assert floats.hu.dtype == torch.float32
    xray = MAKE_RADIOGRAPH(image=[[1, 2], [3, 4]], mask=[[1, 0], [1, 1]])
    assert (xray.image.dtype, xray.mask.tolist()) == (torch.float32, [[True, False], [True, True]])


def test_what_is_printed_is_short_and_holds_no_tensors() -> None:
    xray = radiograph(IMAGE[0, 0])
    result = wsreg.register(xray, VOLUME, init=POSE)
    assert repr(CAMERA) == (
        "Camera(48 rows x 64 columns, pixels 6 x 5 mm, source to detector 1020 mm, principal "
        "point column 31.5, row 23.5)"
    )
    assert repr(xray).startswith("Radiograph(xray, 48 rows x 64 columns, 0% masked, Camera(")
    assert repr(result).startswith(f"RegistrationResult({result.verdict.status}: ")
    assert repr(result.verdict).startswith(f"Verdict({result.verdict.status}: ")
    for thing in (VOLUME, xray, result, result.bodies, result.views, result.comparison):
        assert "tensor" not in repr(thing)
        assert len(repr(thing)) < 700


def test_a_result_is_plain_values(tmp_path: Any) -> None:
    result = wsreg.register(radiograph(IMAGE[0, 0]), VOLUME, init=POSE)
    content = result.to_dict()
    assert content["camera_from_ct"] == result.camera_from_ct.tolist()
    wsreg.write_result(result, tmp_path, inputs={})
    written = wsreg.read_result(tmp_path)
    assert written == wsreg.read_result(tmp_path / "result.json")
    assert {name: written[name] for name in content} == content | {"config": written["config"]}
