from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from wsreg.cli.main import main


def render(case: Any, out: Path, *more: object) -> int:
    words = ["render", "--ct", case.ct, "--camera", case.camera, "--out", out, "--quiet", *more]
    return main([str(word) for word in words])


def pixels(path: Path) -> np.ndarray:
    """[rows,columns] of any format; PNG goes back to values by the scale it holds."""
    if path.suffix == ".npy":
        return np.asarray(np.load(path))
    if path.name.endswith(".nii.gz"):
        return np.asarray(nibabel.load(path).dataobj)[:, :, 0].T
    with Image.open(path) as image:
        stored = np.asarray(image, dtype=np.float64)
        if path.suffix != ".png":
            return stored
        low, scale = (float(word) for word in image.info["Description"].split()[2:5:2])
    return low + scale * stored


@pytest.mark.parametrize("name", ["drr.npy", "drr.png", "drr.tiff", "drr.nii.gz"])
def test_every_format_holds_the_x_ray_that_was_rendered(
    case: Any, tmp_path: Path, name: str
) -> None:
    pose = tmp_path / "pose.json"
    fields = {"camera_from_ct": case.true_pose.tolist(), "frame": "LPS", "units": "mm"}
    pose.write_text(json.dumps(fields))
    assert render(case, tmp_path / name, "--pose", pose) == 0
    np.testing.assert_allclose(pixels(tmp_path / name), np.load(case.xray), atol=2e-4)


def test_a_view_can_be_named_or_given_by_angles(case: Any, tmp_path: Path) -> None:
    for name, view in (("name.npy", "lat"), ("angles.npy", "90,0"), ("other.npy", "-90,0")):
        assert render(case, tmp_path / name, "--view", view) == 0
    named, angles, other = (
        np.load(tmp_path / f"{name}.npy") for name in ("name", "angles", "other")
    )
    np.testing.assert_array_equal(named, angles)
    assert np.abs(named - other).max() > 0.1


def test_labels_restrict_what_is_rendered(case: Any, tmp_path: Path) -> None:
    names = {name: value for value, name in json.loads(case.label_names.read_text()).items()}
    labels = ("--labels", case.labels, "--label-names", case.label_names)
    chosen = {"by_name.npy": "hip_left", "by_value.npy": names["hip_left"]}
    for out, label in chosen.items():
        assert render(case, tmp_path / out, *labels, "--render-labels", label) == 0
    hip = np.load(tmp_path / "by_name.npy")
    np.testing.assert_array_equal(hip, np.load(tmp_path / "by_value.npy"))
    # PA: the patient's left is on the image's left.
    assert hip[:, :48].sum() > 10 * hip[:, 48:].sum() > -1


@pytest.mark.parametrize(
    ("out", "more", "said"),
    [
        ("drr.jpg", (), ".npy, .png"),
        ("drr.npy", ("--step-mm", "-1"), "step_mm"),
        ("drr.npy", ("--labels", "LABELS", "--render-labels", "hip"), "hip"),
    ],
)
def test_bad_input_writes_nothing(
    case: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    out: str,
    more: tuple[str, ...],
    said: str,
) -> None:
    words = [case.labels if word == "LABELS" else word for word in more]
    assert render(case, tmp_path / out, *words) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_says_how_the_values_are_kept(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["render", "--ct", case.ct, "--camera", case.camera, "--out", tmp_path / "drr.npy"]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr()
    assert (
        said.out
        == f"{tmp_path / 'drr.npy'}: 96 rows x 96 columns, float32 values, [rows, columns]\n"
    )
    assert "Reading the CT ct.nii.gz ... " in said.err
