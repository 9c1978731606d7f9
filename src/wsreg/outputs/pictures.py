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
MARGIN_PX = 3

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

    Every view has its two rows.  Bone is bright.  Both rows of a view share their grey windows and
    the scale of the difference.  Outlines are those of the bodies, regions or labels at the answer,
    each in a colour of its own, where there are some; else edges of the rendering.
    """
    names = dict.fromkeys(name for view in result.views for name in view.comparison.roi_names)
    colours = {name: ROI_COLOURS[i % len(ROI_COLOURS)] for i, name in enumerate(names)}
    rows: list[Sequence[Pixels]] = []
    labels: list[tuple[str, str]] = []
    for view in result.views:
        rows += _rows_of_view(view.comparison, colours)
        named = f"{view.name} " if len(result.views) > 1 else ""
        labels += [
            (named, f"{when}: similarity {similarity:.3f}")
            for when, similarity in (
                ("before" if named else "Before", view.similarity_start),
                ("after" if named else "After", view.similarity_end),
            )
        ]
    mirrored = any("mirrored" in view.orientation for view in result.views)
    picture = _grid_of_tiles(
        rows,
        titles=(
            "X-ray, mirrored back" if mirrored else "X-ray",
            "CT rendered",
            "CT outlines on X-ray",
            "Difference",
        ),
        labels=labels,
        header_px=HEADER_PX,
        footer_px=FOOTER_PX,
    )
    _draw_header(picture, result)
    left_of_it = _draw_footer(picture)
    _draw_legend(picture, result, colours, left_of_it)
    return picture


def inspect_picture(radiograph: Radiograph | None, thumbnails: Mapping[str, Tensor]) -> Image:
    """Draw the X-ray, if there is one, dimmed where masked out, beside views [H,W] by name."""
    tiles, titles = [], [*thumbnails]
    if radiograph is not None:
        spacing = radiograph.camera.pixel_spacing_mm if radiograph.camera else (1.0, 1.0)
        tiles.append(_grey_tile(radiograph.image, radiograph.mask, spacing))
        titles.insert(0, radiograph.name)
    for image in thumbnails.values():
        tiles.append(_grey_tile(image, torch.ones_like(image, dtype=torch.bool), (1.0, 1.0)))
    return _grid_of_tiles([tiles], titles=tuple(titles))


def write_png(picture: Image, path: str | Path) -> None:
    """Write a picture as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=PNG_LEVEL)


def _rows_of_view(
    comparison: Comparison, colours: Mapping[str, display.Colour]
) -> tuple[list[Pixels], list[Pixels]]:
    """Return the four tiles of each of the two rows of a view."""
    size = _tile_size(comparison.fixed.shape, comparison.camera.pixel_spacing_mm)
    palette = [colours[name] for name in comparison.roi_names]
    outlines = list(zip(comparison.rois_end, palette, strict=True))
    return (
        _comparison_tiles(comparison, comparison.moving_start, [], size),
        _comparison_tiles(comparison, comparison.moving_end, outlines, size),
    )


def _comparison_tiles(
    comparison: Comparison,
    moving: Tensor,
    outlines: Sequence[tuple[Tensor, display.Colour]],
    size: tuple[int, int],
) -> list[Pixels]:
    """Return the four tiles of one row; outlines are path lengths [H,W] in mm and colours."""
    mask = display.resized_mask(comparison.mask, size)
    fixed = display.resized(comparison.fixed, size)
    rendered = display.resized(moving, size)
    window = display.display_window(fixed, mask)
    end_window = display.display_window(display.resized(comparison.moving_end, size), mask)
    xray = display.grey(fixed, window, mask)
    outlined = xray
    for lengths_mm, colour in outlines:
        line = display.outline(display.resized(lengths_mm, size))
        outlined = display.painted(outlined, line, colour)
    if not outlines:
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
    labels: Sequence[tuple[str, str]] = (),
    header_px: int = 0,
    footer_px: int = 0,
) -> Image:
    """Centre tiles [H,W,3] in equal cells, titles above columns, labels turned beside rows.

    A label has two parts, the first of which is cut where there is no room.
    """
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
        draw.text((middle, top - TITLE_PX // 2 - 2), shown, TEXT, letters(18), anchor="mm")
    for index, row in enumerate(rows):
        y = top + index * (cell_height + GAP_PX)
        if labels:
            picture.paste(_turned_text(*labels[index], cell_height), (GAP_PX // 2, y))
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
    draw.text(middle, verdict.status.upper(), "white", letters(22), anchor="mm")
    cost = f"{result.seconds['total']:.2f} s, {result.renders} renderings, {result.method}"
    right = picture.width - GAP_PX
    draw.text((right, middle[1]), cost, FAINT_TEXT, letters(16), anchor="rm")
    reason = verdict.reasons[0] if verdict.reasons else ""
    left = badge[2] + 14
    room_px = right - draw.textlength(cost, letters(16)) - left - 20
    _draw_wrapped(draw, (left, middle[1]), reason, room_px)


def _draw_footer(picture: Image) -> int:
    """Say what the colours of the difference mean, at the right; return where that begins."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    right, y, font = picture.width - GAP_PX, picture.height - GAP_PX // 2, letters(15)
    for text, colour in (
        ("rendered CT brighter", display.BRIGHTER_MOVING),
        ("X-ray brighter,  ", display.BRIGHTER_FIXED),
        ("Difference after matching gain and offset:  ", None),
    ):
        fill = FAINT_TEXT if colour is None else as_rgb(colour)
        draw.text((right, y), text, fill, font, anchor="rs")
        right -= round(draw.textlength(text, font))
    return right


def _draw_legend(
    picture: Image,
    result: RegistrationResult,
    colours: Mapping[str, display.Colour],
    right: int,
) -> None:
    """Name what is outlined in its colour, at the left as far as there is room.

    A body that is not to be trusted as it is says so.
    """
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    left, y, font = GAP_PX + LABEL_PX, picture.height - GAP_PX // 2, letters(15)
    for name, colour in colours.items():
        body = result.bodies.get(name)
        status = "pass" if body is None else body.verdict.status
        text = name if status == "pass" else f"{name} ({status})"
        width = round(draw.textlength(f"{text}   ", font))
        if left + width > right - GAP_PX:
            draw.text((left, y), "...", FAINT_TEXT, font, anchor="ls")
            return
        draw.text((left, y), text, as_rgb(colour), font, anchor="ls")
        left += width


def _draw_wrapped(draw: ImageDraw, left_middle: tuple[int, int], text: str, room_px: float) -> None:
    """Draw at most two lines of text, cut with dots where it is longer."""
    font = letters(18)
    average_px = draw.textlength(text, font) / max(len(text), 1)
    characters = max(8, int(0.95 * room_px / max(average_px, 1)))
    lines = textwrap.wrap(text, characters, max_lines=2, placeholder=" ...")
    draw.multiline_text(left_middle, "\n".join(lines), TEXT, font, anchor="lm", spacing=5)


def _turned_text(first: str, second: str, length_px: int) -> Image:
    """Draw text that reads upwards in the middle of a strip; ends of its first part go if it must.

    Smaller letters come before that.
    """
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (length_px, LABEL_PX - 4), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    text, font, room_px = first + second, letters(18), length_px - 2 * MARGIN_PX
    if draw.textlength(text, font) > room_px:
        font = letters(15)
    while first and draw.textlength(text, font) > room_px:
        first = first[:-1]
        text = f"{first}... {second}"
    draw.text((length_px // 2, strip.height // 2), text, TEXT, font, anchor="mm")
    return strip.rotate(90, expand=True)


def as_rgb(colour: display.Colour) -> tuple[int, int, int]:
    """Return a colour as Pillow takes it."""
    red, green, blue = (round(255 * part) for part in colour)
    return red, green, blue


def letters(size: int) -> FreeTypeFont | ImageFont:
    """Return the font of all pictures."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)
