"""Cameras in the formats of other tools: a point known by hand falls on the pixel known by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pydicom
import pytest
import torch
from pydicom.dataset import Dataset, FileMetaDataset

from wsreg import read_camera, read_rig
from wsreg.errors import InputError
from wsreg.geometry.calibration import CalibrationDetails
from wsreg.geometry.calibration_file import read_calibrations, read_camera_with_notes, rig_of
from wsreg.geometry.calibration_writing import write_opencv_camera
from wsreg.geometry.camera import Camera
from wsreg.geometry.mayacam import write_mayacam
from wsreg.geometry.rigid import exp_so3, rigid, transform_points

# 600 columns, 400 rows; a point 10 mm right of, 20 mm below and 500 mm before the source.
K = [[2000.0, 0.0, 310.0], [0.0, 1000.0, 190.0], [0.0, 0.0, 1.0]]
POINT, PIXEL = (10.0, 20.0, 500.0), (350.0, 230.0)
# x_camera = R x_world + t: a quarter turn about z, then 5 cm along z.
TURN = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
MAYACAM = """image size
600,400

camera matrix
2000.0,0.0,310.0
0.0,1000.0,190.0
0.0,0.0,1.0

rotation
0.0,-1.0,0.0
1.0,0.0,0.0
0.0,0.0,1.0

translation
0.0
0.0
5.0
"""


def write(folder: Path, text: Any, name: str) -> Path:
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def project(camera: Camera | None, *points: tuple[float, ...]) -> list[list[float]]:
    assert camera is not None
    found: list[list[float]] = camera.project(torch.tensor(points, dtype=torch.float64)).tolist()
    return found


STORAGE = (
    "%YAML:1.0\n---\nimage_width: 600\nimage_height: 400\ncamera_matrix: !!opencv-matrix\n"
    "   rows: 3\n   cols: 3\n   dt: d\n   data: [ 2000., 0., 310., 0., 1000., 190., 0., 0., 1. ]\n"
    "distortion_coefficients: !!opencv-matrix\n   rows: 1\n   cols: 5\n   dt: d\n"
    "   data: [ 0., 0., 0., 0., 0. ]\navg_reprojection_error: .Nan\n"
)
XML = (
    "<?xml version='1.0'?><opencv_storage><imageSize>600 400</imageSize>"
    "<cameraMatrix type_id='opencv-matrix'><rows>3</rows><cols>3</cols><dt>d</dt>"
    "<data>2000. 0. 310. 0. 1000. 190. 0. 0. 1.</data></cameraMatrix></opencv_storage>"
)
FILES = {
    "k.json": json.dumps({"K": K, "rows": 400, "columns": 600}),
    "opencv.json": json.dumps({"camera_matrix": K, "image_height": 400, "image_width": 600,
                               "dist_coeffs": [[0, 0, 0, 0, 0]]}),
    "opencv.yml": STORAGE,
    "opencv.xml": XML,
    "mayacam.txt": MAYACAM,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILES))
def test_k_gives_the_camera_with_either_length(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, FILES[name], name)
    by_distance = read_camera(path, source_to_detector_mm=1200.0)
    assert (by_distance.rows, by_distance.columns) == (400, 600)
    assert by_distance.pixel_spacing_mm == pytest.approx((1.2, 0.6))
    assert project(by_distance, POINT)[0] == pytest.approx(PIXEL)
    by_spacing = read_camera(path, pixel_spacing_mm=(1.2, 0.6))
    assert by_spacing.source_to_detector_mm == pytest.approx(1200.0)
    with pytest.raises(InputError, match=r"pixels only; .*--sdd.*--pixel-spacing"):
        read_camera(path)
    with pytest.raises(InputError, match="one source-to-detector distance with K"):
        read_camera(path, pixel_spacing_mm=(1.0, 1.0))


@pytest.mark.parametrize("units", ["cm", "mm"])
def test_mayacams_stand_in_one_frame_in_units_that_are_said(tmp_path: Path, units: Any) -> None:
    first = write(tmp_path, MAYACAM, "cam1.txt")
    second = write(tmp_path, MAYACAM.replace("600,400", "500,300"), "cam2.txt")
    rig = read_rig([first, second], units=units)
    assert [view.name for view in rig.views] == ["cam1", "cam2"]
    shift = 50.0 if units == "cm" else 5.0
    # A quarter turn about z takes the world's (20, -10) to the camera's (10, 20).
    world = torch.tensor([[20.0, -10.0, 500.0 - shift]], dtype=torch.float64)
    for view in rig.views:
        seen = transform_points(view.camera_from_rig, world)
        torch.testing.assert_close(seen, torch.tensor([POINT], dtype=torch.float64))
        assert project(view.camera, tuple(seen[0].tolist()))[0] == pytest.approx(PIXEL)
    sizes = [(v.camera.rows, v.camera.columns) for v in rig.views if v.camera]
    assert sizes == [(400, 600), (300, 500)]
    assert "600 columns, 400 rows" in rig.views[0].notes[0]


def test_units_of_translations_are_never_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, MAYACAM, "cam1.txt")
    with pytest.raises(InputError, match=r"cam1\.txt does not tell the units .*mm, cm or m"):
        read_rig([path])
    named = {"K": K, "rows": 400, "columns": 600, "R": TURN, "t": [0, 0, 5], "units": "cm"}
    file = write(tmp_path, named, "named.json")
    (view,) = read_rig(file).views
    assert view.camera_from_rig[2, 3] == 50.0
    with pytest.raises(InputError, match="is in cm, it cannot be read as mm"):
        read_rig(file, units="mm")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MAYACAM.replace("image size\n600,400", "size\n600,400"), "beginning with 'image size'"),
        ("1,2,3\n4,5,6\n0,0,-90\n512,512,1\n0,0,0\n", "got MayaCam 1.0"),
        (MAYACAM.replace("translation\n0.0\n0.0\n5.0", ""), "lacks translation"),
        (MAYACAM.replace("600,400", "600"), "2 numbers of image size, got 1"),
        (MAYACAM.replace("600,400", "600.5,400"), "columns must be a whole number"),
        (MAYACAM.replace("310.0", "middle"), "numbers under camera matrix"),
        (MAYACAM + "undistortion\n0.1,0,0,0,0,0,0,0\n", "must have no distortion.*0.1"),
        (MAYACAM.replace("-1.0", "-2.0"), "no rotation"),
    ],
)
def test_bad_mayacams_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_rig(write(tmp_path, text, "cam1.txt"), units="cm")
    assert "cam1.txt" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yml", STORAGE.replace("[ 0., 0.,", "[ -0.1, 0.,"), "must have no distortion"),
        ("a.yml", STORAGE.replace("image_width: 600\n", ""), "lacks columns of a camera"),
        ("a.yml", STORAGE.replace("camera_matrix", "cam"), "lacks K of a camera"),
        ("a.json", json.dumps({"K": K, "rows": 4, "columns": 6, "fov": 3}), "unknown fields fov"),
        ("a.xml", XML.replace("1000.", "-1000."), "positive focal lengths"),
        ("a.dat", "1", "must end in .json"),
        ("a.dcm", "no dicom", "must be a DICOM file"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_camera(write(tmp_path, text, name), source_to_detector_mm=1000.0)
    assert name in str(raised.value)


@pytest.mark.parametrize("name", ["a.json", "a.yml", "a.xml", "a.txt", "a.dcm", "a.dat"])
def test_an_absent_file_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_camera(tmp_path / name)


# The example of RTK's documentation, with the matrix that it prints.
RTK = """<?xml version="1.0"?>
<!DOCTYPE RTKGEOMETRY>
<RTKThreeDCircularGeometry version="3">
  <SourceToIsocenterDistance>1000</SourceToIsocenterDistance>
  <SourceToDetectorDistance>1536</SourceToDetectorDistance>
  <Projection>
    <GantryAngle>271.847274780273</GantryAngle>
    <ProjectionOffsetX>-117.056503295898</ProjectionOffsetX>
    <ProjectionOffsetY>-1.01195001602173</ProjectionOffsetY>
    <Matrix>
          -166.5093078829                   0   -1531.42837748039   -117056.503295898
        -1.01142410874151               -1536  0.0326206557691505   -1011.95001602173
       -0.999480303105996                   0  0.0322354417240802               -1000
    </Matrix>
  </Projection>
  <Projection>
    <GantryAngle>30</GantryAngle><OutOfPlaneAngle>2</OutOfPlaneAngle>
    <InPlaneAngle>-3</InPlaneAngle><SourceOffsetX>4</SourceOffsetX>
    <ProjectionOffsetY>7</ProjectionOffsetY>
  </Projection>
</RTKThreeDCircularGeometry>
"""
PIXELS = CalibrationDetails(rows=300, columns=400, pixel_spacing_mm=(0.8, 0.5))


def test_rtk_projects_as_its_own_matrix_does(tmp_path: Path) -> None:
    first, second = read_calibrations(write(tmp_path, RTK, "geometry.xml"), PIXELS)
    matrix = torch.tensor(
        [[-166.5093078829, 0, -1531.42837748039, -117056.503295898],
         [-1.01142410874151, -1536, 0.0326206557691505, -1011.95001602173],
         [-0.999480303105996, 0, 0.0322354417240802, -1000]], dtype=torch.float64,
    )  # fmt: skip
    for point in ((0.0, 0.0, 0.0), (30.0, -20.0, 10.0), (-5.0, 60.0, -40.0)):
        u, v, w = (matrix @ torch.tensor([*point, 1.0], dtype=torch.float64)).tolist()
        # Physical mm from the detector's origin, the image's middle; left and right exchanged.
        expected = (399 - (u / w / 0.5 + 199.5), v / w / 0.8 + 149.5)
        world = torch.tensor([point], dtype=torch.float64)
        seen = transform_points(first.camera_from_world("mm"), world)
        assert float(seen[0, 2]) > 0
        assert project(first.camera, tuple(seen[0].tolist()))[0] == pytest.approx(expected)
    assert any("--mirror" in note for note in first.notes)
    assert second.name == "projection-2"
    assert len(rig_of((first, second), "mm").views) == 2


def test_the_isocentre_of_rtk_lies_in_the_middle_at_its_distance(tmp_path: Path) -> None:
    text = RTK.replace("-117.056503295898", "0").replace("-1.01195001602173", "0")
    text = text[: text.index("<Matrix>")] + text[text.index("</Matrix>") + 9 :]
    first, _ = read_calibrations(write(tmp_path, text, "geometry.xml"), PIXELS)
    place = first.camera_from_world("mm")
    torch.testing.assert_close(place[:3, 3], torch.tensor([0.0, 0, 1000], dtype=torch.float64))
    assert project(first.camera, (0.0, 0.0, 1000.0))[0] == [199.5, 149.5]


@pytest.mark.parametrize(
    ("text", "details", "said"),
    [
        (RTK, CalibrationDetails(), "knows nothing of pixels: give rows, columns, pixel_spacing"),
        (RTK.replace("271.847274780273", "91.8"), PIXELS, "must have the matrix of its parameters"),
        (RTK.replace(">1536<", ">0<"), PIXELS, "must have a source and a flat detector"),
        (RTK.replace("<Projection>", "<Other>").replace("</Projection>", "</Other>"), PIXELS,
         "with projections"),
        (RTK.replace(">30<", ">thirty<"), PIXELS, "GantryAngle must be a number, got 'thirty'"),
        (RTK.replace(">30<", ">nan<"), PIXELS, "GantryAngle must be finite, got 'nan'"),
    ],
)  # fmt: skip
def test_bad_rtk_geometries_are_refused(
    tmp_path: Path, text: str, details: CalibrationDetails, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_calibrations(write(tmp_path, text, "geometry.xml"), details)


def rt_image(path: Path, **changed: Any) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.RTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    header = Dataset()
    header.file_meta = meta
    fields: dict[str, Any] = {
        "Modality": "RTIMAGE", "SOPClassUID": pydicom.uid.RTImageStorage,
        "SOPInstanceUID": "1.2.3", "Rows": 300, "Columns": 400, "RTImageSID": 1500.0,
        "RadiationMachineSAD": 1000.0, "ImagePlanePixelSpacing": [0.8, 0.5], "GantryAngle": 0.0,
        "RTImagePosition": [-99.75, 119.6],
    }  # fmt: skip
    for name, value in (fields | changed).items():
        if value is not None:
            setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("gantry", "point"),
    # 40 mm along x, 24 mm along y (to the gantry); from above, then from the patient's left.
    [(0.0, (40.0, 24.0, 0.0)), (90.0, (0.0, 24.0, -40.0)), (180.0, (-40.0, 24.0, 0.0))],
)
def test_an_rt_image_shows_points_about_the_isocentre(
    tmp_path: Path, gantry: float, point: tuple[float, ...]
) -> None:
    (found,) = read_calibrations(rt_image(tmp_path / "a.dcm", GantryAngle=gantry))
    seen = transform_points(
        found.camera_from_world(None), torch.tensor([point, (0.0, 0.0, 0.0)], dtype=torch.float64)
    )
    pixels = project(found.camera, *(tuple(row) for row in seen.tolist()))
    # Magnified 1.5 times: 60 mm to the right are 120 columns, 36 mm up are 45 rows.
    assert pixels[0] == pytest.approx((199.5 + 120, 149.5 - 45))
    assert pixels[1] == pytest.approx((199.5, 149.5))
    assert seen[1].tolist() == pytest.approx([0, 0, 1000])


def test_a_moved_receptor_of_an_rt_image_moves_the_principal_point(tmp_path: Path) -> None:
    moved = rt_image(tmp_path / "a.dcm", XRayImageReceptorTranslation=[30.0, -8.0, -500.0])
    assert read_camera(moved).centre_px == pytest.approx((199.5 - 60, 149.5 - 10))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Modality": "CR"}, "must be an RT Image to give a camera, got the modality 'CR'"),
        ({"RTImageSID": None}, "lacks RTImageSID"),
        ({"ImagePlanePixelSpacing": ""}, "lacks ImagePlanePixelSpacing"),
        ({"RTImageOrientation": [1, 0, 0, 0, 1, 0]}, "RTImageOrientation must be"),
    ],
)
def test_rt_images_without_geometry_are_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_camera(rt_image(tmp_path / "a.dcm", **changed))


def test_an_rt_image_without_a_position_says_what_is_assumed(tmp_path: Path) -> None:
    camera, notes = read_camera_with_notes(rt_image(tmp_path / "a.dcm", RTImagePosition=None))
    assert camera.centre_px == (199.5, 149.5)
    assert "no RTImagePosition" in notes[0]


CAMERA = Camera(
    source_to_detector_mm=1234.5, rows=301, columns=517, pixel_spacing_mm=(0.31, 0.29),
    principal_point_px=(250.25, 160.125),
)  # fmt: skip
PLACE = rigid(
    exp_so3(torch.tensor([0.5, -0.25, 1.5], dtype=torch.float64)),
    torch.tensor([1.0 / 3, -20.0, math.pi * 200], dtype=torch.float64),
)


@pytest.mark.parametrize("ending", ["yml", "xml"])
def test_opencv_files_hold_a_camera_to_the_last_digits(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"camera.{ending}"
    write_opencv_camera(CAMERA, PLACE, path)
    (found,) = read_calibrations(path)
    assert found.camera is not None
    assert read_camera(path).pixel_spacing_mm == pytest.approx(CAMERA.pixel_spacing_mm, rel=1e-12)
    torch.testing.assert_close(
        found.camera.intrinsic_matrix, CAMERA.intrinsic_matrix, rtol=1e-12, atol=1e-9
    )
    torch.testing.assert_close(found.camera_from_world(None), PLACE, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("units", "mm"), [("cm", 10.0), ("mm", 1.0)])
def test_mayacam_holds_k_and_place_to_the_last_digits(
    tmp_path: Path, units: Any, mm: float
) -> None:
    path = tmp_path / "cam.txt"
    write_mayacam(CAMERA, PLACE, path, mm)
    (view,) = read_rig(path, units=units).views
    assert view.camera is not None
    torch.testing.assert_close(
        view.camera.intrinsic_matrix, CAMERA.intrinsic_matrix, rtol=1e-12, atol=1e-9
    )
    torch.testing.assert_close(view.camera_from_rig, PLACE, rtol=0, atol=1e-9)


def test_a_camera_in_opencvs_json(tmp_path: Path) -> None:
    """As cv2.FileStorage writes it, and as ROS does, whose matrices name no type."""
    matrix = {"rows": 3, "cols": 3, "data": [500.0, 0, 60.0, 0, 400.0, 50.0, 0, 0, 1.0]}
    typed = {"type_id": "opencv-matrix", "dt": "d"}
    zero = {**typed, "rows": 1, "cols": 5, "data": [0.0] * 5}
    whole = {"nframes": 7, "image_width": 120, "image_height": 100,
             "distortion_coefficients": zero}  # fmt: skip
    path = tmp_path / "k.json"
    for one in ({**typed, **matrix}, matrix):
        path.write_text(json.dumps({**whole, "camera_matrix": one}))
        camera = read_camera(path, source_to_detector_mm=1000.0)
        assert (camera.rows, camera.columns) == (100, 120)
        assert camera.pixel_spacing_mm == pytest.approx((2.5, 2.0))
        assert camera.centre_px == (60.0, 50.0)
    bent = {**zero, "data": [0.1, 0, 0, 0, 0]}
    path.write_text(json.dumps({**whole, "camera_matrix": matrix, "D": bent}))
    with pytest.raises(InputError, match="must give distortion once"):
        read_camera(path, source_to_detector_mm=1000.0)
