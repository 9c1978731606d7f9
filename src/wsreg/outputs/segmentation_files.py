"""The regions found in an X-ray as files: labels, probabilities, a picture, and a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from wsreg.files.json_files import write_json
from wsreg.files.whole import staged_folder
from wsreg.outputs import display
from wsreg.outputs.csv_file import Row, write_csv
from wsreg.outputs.pictures import ROI_COLOURS
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.regions import label_image, regions
from wsreg.segmentation.segmenter import HARD_MASK

if TYPE_CHECKING:
    from PIL.Image import Image

TABLE_FILE, JOURNAL_FILE = "rois.csv", "segment.journal"
SEGMENTATION_FILES = (
    "labels.png", "labels.nii.gz", "label_names.json", "probabilities.npz", "overlay.png",
)  # fmt: skip
COLUMNS = (
    "xray", "roi", "area_px", "area_mm2", "centroid_column_px", "centroid_row_px", "note",
)  # fmt: skip
"""Columns of the table; mm at the detector, empty where the pixel spacing is not known."""

NOT_FOUND, NOTHING_FOUND = "not found", "nothing found in this X-ray"
PICTURE_PX = 900
TINT = 0.25


def write_segmentation(
    folder: str | Path, radiograph: Radiograph, probabilities: Tensor, names: Sequence[str]
) -> list[str]:
    """Write labels.png, labels.nii.gz, label_names.json, probabilities.npz and overlay.png.

    Args:
        folder: to write to, whole or not at all.
        radiograph: the X-ray.
        probabilities: [R,H,W] on its grid.
        names: of the R regions.

    Returns:
        The names of the files.

    Raises:
        InputError: the folder cannot be written.
    """
    from PIL import Image

    labels = label_image(probabilities).numpy()
    with staged_folder(folder) as staging:
        Image.fromarray(labels).save(staging / "labels.png")
        _write_nifti(labels, radiograph, staging / "labels.nii.gz")
        values = {str(index): name for index, name in enumerate(names, start=1)}
        write_json(staging / "label_names.json", values)
        np.savez_compressed(
            staging / "probabilities.npz",
            probabilities=probabilities.half().numpy(),
            roi_names=np.array(names),
        )
        segmentation_picture(radiograph, probabilities, names).save(staging / "overlay.png")
        return sorted(path.name for path in staging.iterdir())


def remove_segmentation(folder: Path) -> None:
    """Take away what an earlier run found in an X-ray; other files stay.

    Raises:
        InputError: the folder cannot be written.
    """
    if any((folder / name).is_file() for name in SEGMENTATION_FILES):
        with staged_folder(folder, SEGMENTATION_FILES):
            pass


def region_rows(
    xray: str, radiograph: Radiograph, probabilities: Tensor, names: Sequence[str]
) -> list[Row]:
    """Return the table's rows for one X-ray, one for each region."""
    found = regions(probabilities, names)
    missing = NOT_FOUND if any(region.area_px for region in found) else NOTHING_FOUND
    rows: list[Row] = []
    for region in found:
        row: Row = {"xray": xray, "roi": region.name, "area_px": region.area_px}
        if radiograph.camera is not None:
            row_mm, column_mm = radiograph.camera.pixel_spacing_mm
            row["area_mm2"] = region.area_px * row_mm * column_mm
        if region.centroid_px is None:
            row["note"] = missing
        else:
            row["centroid_column_px"], row["centroid_row_px"] = region.centroid_px
        rows.append(row)
    return rows


def write_region_table(rows: Iterable[Row], path: str | Path) -> None:
    """Write the rows as CSV under ``COLUMNS``, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_csv(rows, COLUMNS, path)


def segmentation_picture(
    radiograph: Radiograph, probabilities: Tensor, names: Sequence[str]
) -> Image:
    """Draw the X-ray, bone bright, with the regions tinted and outlined, and their names."""
    from PIL import Image, ImageDraw, ImageFont
    from scipy.ndimage import binary_erosion

    scale = PICTURE_PX / max(radiograph.image.shape)
    size = tuple(max(1, round(side * scale)) for side in radiograph.image.shape)
    rows, columns = size
    pixels = display.resized(radiograph.image, (rows, columns))
    mask = display.resized_mask(radiograph.mask, (rows, columns))
    shown = display.grey(pixels, display.display_window(pixels, mask), mask)
    for index, probability in enumerate(probabilities):
        colour = ROI_COLOURS[index % len(ROI_COLOURS)]
        inside = display.resized(probability, (rows, columns)) > HARD_MASK
        line = inside & ~binary_erosion(inside, iterations=2)
        opacity = np.where(line, 1.0, np.where(inside, TINT, 0.0)).astype(np.float32)
        shown = display.painted(shown, opacity, colour)
    picture = Image.fromarray(np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=16)
    for index, name in enumerate(names):
        colour = ROI_COLOURS[index % len(ROI_COLOURS)]
        fill = tuple(round(255 * part) for part in colour)
        draw.text((10, 8 + 20 * index), name, fill, font, stroke_width=2, stroke_fill="black")
    return picture


def _write_nifti(labels: np.ndarray[Any, Any], radiograph: Radiograph, path: Path) -> None:
    """Write labels with the axes [columns, rows, 1]; spacing is 1 where it is not known."""
    import nibabel

    camera = radiograph.camera
    row_mm, column_mm = (1.0, 1.0) if camera is None else camera.pixel_spacing_mm
    image: Any = nibabel.Nifti1Image(
        np.ascontiguousarray(labels.T)[..., None], np.diag([column_mm, row_mm, 1.0, 1.0])
    )
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
