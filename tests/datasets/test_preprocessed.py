from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.datasets.layout import LANDMARK_NAMES
from wsreg.datasets.preparation import Preparation
from wsreg.datasets.preprocessed import PreprocessedFile, write_preprocessed
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
    with PreprocessedFile(path) as file:
        assert file.specimens == ("01",)
        specimen = file.specimen("01")
        with pytest.raises(InputError, match="no specimen '02', it has 01"):
            file.specimen("02")
    assert specimen.landmark_names == ("FH-l", "FH-r")
    # our camera sees the mirror image: column 0 is the file's column 3
    assert specimen.images[1, 0].tolist() == [15.0, 14.0, 13.0, 12.0]
    assert specimen.landmarks_px[0, :, 1].tolist() == [1.0, 4.0]  # (column, row) of FH-r
    assert inspect_deepfluoro(path).kind == "preprocessed"


def test_a_full_file_can_be_preprocessed(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.h5"
    with DeepFluoroFile(published, Preparation(crop=0.0, size_px=20, field=False)) as file:
        write_preprocessed(file, path)
        sample = file.sample("17-1882", "001")
    with PreprocessedFile(path) as small:
        specimen = small.specimen("01")
    assert specimen.images.shape == (2, 20, 20)
    torch.testing.assert_close(specimen.images[1], sample.radiograph.image)
    assert sample.labels is not None
    assert torch.equal(specimen.labels[1], sample.labels)
    index = LANDMARK_NAMES.index("SPS-r")
    torch.testing.assert_close(
        specimen.landmarks_px[1, :, index], sample.landmarks_px["SPS-r"], rtol=0, atol=1e-4
    )


def test_images_are_stored_head_up_but_not_mirrored(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.h5"
    with DeepFluoroFile(published, Preparation(crop=0.0, blur=0.0, field=False)) as file:
        write_preprocessed(file, path)
    with h5py.File(path) as f:
        projs, segs, lands = (f[f"01/{name}"] for name in ("projs", "segs", "lands"))
        # the dark pixel is in row 3, column 5 of both stored images; the second is head down
        assert np.unravel_index(projs[0].argmax(), (40, 60)) == (3, 5)
        assert np.unravel_index(projs[1].argmax(), (40, 60)) == (36, 54)
        assert segs[1, 36, 54] == 4
        assert lands.shape == (2, 2, 14)
        np.testing.assert_allclose(lands[1], lands[0], atol=1e-3)  # the same view, turned
        left, right = LANDMARK_NAMES.index("FH-l"), LANDMARK_NAMES.index("FH-r")
        with h5py.File(published) as full:
            stored = [full[f"17-1882/projections/000/gt-landmarks/FH-{s}"][:, 0] for s in "lr"]
        np.testing.assert_allclose(lands[0][:, [left, right]].T, stored, atol=1e-4)
        assert f["land-names/num-lands"][()] == 14


def test_specimens_keep_their_published_number(published: Path, tmp_path: Path) -> None:
    with h5py.File(published, "r+") as file:
        file.move("17-1882", "18-2799")
    path = tmp_path / "small.h5"
    with DeepFluoroFile(published) as source:
        write_preprocessed(source, path)
    with PreprocessedFile(path) as small:
        assert small.specimens == ("04",)


def test_a_landmark_that_is_missing_is_named(published: Path, tmp_path: Path) -> None:
    with h5py.File(published, "r+") as file:
        del file["17-1882/projections/001/gt-landmarks/GSN-r"]
    with (
        DeepFluoroFile(published) as source,
        pytest.raises(InputError, match="17-1882/001 must have all 14 landmarks, GSN-r"),
    ):
        write_preprocessed(source, tmp_path / "small.h5")
    assert not (tmp_path / "small.h5").exists()


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "small.h5"
    with h5py.File(path, "w") as f:
        f["land-names/num-lands"] = 0
        f["01/projs"] = np.zeros((2, 3, 4))
        f["01/segs"] = np.zeros((2, 3, 5), dtype=np.uint8)
        f["01/lands"] = np.zeros((2, 2, 0))
    with (
        PreprocessedFile(path) as file,
        pytest.raises(InputError, match=r"segs must have the shape 2x3x4, got \[2, 3, 5\]"),
    ):
        file.specimen("01")
    (problem,) = inspect_deepfluoro(path).problems
    assert "/01/segs must have the shape 2x3x4" in problem
