from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.calibration_file import read_rig
from wsreg.geometry.camera import Camera
from wsreg.geometry.intrinsics import decompose_projection
from wsreg.geometry.rig import Rig, RigView, orbit_rig
from wsreg.geometry.rig_file import for_xrays, how_matched, rig_record
from wsreg.geometry.rigid import exp_so3, rigid, transform_points

FRONT = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 700], [0, 0, 0, 1]]
SIDE = [[0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 600], [0, 0, 0, 1]]
CAMERA = {"source_to_detector_mm": 1000.0, "rows": 96, "columns": 128, "pixel_spacing_mm": [2, 2]}
OPENCV = {
    "name": "LAT",
    "K": [[500, 0, 63.5], [0, 400, 47.5], [0, 0, 1]],
    "R": [row[:3] for row in SIDE[:3]],
    "t": [0, 0, 600],
    "rows": 96,
    "columns": 128,
}
K = torch.tensor([[5200.0, 0.0, 700.0], [0.0, 5100.0, 300.5], [0.0, 0.0, 1.0]], dtype=torch.float64)
POSE = rigid(
    exp_so3(torch.tensor([0.4, -1.2, 0.7], dtype=torch.float64)),
    torch.tensor([12.0, -30.0, 650.0], dtype=torch.float64),
)
P = K @ POSE[:3]
MATRIX = {"name": "LAT", "P": P.tolist(), "rows": 512, "columns": 1024}


def write(folder: Path, *views: Any, **changed: Any) -> Path:
    path = folder / "rig.json"
    path.write_text(json.dumps({"views": list(views), "units": "mm", **changed}))
    return path


def first() -> dict[str, Any]:
    return {"name": "AP", "camera": CAMERA, "camera_from_rig": FRONT}


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in names}


def test_the_fields_are_the_views(tmp_path: Path) -> None:
    side = {"camera_from_rig": SIDE}
    rig = read_rig(write(tmp_path, first(), side))
    assert [view.name for view in rig.views] == ["AP", "view-2"]
    camera = Camera(source_to_detector_mm=1000, rows=96, columns=128, pixel_spacing_mm=(2, 2))
    assert [view.camera for view in rig.views] == [camera, None]
    for view, matrix in zip(rig.views, (FRONT, SIDE), strict=True):
        assert view.camera_from_rig.tolist() == matrix


def test_what_is_written_is_read_back(tmp_path: Path, camera: Camera) -> None:
    made = orbit_rig(camera, angle_rad=1.1, source_to_isocentre_mm=640.0, names=("a", "b"))
    bare = RigView(name="c", camera_from_rig=torch.tensor(FRONT))
    record = rig_record(Rig(views=(*made.views, bare)))
    assert set(record) == {"views", "units"}
    assert [set(view) for view in record["views"]] == [
        {"name", "camera", "camera_from_rig"},
        {"name", "camera", "camera_from_rig"},
        {"name", "camera_from_rig"},
    ]
    rig = read_rig(write(tmp_path, *record["views"]))
    for view, expected in zip(rig.views, (*made.views, bare), strict=True):
        assert (view.name, view.camera) == (expected.name, expected.camera)
        torch.testing.assert_close(
            view.camera_from_rig, expected.camera_from_rig, rtol=0.0, atol=1e-12
        )


@pytest.mark.parametrize("t", [[0, 0, 600], [[0], [0], [600]], [[0, 0, 600]]])
def test_opencvs_matrices_are_a_view(tmp_path: Path, t: Any) -> None:
    view = read_rig(write(tmp_path, first(), {**OPENCV, "t": t})).views[1]
    assert view.name == "LAT"
    assert view.camera_from_rig.tolist() == SIDE
    assert view.camera == Camera(
        source_to_detector_mm=1000.0,
        rows=96,
        columns=128,
        pixel_spacing_mm=(2.5, 2.0),
        principal_point_px=(63.5, 47.5),
    )
    # by hand: 30 mm along the rig's -z is 30 mm along the camera's -x, at depth 600
    point = torch.tensor([[0.0, 12.0, -30.0]], dtype=torch.float64)
    pixel = view.camera.project(transform_points(view.camera_from_rig, point))
    torch.testing.assert_close(pixel, torch.tensor([[38.5, 55.5]], dtype=torch.float64))


def test_distance_or_spacing_fixes_the_other(tmp_path: Path) -> None:
    by_distance = read_rig(write(tmp_path, {**OPENCV, "source_to_detector_mm": 1200})).views[0]
    assert by_distance.camera is not None
    assert by_distance.camera.source_to_detector_mm == 1200.0
    assert by_distance.camera.pixel_spacing_mm == (3.0, 2.4)
    by_spacing = read_rig(write(tmp_path, {**OPENCV, "pixel_spacing_mm": [3.0, 2.4]})).views[0]
    assert by_spacing.camera is not None
    assert by_spacing.camera.source_to_detector_mm == pytest.approx(1200.0)
    assert by_spacing.camera.pixel_spacing_mm == pytest.approx((3.0, 2.4))


def looking_at_origin(depth_mm: float, degrees: float) -> Tensor:
    turn = exp_so3(torch.tensor([0.0, math.radians(degrees), 0.0], dtype=torch.float64))
    return rigid(turn, torch.tensor([0.0, 0.0, depth_mm], dtype=torch.float64))


def matrix_of(pose: Tensor, name: str) -> dict[str, Any]:
    return {"name": name, "P": (K @ pose[:3]).tolist(), "rows": 601, "columns": 1400}


def test_a_nominal_detector_lies_beyond_where_the_axes_meet(tmp_path: Path) -> None:
    """They meet 1050 and 1400 mm from the sources: 1400 is 0.7 of 2000.  K's middle is the axis."""
    poses = [looking_at_origin(1050.0, 0.0), looking_at_origin(1400.0, 80.0)]
    middle = K.clone()
    middle[:2, 2] = torch.tensor([699.5, 300.0])
    entries = [
        {**matrix_of(pose, name), "P": (middle @ pose[:3]).tolist()}
        for pose, name in zip(poses, "ab", strict=True)
    ]
    views = read_rig(write(tmp_path, *entries)).views
    for view, pose in zip(views, poses, strict=True):
        assert view.camera is not None
        assert view.camera.source_to_detector_mm == pytest.approx(2000.0)
        assert view.camera.pixel_spacing_mm == pytest.approx((2000 / 5100, 2000 / 5200))
        torch.testing.assert_close(view.camera.intrinsic_matrix, middle, rtol=1e-10, atol=1e-8)
        torch.testing.assert_close(view.camera_from_rig, pose, rtol=1e-10, atol=1e-8)
    given = {**entries[0], "source_to_detector_mm": 1500.0}
    first, second = (view.camera for view in read_rig(write(tmp_path, given, entries[1])).views)
    assert first is not None
    assert second is not None
    assert first.source_to_detector_mm == 1500.0, "what is given is left as it is"
    assert second.source_to_detector_mm == pytest.approx(2000.0)


@pytest.mark.parametrize(
    "poses",
    [
        [looking_at_origin(650.0, 0.0), looking_at_origin(690.0, 80.0)],
        [looking_at_origin(1400.0, 0.0)],
        [looking_at_origin(1400.0, 0.0), looking_at_origin(1500.0, 180.0)],
    ],
    ids=["nearer", "one", "opposite"],
)
def test_a_nominal_distance_is_1000_mm_where_nothing_asks_for_more(
    tmp_path: Path, poses: list[Tensor]
) -> None:
    """K's axis is half a pixel beside the middle of the image, which shifts nothing much."""
    views = read_rig(write(tmp_path, *(matrix_of(p, f"v{i}") for i, p in enumerate(poses)))).views
    cameras = [view.camera for view in views]
    assert [camera and camera.source_to_detector_mm for camera in cameras] == [1000.0] * len(poses)


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.003, -250.0])
def test_a_projection_matrix_gives_back_what_it_was_made_of(scale: float) -> None:
    intrinsic, pose = decompose_projection(scale * P)
    torch.testing.assert_close(intrinsic, K, rtol=1e-10, atol=1e-8)
    torch.testing.assert_close(pose, POSE, rtol=1e-10, atol=1e-9)
    assert float(torch.linalg.det(pose[:3, :3])) == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [1.0, -2.0])
def test_a_view_of_a_projection_matrix_projects_as_it(tmp_path: Path, scale: float) -> None:
    entry = {**MATRIX, "P": (scale * P).tolist(), "source_to_detector_mm": 1100.0}
    view = read_rig(write(tmp_path, entry)).views[0]
    assert view.camera is not None
    assert view.camera.source_to_detector_mm == 1100.0
    assert (view.camera.rows, view.camera.columns) == (512, 1024)
    points = torch.tensor([[0.0, 0.0, 0.0], [50.0, -20.0, 70.0]], dtype=torch.float64)
    seen = view.camera.project(transform_points(view.camera_from_rig, points))
    homogeneous = torch.cat((points, torch.ones(2, 1, dtype=torch.float64)), dim=1) @ P.T
    torch.testing.assert_close(seen, homogeneous[:, :2] / homogeneous[:, 2:])


def mirrored(pose: list[list[int]]) -> list[list[float]]:
    """P of a camera whose image is stored left side right."""
    matrix: Tensor = K @ torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    product: list[list[float]] = (matrix @ torch.tensor(pose[:3], dtype=torch.float64)).tolist()
    return product


def test_mirrored_projection_matrices_are_refused(tmp_path: Path) -> None:
    views = [{"P": mirrored(pose), "rows": 512, "columns": 1024} for pose in (FRONT, SIDE)]
    with pytest.raises(InputError, match=r"meet 700 mm behind the source of 'view-1'"):
        read_rig(write(tmp_path, *views))


def test_skew_within_rounding_is_dropped_and_more_is_refused(tmp_path: Path) -> None:
    for skew in (0.5, -0.5):
        matrix = K.clone()
        matrix[0, 1] = skew
        view = read_rig(write(tmp_path, {**MATRIX, "P": (matrix @ POSE[:3]).tolist()})).views[0]
        assert view.camera is not None
        torch.testing.assert_close(view.camera.intrinsic_matrix, K, rtol=1e-10, atol=1e-8)
        matrix[0, 1] = 2 * skew
        with pytest.raises(
            InputError, match=rf"'LAT' must have pixel rows .* skew of {2 * skew:g}"
        ):
            read_rig(write(tmp_path, {**MATRIX, "P": (matrix @ POSE[:3]).tolist()}))


BAD: list[tuple[Any, str]] = [
    ("AP", "rig views must hold JSON objects, got str"),
    ({"name": "AP"}, "rig view 'AP' lacks camera_from_rig"),
    ({}, "rig view 'view-1' lacks camera_from_rig"),
    ({**first(), "pose": 1}, "rig view 'AP' has unknown fields pose; known are camera_from_rig, "),
    ({**first(), "name": 5}, "rig view name must be a text that is not empty, got 5"),
    ({**first(), "camera": {"rows": 3}}, "camera of rig view 'AP' lacks source_to_detector_mm, "),
    ({**first(), "camera": 5}, "camera of rig view 'AP' must hold a JSON object, got int"),
    (
        {**first(), "camera": {**CAMERA, "rows": 0}},
        "camera of rig view 'AP': camera rows must be a whole number of at least 1, got 0",
    ),
    (
        {**first(), "camera_from_rig": FRONT[:3]},
        "rig view 'AP' camera_from_rig must be 4 x 4 finite numbers, got [[1, 0, ",
    ),
    ({**first(), "camera_from_rig": [[10**400] * 4] * 4}, "must be 4 x 4 finite numbers"),
    (
        {**first(), "camera_from_rig": [[2, 0, 0, 0], *FRONT[1:]]},
        "rig view 'AP' camera_from_rig must be rigid, but its 3x3 part is no rotation (determinant",
    ),
    (without(OPENCV, "R", "rows"), "rig view 'LAT' lacks R, rows"),
    ({**OPENCV, "camera": CAMERA}, "rig view 'LAT' has unknown fields camera; known are K, R, t, "),
    ({**OPENCV, "t": [0, 0]}, "rig view 'LAT' t must be 3 finite numbers, got [0, 0]"),
    (
        {**OPENCV, "t": [0, 0, math.nan]},
        "rig view 'LAT' t must be 3 finite numbers, got [0, 0, nan]",
    ),
    ({**OPENCV, "K": "K"}, "rig view 'LAT' K must be 3 x 3 finite numbers, got 'K'"),
    ({**OPENCV, "K": [[5, 0, 1], [1, 5, 1], [0, 0, 1]]}, "'LAT': OpenCV K must be [[fx, 0, cx], "),
    (
        {**OPENCV, "K": [[-5, 0, 1], [0, 5, 1], [0, 0, 1]]},
        "rig view 'LAT': OpenCV K must have positive focal lengths, got -5.0 and 5.0",
    ),
    (
        {**OPENCV, "K": [[500, 3, 1], [0, 500, 1], [0, 0, 1]]},
        "rig view 'LAT' must have pixel rows and columns at right angles, got a skew of 3 with",
    ),
    ({**OPENCV, "R": torch.eye(3).flip(0).tolist()}, "'LAT' camera_from_rig must be rigid"),
    (
        {**OPENCV, "pixel_spacing_mm": [2, 2], "source_to_detector_mm": 1000},
        "rig view 'LAT' must have pixel_spacing_mm or source_to_detector_mm, not both",
    ),
    (
        {**OPENCV, "pixel_spacing_mm": [2, 2]},
        "must give one source-to-detector distance with K, got 1000.0 mm by columns and 800.0 mm",
    ),
    ({**OPENCV, "source_to_detector_mm": "1000"}, "source_to_detector_mm must be positive"),
    ({**OPENCV, "pixel_spacing_mm": 2}, "'LAT': camera pixel_spacing_mm must be two positive"),
    ({**OPENCV, "columns": 12.5}, "'LAT': camera columns must be a whole number"),
    ({**MATRIX, "P": K.tolist()}, "rig view 'LAT' P must be 3 x 4 finite numbers"),
    ({**MATRIX, "P": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]}, "'LAT': P must be of a point so"),
    (without(MATRIX, "columns"), "rig view 'LAT' lacks columns"),
    ({**MATRIX, "K": K.tolist()}, "rig view 'LAT' has unknown fields K; known are P, rows, "),
]


@pytest.mark.parametrize(("entry", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_view_is_named_with_its_file(tmp_path: Path, entry: Any, message: str) -> None:
    path = write(tmp_path, entry)
    with pytest.raises(InputError) as caught:
        read_rig(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"units": "m"}, "rig.json: units must be 'mm', got 'm'"),
        ({"views": {"AP": 1}}, "rig.json: views must be a list, got dict"),
        ({"views": []}, "rig.json: rig must have at least one view, got none"),
        ({"views": [first(), first()]}, "names of their own, got AP repeatedly"),
        ({"frame": "LPS"}, "rig.json has unknown fields frame; known are views, units"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rig(write(tmp_path, first(), **changed))
    assert message in str(caught.value)


def test_units_are_required(tmp_path: Path) -> None:
    path = tmp_path / "rig.json"
    path.write_text(json.dumps({"views": [first()]}))
    with pytest.raises(InputError, match=r"rig\.json lacks units"):
        read_rig(path)


def test_metres_are_refused(tmp_path: Path) -> None:
    views = [{**OPENCV, "t": [0, 0, 0.6]}, {**first(), "camera_from_rig": torch.eye(4).tolist()}]
    with pytest.raises(InputError, match=r"rig\.json: rig camera_from_rig must .* millimetres"):
        read_rig(write(tmp_path, *views))


def three() -> Rig:
    views = [
        RigView(name=name, camera_from_rig=torch.tensor(FRONT)) for name in ("AP", "LAT", "OBL")
    ]
    return Rig(views=tuple(views))


@pytest.mark.parametrize(
    ("names", "views"),
    [
        (["LAT", "OBL", "AP"], ["LAT", "OBL", "AP"]),
        (["a", "b", "a"], ["AP", "LAT", "OBL"]),
        (["a", "LAT", "b"], ["AP", "LAT", "OBL"]),
        (["lat", "Obl", "ap"], ["LAT", "OBL", "AP"]),
    ],
)
def test_views_go_to_x_rays_by_name_or_in_order(names: list[str], views: list[str]) -> None:
    assert [view.name for view in for_xrays(three(), names).views] == views


def test_x_rays_and_views_must_be_as_many() -> None:
    with pytest.raises(InputError, match="one view for each X-ray, got 3 views and 2 X-rays"):
        for_xrays(three(), ["AP", "LAT"])
    one = Rig(views=three().views[:1])
    with pytest.raises(InputError, match=r"got 1 view and 0 X-rays$"):
        for_xrays(one, [])
    with pytest.raises(InputError, match=r"got 3 views and 1 X-ray$"):
        for_xrays(three(), ["AP"])


def test_how_x_rays_were_matched_is_a_sentence() -> None:
    by_name, in_order = ["lat", "ap", "OBL"], ["a", "LAT", "b"]
    assert how_matched(for_xrays(three(), by_name), by_name) == (
        "X-rays are the rig's views LAT, AP and OBL, by name."
    )
    assert how_matched(for_xrays(three(), in_order), in_order) == (
        "X-rays are the rig's views AP, LAT and OBL, in their order, for their files have other "
        "names."
    )


@pytest.mark.parametrize(
    ("names", "got"),
    [(["LAT", "a", "b"], "LAT"), (["AP", "LAT", "AP"], "AP"), (["lat", "a", "b"], "lat")],
)
def test_a_views_name_in_the_place_of_another_is_refused(names: list[str], got: str) -> None:
    with pytest.raises(InputError, match=f"got '{got}' in the place of view"):
        for_xrays(three(), names)
