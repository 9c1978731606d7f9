from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.radiographs.camera_sources import CameraOverrides
from wsreg.radiographs.reading import read_radiograph

Expose = Callable[..., NDArray[Any]]
WriteDicom = Callable[..., Path]

CAMERA = Camera(source_to_detector_mm=1000.0, rows=256, columns=256, pixel_spacing_mm=(1.0, 1.0))


def agreement(first: torch.Tensor, second: NDArray[Any], mask: torch.Tensor) -> float:
    stacked = torch.stack((first[mask], torch.from_numpy(second).float()[mask]))
    return float(torch.corrcoef(stacked)[0, 1])


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.npy", "x.nii.gz", "x.dcm"])
def test_every_format_gives_the_same_attenuation(
    tmp_path: Path, trunk: NDArray[Any], expose: Expose, write_dicom: WriteDicom, name: str
) -> None:
    counts = np.round(expose(trunk, scatter=0.0)).astype(np.uint16)
    path = tmp_path / name
    if name.endswith(("png", "tif")):
        Image.fromarray(counts).save(path)
    elif name.endswith("npy"):
        np.save(path, counts)
    elif name.endswith("dcm"):
        write_dicom(counts, name=name)
    else:
        import nibabel

        nibabel.save(nibabel.Nifti1Image(counts.T.copy(), np.eye(4)), path)

    radiograph = read_radiograph(path, camera=CAMERA)

    assert radiograph.name == "x"
    assert radiograph.camera == CAMERA
    assert radiograph.image.dtype == torch.float32
    assert radiograph.mask.all()
    error = radiograph.image - torch.from_numpy(trunk).float()
    assert float(error.median().abs()) < 0.05
    assert agreement(radiograph.image, trunk, radiograph.mask) > 0.98


def test_collimated_display_image(tmp_path: Path, trunk: NDArray[Any], expose: Expose) -> None:
    field = np.zeros((256, 256), dtype=bool)
    field[30:230, 40:200] = True
    counts = expose(trunk, field)
    Image.fromarray((255 * np.clip(counts / counts.max(), 0, 1) ** 0.5).astype(np.uint8)).save(
        tmp_path / "x.png"
    )

    radiograph = read_radiograph(tmp_path / "x.png")

    fraction = float(radiograph.mask.float().mean())
    assert 0.9 * field.mean() < fraction <= field.mean()
    assert agreement(radiograph.image, trunk, radiograph.mask) > 0.95
    assert any(f"{1 - fraction:.1%} of the image is masked" in note for note in radiograph.notes)
    assert radiograph.camera is None
    assert any("lacks source_to_detector_mm and pixel_spacing_mm" in n for n in radiograph.notes)
    assert read_radiograph(tmp_path / "x.png", collimation="none").mask.all()


def test_turned_dicom_comes_back_as_the_camera_saw_it(
    trunk: NDArray[Any], expose: Expose, write_dicom: WriteDicom
) -> None:
    seen = np.round(expose(trunk)).astype(np.uint16)[:200]
    stored = np.fliplr(np.rot90(seen, -1))
    fields = {
        "FieldOfViewRotation": 90.0,
        "FieldOfViewHorizontalFlip": "YES",
        "DistanceSourceToDetector": 1100.0,
        "ImagerPixelSpacing": [0.2, 0.3],
    }
    turned = read_radiograph(write_dicom(stored, **fields))
    upright = read_radiograph(write_dicom(seen))
    assert turned.image.equal(upright.image)
    assert turned.camera == Camera(
        source_to_detector_mm=1100.0, rows=200, columns=256, pixel_spacing_mm=(0.3, 0.2)
    )


def test_header_meaning_and_padding_are_used(trunk: NDArray[Any], write_dicom: WriteDicom) -> None:
    pixels = np.round(trunk * 1000 + 100).astype(np.uint16)
    pixels[:30] = 0
    radiograph = read_radiograph(
        write_dicom(
            pixels,
            Modality="DX",
            PixelIntensityRelationship="LOG",
            PixelIntensityRelationshipSign=-1,
            PixelPaddingValue=0,
        )
    )
    assert not radiograph.mask[:30].any()
    assert radiograph.mask[35:].all()
    np.testing.assert_array_equal(radiograph.image.numpy(), pixels)


@pytest.mark.parametrize("sign", [1, -1])
def test_header_against_image_is_left_to_the_registration(
    write_dicom: WriteDicom, sign: int
) -> None:
    """Stored bright bone under sign +1, bright air under sign -1: the header is wrong."""
    y, x = np.mgrid[:256, :256]
    body = 2.8 * np.sqrt(np.clip(1 - ((x - 120) / 90) ** 2 - ((y - 130) / 80) ** 2, 0, None))
    body += 0.7 * np.sqrt(np.clip(1 - ((x - 130) / 8) ** 2 - ((y - 110) / 50) ** 2, 0, None))
    counts = np.round(40000 * np.exp(-body)).astype(np.uint16)
    stored = np.round(10000 * body).astype(np.uint16) if sign == 1 else counts
    path = write_dicom(stored, PixelIntensityRelationshipSign=sign)
    radiograph = read_radiograph(path)
    assert radiograph.mask.all()
    assert agreement(radiograph.image, body, radiograph.mask) > 0.99
    assert radiograph.opposite_polarity is not None
    assert agreement(radiograph.opposite_polarity, body, radiograph.mask) < -0.5
    assert any("registration tries the opposite too" in note for note in radiograph.notes)
    assert read_radiograph(path, intensity="attenuation").opposite_polarity is None
    right = read_radiograph(write_dicom(stored, PixelIntensityRelationshipSign=-sign))
    assert right.opposite_polarity is None


def test_pixel_shape_of_a_header_or_a_flag_finds_the_field(
    tmp_path: Path, trunk: NDArray[Any], expose: Expose, write_dicom: WriteDicom
) -> None:
    rows, columns = np.mgrid[:256, :256]
    field = np.hypot(rows - 128, columns - 128) < 100
    counts = expose(trunk, field).reshape(128, 2, 256).mean(axis=1)
    np.save(tmp_path / "x.npy", counts)
    by_flag = read_radiograph(
        tmp_path / "x.npy", overrides=CameraOverrides(pixel_spacing_mm=(0.6, 0.3))
    )
    by_header = read_radiograph(
        write_dicom(np.round(counts).astype(np.uint16), ImagerPixelSpacing=[0.6, 0.3])
    )
    for radiograph in (by_flag, by_header):
        assert 0.94 < float(radiograph.mask.float().mean()) / field.mean() <= 1.0


def test_nothing_identifies_the_patient(
    trunk: NDArray[Any], expose: Expose, write_dicom: WriteDicom
) -> None:
    radiograph = read_radiograph(write_dicom(expose(trunk).astype(np.uint16)))
    text = " ".join((radiograph.name, *radiograph.notes))
    assert "Secret" not in text
    assert "4711" not in text


def test_given_mask(tmp_path: Path, trunk: NDArray[Any]) -> None:
    np.save(tmp_path / "x.npy", trunk)
    keep = np.zeros((256, 256), dtype=np.uint8)
    keep[100:, :128] = 1
    np.save(tmp_path / "keep.npy", keep)
    radiograph = read_radiograph(tmp_path / "x.npy", mask=tmp_path / "keep.npy")
    np.testing.assert_array_equal(radiograph.mask.numpy(), keep > 0)
    np.save(tmp_path / "small.npy", keep[:100])
    with pytest.raises(InputError, match="256 x 256, got 100 x 256"):
        read_radiograph(tmp_path / "x.npy", mask=tmp_path / "small.npy")


def test_intensity_and_geometry_as_asked(tmp_path: Path, trunk: NDArray[Any]) -> None:
    np.save(tmp_path / "x.npy", trunk)
    radiograph = read_radiograph(
        tmp_path / "x.npy",
        intensity="attenuation",
        overrides=CameraOverrides(source_to_detector_mm=900.0, pixel_spacing_mm=(0.5, 0.4)),
    )
    np.testing.assert_array_equal(radiograph.image.numpy(), trunk.astype(np.float32))
    assert radiograph.camera is not None
    assert radiograph.camera.pixel_spacing_mm == (0.5, 0.4)


def test_dicom_without_suffix(trunk: NDArray[Any], expose: Expose, write_dicom: WriteDicom) -> None:
    path = write_dicom(expose(trunk).astype(np.uint16), name="IM0001")
    assert read_radiograph(path).name == "IM0001"


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((20, 20), np.nan), "400 pixels are NaN or infinite"),
        (np.array([[1.0, np.inf], [2.0, 3.0]]), "1 pixels are NaN or infinite"),
        (np.full((20, 20), 7), "constant or all saturated: every pixel is 7"),
        (np.r_[np.full(399, 255), 3].reshape(20, 20), "saturated at 255 in 99.8%"),
        (np.r_[np.full(399, 0), 3].reshape(20, 20), "empty, at 0 in 99.8%"),
        (np.zeros((0, 5)), r"is empty: \[0, 5\]"),
    ],
)
def test_images_that_show_nothing(tmp_path: Path, pixels: NDArray[Any], message: str) -> None:
    np.save(tmp_path / "x.npy", pixels)
    with pytest.raises(InputError, match=message):
        read_radiograph(tmp_path / "x.npy")


def test_files_that_are_no_xrays(tmp_path: Path, trunk: NDArray[Any]) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_radiograph(tmp_path / "none.png")
    with pytest.raises(InputError, match="it is a folder"):
        read_radiograph(tmp_path)
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(
        InputError, match=r"one of \.png, \.tif, .*\.nii\.gz, \.dcm.* or be a DICOM"
    ):
        read_radiograph(tmp_path / "x.jpg")
    np.save(tmp_path / "x.npy", trunk)
    with pytest.raises(InputError, match="multi-frame DICOM only, got 1"):
        read_radiograph(tmp_path / "x.npy", frame=1)
    with pytest.raises(InputError, match="256 x 256, got 10 x 256"):
        read_radiograph(
            tmp_path / "x.npy",
            camera=Camera(
                source_to_detector_mm=1000.0, rows=10, columns=256, pixel_spacing_mm=(1.0, 1.0)
            ),
        )


def test_dicom_is_told_by_its_content(trunk: NDArray[Any], write_dicom: WriteDicom) -> None:
    pixels = np.round(trunk * 1000).astype(np.uint16)
    plain = read_radiograph(write_dicom(pixels))
    for name in ("x.png", "IM0001", "x.nii.gz"):
        assert read_radiograph(write_dicom(pixels, name=name)).image.equal(plain.image)
    bare = write_dicom(pixels, name="bare")
    bare.write_bytes(bare.read_bytes()[132:])
    assert read_radiograph(bare).image.equal(plain.image)


def test_orientation_and_view_of_the_patient(trunk: NDArray[Any], write_dicom: WriteDicom) -> None:
    path = write_dicom(
        np.round(trunk * 1000).astype(np.uint16), PatientOrientation=["L", "F"], ViewPosition="PA"
    )
    stored, seen = read_radiograph(path), read_radiograph(path, mirror=True)
    assert (stored.patient_orientation, stored.view_position) == (("L", "F"), "PA")
    assert (seen.patient_orientation, seen.view_position) == (("R", "F"), "PA")
    assert any("stored mirrored" in note for note in stored.notes)
    assert not any("stored mirrored" in note for note in seen.notes)


def test_a_spacing_that_is_not_the_detectors_is_asked_for(
    trunk: NDArray[Any], write_dicom: WriteDicom
) -> None:
    path = write_dicom(
        np.round(trunk * 1000).astype(np.uint16),
        DistanceSourceToDetector=1000,
        PixelSpacing=[0.5, 0.5],
    )
    radiograph = read_radiograph(path)
    assert radiograph.camera is None
    assert any("PixelSpacing (0.5, 0.5) is not used" in note for note in radiograph.notes)
    given = read_radiograph(path, overrides=CameraOverrides(pixel_spacing_mm=(0.7, 0.7)))
    assert given.camera is not None
    assert given.camera.pixel_spacing_mm == (0.7, 0.7)
