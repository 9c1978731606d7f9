"""sequence.png: some frames of a sequence with the outlines of its bodies, lost ones marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.outputs import display
from wsreg.outputs.display import Mask, Pixels
from wsreg.outputs.pictures import (
    BACKGROUND,
    EDGE_COLOUR,
    FAINT_TEXT,
    GAP_PX,
    ROI_COLOURS,
    TEXT,
    VERDICT_COLOURS,
    as_rgb,
    letters,
)
from wsreg.radiographs.mirror import mirrored_camera, mirrored_radiograph
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.sequence.frames import FrameViews
from wsreg.registration.sequence.result import FrameResult, SequenceResult
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render

TILE_PX, COLUMNS, MOST_TILES = 256, 6, 24
CAPTION_PX, FRAME_PX = 24, 3


def sequence_picture(
    result: SequenceResult, frames: Sequence[FrameViews], ct: PreparedCt
) -> Image.Image:
    """Draw frames in the first view, each framed and named in the colour of its verdict.

    Args:
        result: of the sequence.
        frames: its X-rays.
        ct: with the labels by which bodies are outlined; without any, edges are drawn.
    """
    chosen = shown_frames(result)
    tiles = [_tile(result, result.frames[number], frames, ct) for number in chosen]
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    cell = (width + GAP_PX, height + CAPTION_PX + GAP_PX)
    size = (GAP_PX + columns * cell[0], GAP_PX + rows * cell[1] + CAPTION_PX)
    picture = Image.new("RGB", size, BACKGROUND)
    for index, (number, tile) in enumerate(zip(chosen, tiles, strict=True)):
        corner = (GAP_PX + index % columns * cell[0], GAP_PX + index // columns * cell[1])
        _draw_tile(picture, tile, corner, result.frames[number])
    _draw_legend(picture, result)
    return picture


def shown_frames(result: SequenceResult, most: int = MOST_TILES) -> list[int]:
    """Return the numbers of frames to be shown: those not found, then others spread evenly."""
    count = len(result.frames)
    lost = [frame.number for frame in result.frames if frame.verdict.status == "fail"]
    kept = lost[:: -(-len(lost) // (most // 2))] if lost else []
    others = [number for number in range(count) if number not in lost]
    wanted = min(most - len(kept), len(others))
    places = np.linspace(0, len(others) - 1, wanted).round().astype(int).tolist()
    return sorted({*kept, *(others[place] for place in places)})


def _tile(
    result: SequenceResult, frame: FrameResult, frames: Sequence[FrameViews], ct: PreparedCt
) -> Pixels:
    """Return [H,W,3] of a frame with its outlines; black where it cannot be read."""
    camera = result.camera
    scale = TILE_PX / max(camera.rows, camera.columns)
    small = camera.resized(
        max(1, round(scale * camera.rows)), max(1, round(scale * camera.columns))
    )
    radiograph = _first_view(frames, frame.number)
    if radiograph is None:
        return np.zeros((small.rows, small.columns, 3), dtype=np.float32)
    if frame.mirrored:
        radiograph, small = mirrored_radiograph(radiograph), mirrored_camera(small)
    size = (small.rows, small.columns)
    mask = display.resized_mask(radiograph.mask, size)
    fixed = display.resized(radiograph.image, size)
    tile = display.grey(fixed, display.display_window(fixed, mask), mask)
    return _outlined(tile, mask, result, frame, small, ct)


def _first_view(frames: Sequence[FrameViews], number: int) -> Radiograph | None:
    try:
        found = frames[number]
    except InputError:
        return None
    return found if isinstance(found, Radiograph) else found[0]


def _outlined(
    tile: Pixels,
    mask: Mask,
    result: SequenceResult,
    frame: FrameResult,
    camera: Camera,
    ct: PreparedCt,
) -> Pixels:
    """Return the tile with a line around each body that has labels; of one without, its edges."""
    for (name, body), colour in zip(result.bodies.items(), ROI_COLOURS, strict=False):
        pose = frame.bodies[name].camera_from_ct
        if pose is None:
            continue
        if body.labels:
            lengths_mm = _rendered(ct, camera, pose, body.labels)
            tile = display.painted(tile, display.outline(lengths_mm), colour)
        elif len(result.bodies) == 1:
            image = _rendered(ct, camera, pose, ())
            tile = display.painted(tile, display.edges(image, mask), EDGE_COLOUR)
    return tile


def _rendered(ct: PreparedCt, camera: Camera, pose: Tensor, labels: tuple[int, ...]) -> Pixels:
    with torch.no_grad():
        image = render(
            ct.volume, camera, pose, rois=[labels] if labels else (), attenuation=not labels,
            any_pose=True,
        )  # fmt: skip
    pixels: Pixels = image[0, 0].float().numpy()
    return pixels


def _draw_tile(
    picture: Image.Image, tile: Pixels, corner: tuple[int, int], frame: FrameResult
) -> None:
    draw, colour = ImageDraw.Draw(picture), VERDICT_COLOURS[frame.verdict.status]
    pixels = Image.fromarray(np.rint(np.clip(tile, 0, 1) * 255).astype(np.uint8))
    left, top = corner
    draw.rectangle(
        (left - FRAME_PX, top - FRAME_PX, left + pixels.width + FRAME_PX - 1,
         top + pixels.height + FRAME_PX - 1), fill=colour,
    )  # fmt: skip
    picture.paste(pixels, corner)
    text = f"{frame.number}  {frame.verdict.status}"
    draw.text((left, top + pixels.height + CAPTION_PX // 2 + 1), text, colour, letters(16), "lm")


def _draw_legend(picture: Image.Image, result: SequenceResult) -> None:
    draw, left, y = ImageDraw.Draw(picture), GAP_PX, picture.height - CAPTION_PX // 2
    counts = {status: result.count(status) for status in VERDICT_COLOURS}
    said = f"{len(result.frames)} frames: " + ", ".join(f"{n} {word}" for word, n in counts.items())
    draw.text((left, y), said, TEXT, letters(15), anchor="lm")
    left += round(draw.textlength(f"{said}    ", letters(15)))
    names = zip(result.bodies.items(), ROI_COLOURS, strict=False)
    for (name, body), colour in names:
        if body.labels or len(result.bodies) == 1:
            fill = as_rgb(colour) if body.labels else FAINT_TEXT
            draw.text((left, y), name, fill, letters(15), anchor="lm")
            left += round(draw.textlength(f"{name}   ", letters(15)))
