from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
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
    with_rois = make_result(rois_end=rois, roi_names=("left-femur", "pelvis"))
    shown = tile(overlay_picture(with_rois), 1, 2)
    for index, (row, column) in enumerate(((15, 15), (35, 40))):
        y, x = round((row + 0.5) * TILE_PX / 64), round(column * TILE_PX / 64)
        expected = np.multiply(pictures.ROI_COLOURS[index], 255)
        beside = np.abs(shown[y, x - 6 : x + 6] - expected).sum(axis=-1)
        assert beside.min() < 30
    assert (shown != without).any()


def nearest(shown: np.ndarray, colour: Sequence[float]) -> np.ndarray:
    """[N,2] rows and columns of pixels that have a colour (0..1), without the edges of letters."""
    return np.argwhere(np.abs(shown - 255 * np.array(colour)).sum(axis=-1) < 30)


def test_each_view_has_two_rows_and_a_body_has_its_colour_in_all_of_them(
    two_of_each: RegistrationResult,
) -> None:
    picture = overlay_picture(two_of_each)
    height = round(TILE_PX * 48 / 64) + pictures.GAP_PX
    assert picture.height == overlay_picture_height(make_rows=2, cell_px=height) + 2 * height
    frontal, lateral = tile(picture, 1, 2), tile(picture, 3, 2)
    pelvis, femur = pictures.ROI_COLOURS[:2]
    for shown, colour, row, column in (
        (frontal, pelvis, 15, 20), (frontal, femur, 35, 45), (lateral, femur, 25, 35)
    ):  # fmt: skip
        middle = nearest(shown, colour).mean(axis=0) * 64 / TILE_PX
        assert middle == pytest.approx([row, column], abs=0.7)
    assert len(nearest(lateral, pelvis)) == 0


def overlay_picture_height(*, make_rows: int, cell_px: int) -> int:
    """Height of a picture of so many rows."""
    above = pictures.HEADER_PX + pictures.GAP_PX + pictures.TITLE_PX
    return above + make_rows * cell_px + pictures.FOOTER_PX


def test_the_legend_names_bodies_in_their_colours_as_far_as_there_is_room(
    make_result: MakeResult, two_of_each: RegistrationResult
) -> None:
    def legend(result: RegistrationResult) -> np.ndarray:
        picture = np.asarray(overlay_picture(result)).astype(int)
        return picture[-pictures.FOOTER_PX :, : 2 * (TILE_PX + pictures.GAP_PX)]

    assert np.ptp(legend(make_result()), axis=(0, 1)).max() == 0, "nothing is outlined"
    shown = legend(two_of_each)
    pelvis, femur = (nearest(shown, colour)[:, 1] for colour in pictures.ROI_COLOURS[:2])
    assert pelvis.max() < femur.min()
    trusted = {
        name: dataclasses.replace(body, verdict=two_of_each.verdict)
        for name, body in two_of_each.bodies.items()
    }
    shorter = legend(dataclasses.replace(two_of_each, bodies=trusted))
    assert nearest(shorter, pictures.ROI_COLOURS[1])[:, 1].max() < femur.max(), '"(check)" is said'
    many = tuple(f"a long name of bone {number}" for number in range(8))
    shown = legend(make_result(rois_end=torch.zeros(8, 48, 64), roi_names=many))
    assert len(nearest(shown, pictures.ROI_COLOURS[0])) > 0
    assert len(nearest(shown, pictures.ROI_COLOURS[7])) == 0


def test_long_names_of_views_are_cut(two_of_each: RegistrationResult) -> None:
    views = tuple(dataclasses.replace(view, name="x" * 300) for view in two_of_each.views)
    picture = overlay_picture(dataclasses.replace(two_of_each, views=views))
    top = pictures.HEADER_PX + pictures.GAP_PX + pictures.TITLE_PX
    height = round(TILE_PX * 48 / 64)
    strip = np.asarray(picture.crop((0, top, pictures.LABEL_PX, top + height))).astype(int)
    lit = np.argwhere((strip > 150).all(axis=-1))[:, 0]
    assert 0 < lit.min() < 15, "the end of the text is there"
    assert height - 15 < lit.max() < height - 1, "and its beginning"


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
