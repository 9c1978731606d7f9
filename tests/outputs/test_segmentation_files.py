from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from wsreg import Camera
from wsreg.outputs.segmentation_files import region_rows, write_region_table, write_segmentation
from wsreg.radiographs.radiograph import Radiograph
from wsreg.volumes.label_names import read_label_names

NAMES = ("left-femur", "right-femur")


def radiograph() -> Radiograph:
    camera = Camera(source_to_detector_mm=1000.0, rows=8, columns=6, pixel_spacing_mm=(2.0, 0.5))
    return Radiograph(
        image=torch.rand(8, 6, generator=torch.Generator().manual_seed(0)),
        mask=torch.ones(8, 6, dtype=torch.bool),
        camera=camera,
    )


def found() -> torch.Tensor:
    probabilities = torch.zeros(2, 8, 6)
    probabilities[0, 2:4, 1:5] = 0.75
    return probabilities


def test_files_hold_labels_probabilities_and_names(tmp_path: Path) -> None:
    files = write_segmentation(tmp_path / "out", radiograph(), found(), NAMES)
    folder = tmp_path / "out"
    assert files == sorted(path.name for path in folder.iterdir())
    labels = np.array(Image.open(folder / "labels.png"))
    assert labels.dtype == np.uint8
    assert labels.shape == (8, 6)
    assert labels.sum() == 8
    nifti = nibabel.load(folder / "labels.nii.gz")
    assert np.array_equal(np.asarray(nifti.dataobj)[..., 0].T, labels)
    assert nifti.header.get_zooms()[:2] == (0.5, 2.0)
    stored = np.load(folder / "probabilities.npz")
    assert np.array_equal(stored["probabilities"], found().numpy())
    assert tuple(stored["roi_names"]) == NAMES
    assert read_label_names(folder / "label_names.json") == {1: "left-femur", 2: "right-femur"}


def test_the_picture_shows_the_region_in_its_colour(tmp_path: Path) -> None:
    write_segmentation(tmp_path, radiograph(), found(), NAMES)
    picture = np.asarray(Image.open(tmp_path / "overlay.png")).astype(int)
    assert picture.shape == (900, 675, 3)
    row, column = 350, 300  # inside the region, below the names
    red, green, blue = picture[row, column]
    assert green > red
    assert green > blue
    outside = picture[700, 300]
    assert outside.max() - outside.min() <= 1


def test_the_table_gives_area_and_centroid_and_says_what_is_missing(tmp_path: Path) -> None:
    rows = region_rows("a", radiograph(), found(), NAMES)
    rows += region_rows("b", radiograph(), torch.zeros(2, 8, 6), NAMES)
    write_region_table(rows, tmp_path / "rois.csv")
    with (tmp_path / "rois.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["roi"] for row in table] == [*NAMES, *NAMES]
    assert (table[0]["area_px"], float(table[0]["area_mm2"])) == ("8", 8.0)
    assert float(table[0]["centroid_column_px"]) == 2.5
    assert float(table[0]["centroid_row_px"]) == 2.5
    assert table[0]["note"] == ""
    assert table[1]["note"] == "not found"
    assert table[1]["centroid_row_px"] == ""
    assert table[2]["note"] == table[3]["note"] == "nothing found in this X-ray"


def test_without_a_camera_areas_are_in_pixels_only() -> None:
    plain = Radiograph(image=torch.zeros(8, 6), mask=torch.ones(8, 6, dtype=torch.bool))
    assert "area_mm2" not in region_rows("a", plain, found(), NAMES)[0]


@pytest.mark.parametrize("shape", [(300, 7), (1000, 1200)])
def test_any_shape_makes_a_picture(tmp_path: Path, shape: tuple[int, int]) -> None:
    plain = Radiograph(image=torch.rand(shape), mask=torch.ones(shape, dtype=torch.bool))
    write_segmentation(tmp_path, plain, torch.zeros(1, *shape), ("a",))
    with Image.open(tmp_path / "overlay.png") as picture:
        assert max(picture.size) == 900
