from __future__ import annotations

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.intrinsics import opencv_camera
from wsreg.radiographs.camera_sources import CameraOverrides, resolve_camera

Header = dict[str, float | tuple[float, float]]
SHAPE = (40, 50)
FILE = Camera(
    source_to_detector_mm=1000.0,
    rows=40,
    columns=50,
    pixel_spacing_mm=(0.5, 0.5),
    principal_point_px=(20.0, 21.0),
)


def test_header_alone_with_the_image_centre() -> None:
    header: Header = {"source_to_detector_mm": 980.0, "pixel_spacing_mm": (0.2, 0.3)}
    camera, notes = resolve_camera(SHAPE, header=header, overrides=None, camera=None)
    assert camera == Camera(
        source_to_detector_mm=980.0, rows=40, columns=50, pixel_spacing_mm=(0.2, 0.3)
    )
    assert camera.centre_px == (24.5, 19.5)
    assert any("principal_point_px" in note and "image centre" in note for note in notes)


def test_flags_and_file_fill_what_is_absent() -> None:
    camera, notes = resolve_camera(
        SHAPE,
        header={"pixel_spacing_mm": (0.2, 0.3)},
        overrides=CameraOverrides(source_to_detector_mm=1100.0),
        camera=FILE,
    )
    assert camera is not None
    assert camera.pixel_spacing_mm == (0.2, 0.3)
    assert camera.source_to_detector_mm == 1100.0
    assert camera.centre_px == (20.0, 21.0)
    assert "pixel_spacing_mm (0.2, 0.3) comes from the header." in notes
    assert "source_to_detector_mm 1100.0 comes from a flag." in notes
    assert "principal_point_px (20.0, 21.0) comes from the camera file." in notes


def test_header_is_never_silently_overridden() -> None:
    header: Header = {"source_to_detector_mm": 980.0, "pixel_spacing_mm": (0.2, 0.3)}
    flag = CameraOverrides(source_to_detector_mm=1100.0)
    camera, notes = resolve_camera(SHAPE, header=header, overrides=flag, camera=None)
    assert camera is not None
    assert camera.source_to_detector_mm == 980.0
    conflict = [note for note in notes if "1100.0" in note]
    assert conflict == [
        "Kept source_to_detector_mm 980.0 from the header, not 1100.0 from a flag; "
        "use override_header (--override-header) for that."
    ]


def test_override_header_wins_and_says_so() -> None:
    header: Header = {"source_to_detector_mm": 980.0, "pixel_spacing_mm": (0.2, 0.3)}
    flag = CameraOverrides(source_to_detector_mm=1100.0, override_header=True)
    camera, notes = resolve_camera(SHAPE, header=header, overrides=flag, camera=None)
    assert camera is not None
    assert camera.source_to_detector_mm == 1100.0
    assert "Kept source_to_detector_mm 1100.0 from a flag, not 980.0 from the header." in notes


def test_agreeing_sources_are_not_a_conflict() -> None:
    header: Header = {"source_to_detector_mm": 1000.5, "pixel_spacing_mm": (0.5, 0.5)}
    _, notes = resolve_camera(SHAPE, header=header, overrides=None, camera=FILE)
    assert not any(note.startswith("Kept") for note in notes)


def test_incomplete_geometry_lists_what_is_missing() -> None:
    camera, notes = resolve_camera(SHAPE, header={}, overrides=None, camera=None)
    assert camera is None
    assert notes == [
        "The geometry is incomplete, it lacks source_to_detector_mm and pixel_spacing_mm."
    ]


def test_camera_file_of_another_size() -> None:
    with pytest.raises(InputError, match="50 x 40, got 40 x 50"):
        resolve_camera((50, 40), header={}, overrides=None, camera=FILE)


def test_impossible_flag() -> None:
    flags = CameraOverrides(source_to_detector_mm=-1.0, pixel_spacing_mm=(0.2, 0.2))
    with pytest.raises(InputError, match="source_to_detector_mm must be positive"):
        resolve_camera(SHAPE, header={}, overrides=flags, camera=None)


def camera_of_k(focal_px: tuple[float, float], distance_mm: float) -> Camera:
    column_px, row_px = focal_px
    k = torch.tensor([[column_px, 0, 20], [0, row_px, 21], [0, 0, 1]], dtype=torch.float64)
    fields = {"rows": 40, "columns": 50, "source_to_detector_mm": distance_mm}
    return opencv_camera(k, fields, "k.yml")


def focal_px(camera: Camera | None) -> list[float]:
    assert camera is not None
    return camera.intrinsic_matrix.diagonal()[:2].tolist()


@pytest.mark.parametrize(
    ("header", "overrides", "distance_mm", "spacing_mm"),
    [
        ({}, CameraOverrides(), 900.0, 9.0),
        ({}, CameraOverrides(source_to_detector_mm=900.0), 900.0, 9.0),
        # spacing 8 and a focal length of 100 pixels are 800 mm, whatever the flag says
        ({"pixel_spacing_mm": (8.0, 8.0)}, CameraOverrides(), 800.0, 8.0),
        (
            {"pixel_spacing_mm": (8.0, 8.0)},
            CameraOverrides(source_to_detector_mm=900.0),
            800.0,
            8.0,
        ),
        (
            {"pixel_spacing_mm": (8.0, 8.0)},
            CameraOverrides(source_to_detector_mm=900.0, override_header=True),
            900.0,
            9.0,
        ),
        ({"pixel_spacing_mm": (8.0, 8.0)}, CameraOverrides(override_header=True), 900.0, 9.0),
        ({"source_to_detector_mm": 1100.0}, CameraOverrides(), 1100.0, 11.0),
        (
            {"source_to_detector_mm": 1100.0},
            CameraOverrides(pixel_spacing_mm=(9.0, 9.0)),
            1100.0,
            11.0,
        ),
    ],
)
def test_focal_lengths_of_k_hold_whichever_length_the_header_gives(
    header: Header, overrides: CameraOverrides, distance_mm: float, spacing_mm: float
) -> None:
    camera, notes = resolve_camera(
        SHAPE, header=header, overrides=overrides, camera=camera_of_k((100.0, 100.0), 900.0)
    )
    assert camera is not None
    assert focal_px(camera) == pytest.approx([100.0, 100.0], rel=1e-12)
    assert camera.source_to_detector_mm == pytest.approx(distance_mm)
    assert camera.pixel_spacing_mm == pytest.approx((spacing_mm, spacing_mm))
    assert camera.centre_px == (20.0, 21.0)
    given = overrides.source_to_detector_mm
    if given not in (None, distance_mm):
        assert any("800" in note and f"not {given}" in note for note in notes)


def test_both_focal_lengths_of_k_hold_where_pixels_are_not_square() -> None:
    camera, _ = resolve_camera(
        SHAPE,
        header={"pixel_spacing_mm": (8.0, 8.0)},
        overrides=None,
        camera=camera_of_k((102.0, 100.0), 900.0),
    )
    assert focal_px(camera) == pytest.approx([102.0, 100.0], rel=1e-12)


def test_a_header_with_both_lengths_wins_over_k_aloud() -> None:
    header: Header = {"source_to_detector_mm": 950.0, "pixel_spacing_mm": (8.0, 8.0)}
    camera, notes = resolve_camera(
        SHAPE, header=header, overrides=None, camera=camera_of_k((100.0, 100.0), 900.0)
    )
    assert focal_px(camera) == pytest.approx([118.75, 118.75])
    assert sum("from the header, not" in note for note in notes) == 2


def test_values_that_no_machine_has_are_warned_of_but_those_of_the_header() -> None:
    metres = Camera(source_to_detector_mm=1.2, rows=40, columns=50, pixel_spacing_mm=(0.005, 0.005))
    _, notes = resolve_camera(SHAPE, header={}, overrides=None, camera=metres)
    warned = [note for note in notes if note.startswith("Warning")]
    assert len(warned) == 2
    assert all(note.endswith("is it in metres?") for note in warned)
    header: Header = {"source_to_detector_mm": 1.2}
    flag = CameraOverrides(pixel_spacing_mm=(5.0, 5.0))
    _, notes = resolve_camera(SHAPE, header=header, overrides=flag, camera=None)
    assert not any(note.startswith("Warning") for note in notes)
