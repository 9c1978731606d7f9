"""Pictures of a registration and of an X-ray: tiles under a header, drawn with Pillow."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsreg.files.whole import staged_file
from wsreg.outputs import display
from wsreg.outputs.display import Pixels
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.result import Comparison, RegistrationResult, VerdictStatus

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

TILE_PX = 290
MIN_CELL_PX = 200
GAP_PX = 10
HEADER_PX = 66
FOOTER_PX = 26
TITLE_PX = 30
TITLE_CHARACTERS = 28
LABEL_PX = 32

PNG_LEVEL = 4
"""Half the time of the usual 6 for a tenth more bytes."""

BACKGROUND = "#14161a"
TEXT = "#e8eaed"
FAINT_TEXT = "#9aa0a6"
VERDICT_COLOURS: Mapping[VerdictStatus, str] = {
    "pass": "#2e9e5b",
    "check": "#d99a1e",
    "fail": "#d64545",
}
EDGE_COLOUR: display.Colour = (0.15, 1.0, 0.55)
ROI_COLOURS: Sequence[display.Colour] = (
    (0.15, 1.0, 0.55),
    (1.0, 0.75, 0.2),
    (0.35, 0.75, 1.0),
    (1.0, 0.45, 0.75),
    (0.75, 0.6, 1.0),
    (0.85, 0.95, 0.3),
    (1.0, 0.5, 0.35),
    (0.4, 0.95, 0.95),
)


def overlay_picture(result: RegistrationResult) -> Image:
    """Draw X-ray, rendering, outlines on the X-ray and difference: before above, after below.

    Bone is bright.  Both rows share their grey windows and the scale of the difference.  Outlines
    are those of the labels at the answer where there are labels, else edges of the rendering.
    """
    comparison = result.comparison
    size = _tile_size(comparison.fixed.shape, comparison.camera.pixel_spacing_mm)
    rows = [
        _comparison_tiles(comparison, comparison.moving_start, comparison.rois_end[:0], size),
        _comparison_tiles(comparison, comparison.moving_end, comparison.rois_end, size),
    ]
    picture = _grid_of_tiles(
        rows,
        titles=("X-ray", "CT rendered", "CT outlines on X-ray", "Difference"),
        labels=(
            f"Before: similarity {result.similarity_start:.3f}",
            f"After: similarity {result.similarity_end:.3f}",
        ),
        header_px=HEADER_PX,
        footer_px=FOOTER_PX,
    )
    _draw_header(picture, result)
    _draw_footer(picture)
    return picture


def inspect_picture(radiograph: Radiograph, thumbnails: Mapping[str, Tensor]) -> Image:
    """Draw the X-ray, dimmed where masked out, beside rendered views [H,W] under their names."""
    spacing = radiograph.camera.pixel_spacing_mm if radiograph.camera else (1.0, 1.0)
    tiles = [_grey_tile(radiograph.image, radiograph.mask, spacing)]
    for image in thumbnails.values():
        tiles.append(_grey_tile(image, torch.ones_like(image, dtype=torch.bool), (1.0, 1.0)))
    return _grid_of_tiles([tiles], titles=(radiograph.name, *thumbnails))


def write_png(picture: Image, path: str | Path) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=PNG_LEVEL)


def _comparison_tiles(
    comparison: Comparison, moving: Tensor, rois: Tensor, size: tuple[int, int]
) -> list[Pixels]:
    """Return the four tiles of one row."""
    mask = display.resized_mask(comparison.mask, size)
    fixed = display.resized(comparison.fixed, size)
    rendered = display.resized(moving, size)
    window = display.display_window(fixed, mask)
    end_window = display.display_window(display.resized(comparison.moving_end, size), mask)
    xray = display.grey(fixed, window, mask)
    outlined = xray
    if len(rois):
        for index, roi in enumerate(rois):
            line = display.outline(display.resized(roi, size))
            outlined = display.painted(outlined, line, ROI_COLOURS[index % len(ROI_COLOURS)])
    else:
        outlined = display.painted(xray, display.edges(rendered, mask), EDGE_COLOUR)
    matched = display.brightness_matched(rendered, fixed, mask)
    difference = display.signed_difference(fixed, matched, mask, 0.5 * (window[1] - window[0]))
    return [xray, display.grey(rendered, end_window, mask), outlined, difference]


def _grey_tile(image: Tensor, mask: Tensor, pixel_spacing_mm: tuple[float, float]) -> Pixels:
    size = _tile_size(image.shape, pixel_spacing_mm)
    pixels, inside = display.resized(image, size), display.resized_mask(mask, size)
    return display.grey(pixels, display.display_window(pixels, inside), inside)


def _tile_size(shape: Sequence[int], pixel_spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """Return (rows, columns) of a tile in the image's true proportions."""
    height, width = (n * spacing for n, spacing in zip(shape, pixel_spacing_mm, strict=True))
    scale = TILE_PX / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _grid_of_tiles(
    rows: Sequence[Sequence[Pixels]],
    *,
    titles: Sequence[str],
    labels: Sequence[str] = (),
    header_px: int = 0,
    footer_px: int = 0,
) -> Image:
    """Centre tiles [H,W,3] in equal cells, titles above columns, labels turned beside rows."""
    from PIL import Image, ImageDraw

    cell_height = max(MIN_CELL_PX, *(tile.shape[0] for row in rows for tile in row))
    cell_width = max(MIN_CELL_PX, *(tile.shape[1] for row in rows for tile in row))
    left = GAP_PX + (LABEL_PX if labels else 0)
    top = header_px + GAP_PX + TITLE_PX
    width = left + len(titles) * (cell_width + GAP_PX)
    height = top + len(rows) * (cell_height + GAP_PX) + footer_px
    picture = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for column, title in enumerate(titles):
        middle = left + column * (cell_width + GAP_PX) + cell_width // 2
        shown = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 3] + "..."
        draw.text((middle, top - TITLE_PX // 2 - 2), shown, TEXT, _font(18), anchor="mm")
    for index, row in enumerate(rows):
        y = top + index * (cell_height + GAP_PX)
        if labels:
            picture.paste(_turned_text(labels[index], cell_height), (GAP_PX // 2, y))
        for column, tile in enumerate(row):
            x = left + column * (cell_width + GAP_PX) + (cell_width - tile.shape[1]) // 2
            pixels = np.rint(np.clip(tile, 0, 1) * 255).astype(np.uint8)
            picture.paste(Image.fromarray(pixels), (x, y + (cell_height - tile.shape[0]) // 2))
    return picture


def _draw_header(picture: Image, result: RegistrationResult) -> None:
    """Draw the verdict as a badge, its first reason beside it, the cost at the right."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    verdict = result.verdict
    badge = (GAP_PX, 14, GAP_PX + 88, HEADER_PX - 12)
    draw.rounded_rectangle(badge, 8, VERDICT_COLOURS[verdict.status])
    middle = ((badge[0] + badge[2]) // 2, (badge[1] + badge[3]) // 2)
    draw.text(middle, verdict.status.upper(), "white", _font(22), anchor="mm")
    cost = f"{result.seconds['total']:.2f} s, {result.renders} renderings, {result.method}"
    right = picture.width - GAP_PX
    draw.text((right, middle[1]), cost, FAINT_TEXT, _font(16), anchor="rm")
    reason = verdict.reasons[0] if verdict.reasons else ""
    left = badge[2] + 14
    room_px = right - draw.textlength(cost, _font(16)) - left - 20
    _draw_wrapped(draw, (left, middle[1]), reason, room_px)


def _draw_footer(picture: Image) -> None:
    """Say what the colours of the difference mean, at the right."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    right, y, font = picture.width - GAP_PX, picture.height - GAP_PX // 2, _font(15)
    for text, colour in (
        ("rendered CT brighter", display.BRIGHTER_MOVING),
        ("X-ray brighter,  ", display.BRIGHTER_FIXED),
        ("Difference after matching gain and offset:  ", None),
    ):
        fill = FAINT_TEXT if colour is None else tuple(round(255 * c) for c in colour)
        draw.text((right, y), text, fill, font, anchor="rs")
        right -= round(draw.textlength(text, font))


def _draw_wrapped(draw: ImageDraw, left_middle: tuple[int, int], text: str, room_px: float) -> None:
    """Draw at most two lines of text, cut with dots where it is longer."""
    font = _font(18)
    average_px = draw.textlength(text, font) / max(len(text), 1)
    characters = max(8, int(0.95 * room_px / max(average_px, 1)))
    lines = textwrap.wrap(text, characters, max_lines=2, placeholder=" ...")
    draw.multiline_text(left_middle, "\n".join(lines), TEXT, font, anchor="lm", spacing=5)


def _turned_text(text: str, length_px: int) -> Image:
    """Draw text that reads upwards, in the middle of a strip."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (length_px, LABEL_PX - 4), BACKGROUND)
    ImageDraw.Draw(strip).text(
        (length_px // 2, strip.height // 2), text, TEXT, _font(18), anchor="mm"
    )
    return strip.rotate(90, expand=True)


def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)
