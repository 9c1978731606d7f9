from __future__ import annotations

import pytest

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
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
