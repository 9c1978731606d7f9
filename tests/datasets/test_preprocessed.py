from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.datasets.layout import LANDMARK_NAMES
from wsreg.datasets.preparation import Preparation
from wsreg.datasets.preprocessed import read_preprocessed, write_preprocessed
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError


def test_the_published_layout_is_read(tmp_path: Path) -> None:
    path = tmp_path / "small.h5"
    with h5py.File(path, "w") as f:
        f["land-names/num-lands"] = 2
        f["land-names/land-00"], f["land-names/land-01"] = "FH-l", "FH-r"
        f["01/projs"] = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        f["01/segs"] = np.zeros((2, 3, 4), dtype=np.uint8)
        f["01/lands"] = np.array([[[1.0, 2.0], [3.0, 4.0]]] * 2)
    specimen = read_preprocessed(path)["01"]
    assert specimen.landmark_names == ("FH-l", "FH-r")
    assert specimen.images[1, 0, 0] == 12.0
    assert specimen.landmarks_px[0, :, 1].tolist() == [2.0, 4.0]  # (column, row) of FH-r
    assert inspect_deepfluoro(path).kind == "preprocessed"


def test_a_full_file_can_be_preprocessed(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.h5"
    with DeepFluoroFile(published, Preparation(crop=0.0, size_px=20, field=False)) as file:
        write_preprocessed(file, path)
        sample = file.sample("17-1882", "001")
    specimen = read_preprocessed(path)["01"]
    assert specimen.images.shape == (2, 20, 20)
    torch.testing.assert_close(specimen.images[1], sample.radiograph.image)
    index = LANDMARK_NAMES.index("SPS-r")
    torch.testing.assert_close(specimen.landmarks_px[1, :, index], sample.landmarks_px["SPS-r"])


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "small.h5"
    with h5py.File(path, "w") as f:
        f["land-names/num-lands"] = 0
        f["01/projs"] = np.zeros((2, 3, 4))
        f["01/segs"] = np.zeros((2, 3, 5), dtype=np.uint8)
    with pytest.raises(InputError, match=r"segs must have the shape 2x3x4, got \[2, 3, 5\]"):
        read_preprocessed(path)
