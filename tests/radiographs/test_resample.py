from __future__ import annotations

import dataclasses

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.radiographs.resample import (
    area_mean,
    crop_border,
    reduced_shape,
    resize_radiograph,
    seen_by,
)


def camera(rows: int, columns: int) -> Camera:
    return Camera(
        source_to_detector_mm=1000.0,
        rows=rows,
        columns=columns,
        pixel_spacing_mm=(0.4, 0.3),
        principal_point_px=(30.25, 41.5),
    )


def radiograph(image: torch.Tensor, mask: torch.Tensor | None = None) -> Radiograph:
    return Radiograph(
        image=image, mask=torch.ones_like(image, dtype=torch.bool) if mask is None else mask
    )


def test_area_mean_by_hand() -> None:
    image = torch.tensor([[1.0, 2.0, 6.0]])
    torch.testing.assert_close(area_mean(image, 1, 1), torch.tensor([[3.0]]))
    # Cells of 1.5 pixels: (1 + 2/2) / 1.5 and (2/2 + 6) / 1.5.
    torch.testing.assert_close(area_mean(image, 1, 2), torch.tensor([[4 / 3, 14 / 3]]))


@pytest.mark.parametrize("shape", [(24, 32), (37, 29), (50, 64), (96, 100)])
def test_blob_keeps_its_mass_and_its_place_on_the_detector(shape: tuple[int, int]) -> None:
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    blob = torch.exp(-((rows - 50.3) ** 2 + (columns - 71.8) ** 2) / 200)
    fine = camera(96, 128)

    coarse = resize_radiograph(radiograph(blob), fine, *shape)

    assert coarse.camera == fine.resized(*shape)
    assert coarse.image.shape == shape
    torch.testing.assert_close(coarse.image.mean(), blob.mean())
    torch.testing.assert_close(
        centroid_mm(coarse.image, coarse.camera), centroid_mm(blob, fine), atol=2e-3, rtol=0
    )


def centroid_mm(image: torch.Tensor, view: Camera) -> torch.Tensor:
    rows, columns = torch.meshgrid(*map(torch.arange, image.shape), indexing="ij")
    points = view.detector_points(torch.stack((columns, rows), dim=-1).double())
    return (points * image[..., None].double()).sum((0, 1)) / image.double().sum()


def test_invalid_pixels_neither_count_nor_leak() -> None:
    image = torch.tensor([[1.0, 900.0, 3.0, 5.0], [1.0, 900.0, 900.0, 7.0]])
    mask = image < 900
    coarse = resize_radiograph(radiograph(image, mask), camera(2, 4), 1, 2)
    torch.testing.assert_close(coarse.image, torch.tensor([[1.0, 5.0]]))
    assert coarse.mask.tolist() == [[True, True]]

    mask[1, 0] = False
    coarse = resize_radiograph(radiograph(image, mask), camera(2, 4), 1, 2)
    assert coarse.mask.tolist() == [[False, True]]

    nothing = torch.zeros(2, 4, dtype=torch.bool)
    coarse = resize_radiograph(radiograph(image, nothing), camera(2, 4), 1, 2)
    assert coarse.image.tolist() == [[0.0, 0.0]]
    assert not coarse.mask.any()


def test_half_valid_is_valid_for_any_ratio() -> None:
    mask = torch.zeros(60, 60, dtype=torch.bool)
    mask[:, ::2] = True
    coarse = resize_radiograph(radiograph(torch.ones(60, 60), mask), camera(60, 60), 7, 15)
    assert coarse.mask.all()


def test_resize_needs_the_camera_of_the_image() -> None:
    with pytest.raises(InputError, match="96 x 128, got 128 x 96"):
        resize_radiograph(radiograph(torch.zeros(96, 128)), camera(128, 96), 8, 8)


def test_crop_border_keeps_every_pixel_on_its_ray() -> None:
    image = torch.arange(48.0).reshape(6, 8)
    whole = Radiograph(image=image, mask=image > 20, camera=camera(6, 8))

    cropped = crop_border(whole, 2)

    assert cropped.image.tolist() == [[18.0, 19.0, 20.0, 21.0], [26.0, 27.0, 28.0, 29.0]]
    assert cropped.mask.tolist() == [[False] * 3 + [True], [True] * 4]
    assert cropped.camera is not None
    assert whole.camera is not None
    assert (cropped.camera.rows, cropped.camera.columns) == (2, 4)
    torch.testing.assert_close(
        cropped.camera.detector_points(torch.tensor([0.0, 0.0])),
        whole.camera.detector_points(torch.tensor([2.0, 2.0])),
    )
    assert crop_border(radiograph(image), 1).camera is None


@pytest.mark.parametrize("pixels", [-1, 3])
def test_crop_border_leaves_something(pixels: int) -> None:
    with pytest.raises(InputError, match="crop_border pixels"):
        crop_border(radiograph(torch.zeros(6, 8)), pixels)


def test_reduced_shape() -> None:
    assert reduced_shape(torch.zeros(1000, 500), 128) == (128, 64)
    assert reduced_shape(torch.zeros(100, 50), 128) == (100, 50)


def test_reduced_shape_has_square_pixels_no_smaller_than_they_were() -> None:
    assert reduced_shape(torch.zeros(500, 1000), 128, (0.4, 0.2)) == (128, 128)
    assert reduced_shape(torch.zeros(60, 120), 128, (2.0, 1.0)) == (60, 60)
    assert reduced_shape(torch.zeros(1000, 250), 128) == (256, 64)


def ramp_of_rays(camera: Camera) -> Radiograph:
    """An X-ray whose pixels are 3 x/z - 2 y/z of their rays."""
    row, column = torch.meshgrid(
        torch.arange(camera.rows), torch.arange(camera.columns), indexing="ij"
    )
    points = camera.detector_points(torch.stack((column, row), dim=-1).double())
    image = (3.0 * points[..., 0] - 2.0 * points[..., 1]) / points[..., 2]
    return Radiograph(
        image=image.float(), mask=torch.ones(image.shape, dtype=torch.bool), camera=camera
    )


def test_another_detector_sees_the_same_rays() -> None:
    camera = Camera(
        source_to_detector_mm=1200.0, rows=200, columns=240, pixel_spacing_mm=(1.5, 1.2),
        principal_point_px=(100.0, 110.0),
    )  # fmt: skip
    other = Camera(
        source_to_detector_mm=1000.0, rows=40, columns=50, pixel_spacing_mm=(4.0, 5.0),
        principal_point_px=(24.0, 21.0),
    )  # fmt: skip
    seen = seen_by(ramp_of_rays(camera), camera, other)
    wanted = ramp_of_rays(other).image
    assert seen.camera == other
    # The first detector reaches from -120 to 168 mm across at 1200 mm, -100 to 140 at 1000 mm.
    across = (torch.arange(50) - 24.0) * 5.0
    assert seen.mask[20].tolist() == ((across >= -100.6) & (across <= 140.0)).tolist()
    inside = seen.mask.clone()
    inside[:, 1:] &= seen.mask[:, :-1]
    inside[:, :-1] &= seen.mask[:, 1:]
    inside[1:] &= seen.mask[:-1]
    inside[:-1] &= seen.mask[1:]
    torch.testing.assert_close(seen.image[inside], wanted[inside], atol=1e-3, rtol=0.0)
    assert not seen.image[~seen.mask].any()


def test_the_same_camera_changes_nothing_and_masks_go_along() -> None:
    camera = Camera(source_to_detector_mm=900.0, rows=20, columns=30, pixel_spacing_mm=(2.0, 2.0))
    radiograph = ramp_of_rays(camera)
    mask = radiograph.mask.clone()
    mask[:5] = False
    seen = seen_by(dataclasses.replace(radiograph, mask=mask), camera, camera)
    assert torch.equal(seen.mask, mask)
    torch.testing.assert_close(seen.image[mask], radiograph.image[mask])
