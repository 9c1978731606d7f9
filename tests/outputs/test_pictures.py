from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from wsreg.geometry.camera import Camera
from wsreg.outputs import pictures
from wsreg.outputs.pictures import TILE_PX, inspect_picture, overlay_picture, write_png
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import RegistrationResult, Verdict, VerdictStatus

MakeResult = Callable[..., RegistrationResult]


def tile(picture: Image.Image, row: int, column: int) -> np.ndarray:
    """[H,W,3] one tile of the overlay picture of a 48 by 64 image, in 0..255."""
    height = round(TILE_PX * 48 / 64)
    left = pictures.GAP_PX + pictures.LABEL_PX + column * (TILE_PX + pictures.GAP_PX)
    top = pictures.HEADER_PX + pictures.GAP_PX + pictures.TITLE_PX
    top += row * (height + pictures.GAP_PX)
    return np.asarray(picture.crop((left, top, left + TILE_PX, top + height))).astype(int)


def brightest_column_px(shown: np.ndarray) -> float:
    """Centre of the white pixels of a tile, in columns of the 64 wide image."""
    columns = np.nonzero((shown > 240).all(axis=-1))[1]
    return float(columns.mean()) * 64 / TILE_PX


def test_rows_show_the_start_and_the_answer(make_result: MakeResult) -> None:
    picture = overlay_picture(make_result())
    for row in (0, 1):
        assert brightest_column_px(tile(picture, row, 0)) == pytest.approx(32, abs=0.7)
    assert brightest_column_px(tile(picture, 0, 1)) == pytest.approx(40, abs=0.7)
    assert brightest_column_px(tile(picture, 1, 1)) == pytest.approx(32, abs=0.7)


def test_difference_fades_at_the_answer(make_result: MakeResult) -> None:
    picture = overlay_picture(make_result())
    before, after = tile(picture, 0, 3), tile(picture, 1, 3)
    inside = np.s_[:, 60:]
    assert np.ptp(after[inside], axis=(0, 1)).max() <= 2
    left, right = before[:, 115:135], before[:, 200:220]
    assert (left[..., 0] - left[..., 2]).max() > 100, "orange: the X-ray is brighter at the left"
    assert (right[..., 2] - right[..., 0]).max() > 100, "blue: the start is brighter at the right"


def test_labels_are_outlined_each_in_its_colour(make_result: MakeResult) -> None:
    rois = torch.zeros(2, 48, 64)
    rois[0, 10:20, 15:25] = 20.0
    rois[1, 30:40, 40:50] = 20.0
    without = tile(overlay_picture(make_result()), 1, 2)
    shown = tile(overlay_picture(make_result(rois_end=rois)), 1, 2)
    for index, (row, column) in enumerate(((15, 15), (35, 40))):
        y, x = round((row + 0.5) * TILE_PX / 64), round(column * TILE_PX / 64)
        expected = np.multiply(pictures.ROI_COLOURS[index], 255)
        beside = np.abs(shown[y, x - 6 : x + 6] - expected).sum(axis=-1)
        assert beside.min() < 30
    assert (shown != without).any()


@pytest.mark.parametrize("status", ["pass", "check", "fail"])
def test_badge_has_the_colour_of_the_verdict(
    make_result: MakeResult, status: VerdictStatus
) -> None:
    verdict = Verdict(status=status, reasons=("One long reason " * 40,))
    picture = overlay_picture(make_result(verdict=verdict))
    assert picture.getpixel((20, 20)) == ImageColor.getrgb(pictures.VERDICT_COLOURS[status])


def test_extreme_and_empty_images_still_make_a_picture(make_result: MakeResult) -> None:
    result = make_result(verdict=Verdict(status="fail", reasons=()))
    comparison = result.comparison
    comparison.moving_start.zero_()
    comparison.moving_end.fill_(torch.nan)
    comparison.fixed[0, 0] = torch.inf
    comparison.mask.zero_()
    assert overlay_picture(result).mode == "RGB"


def test_inspect_shows_the_xray_beside_its_thumbnails(tmp_path: Path) -> None:
    camera = Camera(source_to_detector_mm=1000.0, rows=20, columns=40, pixel_spacing_mm=(2.0, 1.0))
    image = torch.arange(800.0).reshape(20, 40)
    radiograph = Radiograph(
        image=image, mask=torch.ones(20, 40, dtype=torch.bool), camera=camera, name="x" * 80
    )
    views = dict.fromkeys(("AP", "PA", "LAT"), image.T)
    picture = inspect_picture(radiograph, views)
    gap, title = pictures.GAP_PX, pictures.TITLE_PX
    assert picture.size == (4 * (TILE_PX + gap) + gap, TILE_PX + 2 * gap + title)
    write_png(picture, tmp_path / "inspect.png")
    with Image.open(tmp_path / "inspect.png") as written:
        assert written.size == picture.size
