"""Methods in which one thing is changed: what they minimise, and where they begin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from wsreg.datasets.sample import Sample
from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.evaluation.pose_errors import landmarks_of
from wsreg.experiments.published import TABLE_3
from wsreg.methods.preset import Preset
from wsreg.methods.run import artefacts_of
from wsreg.methods.variants import CAPTURE_VARIANTS, SIMILARITIES, SIMILARITY_VARIANTS
from wsreg.registration.starts.pose_estimator import load_pose_estimator

SPECIMEN = "17-1882"


def test_the_rows_of_the_papers_table_each_without_and_with_regions() -> None:
    assert [*TABLE_3, "mNCC"] == list(SIMILARITIES.values())
    by_adam = [one for one in SIMILARITY_VARIANTS.values() if one.solver == "adam"]
    assert len(by_adam) == 2 * len(SIMILARITIES)
    by_newton = {o.similarity for o in SIMILARITY_VARIANTS.values() if o.solver != "adam"}
    assert {"local-ncc", "mse"} <= by_newton
    assert "ssim" not in by_newton  # it has no least-squares form


def test_what_is_trained() -> None:
    without, with_rois = (SIMILARITY_VARIANTS[f"adam-mse{end}"] for end in ("", "-rois"))
    trained = ("unet-a", "encoder-geo-ncc-roi-a")
    assert tuple(one.name for one in artefacts_of(with_rois, ("a",))) == trained
    assert tuple(one.name for one in artefacts_of(without, ("a",))) == trained
    assert CAPTURE_VARIANTS["adam-from-20-mm"].artefacts("a") == ()


@pytest.mark.parametrize(
    ("name", "measure", "moving"),
    [
        ("adam-ssim", "ssim", None),
        ("adam-ssim-rois", "ssim", "network"),
        ("gauss-newton-mse", "mse", None),
        ("gauss-newton-mse-rois", "mse", "rendered"),
    ],
)
def test_all_begin_with_the_encoders_pose(
    name: str, measure: str, moving: str | None, sample: Sample, folders: Mapping[str, Path],
    tiny: Preset,
) -> None:  # fmt: skip
    result = SIMILARITY_VARIANTS[name].registrar(folders, tiny)(sample)
    estimator = load_pose_estimator(folders[f"encoder-geo-ncc-roi-{SPECIMEN}"])
    upright = estimator.estimates(sample.radiograph, sample.camera)[0].camera_from_ct
    torch.testing.assert_close(result.start_camera_from_ct, upright)
    assert {level["measure"]["name"] for level in result.config["levels"]} == {measure}
    assert result.method == name.removesuffix("-rois").removesuffix(f"-{measure}")
    assert (result.config.get("rois_moving") if moving else None) == moving
    assert len(result.bodies) == 1


@pytest.mark.parametrize("name", ["adam-from-40-mm", "gauss-newton-from-40-mm"])
def test_a_start_is_as_far_off_as_its_name_says(name: str, sample: Sample, tiny: Preset) -> None:
    result = CAPTURE_VARIANTS[name].registrar({}, tiny)(sample)
    start, true = result.start_camera_from_ct, sample.camera_from_ct
    assert float(mtre_3d_mm(landmarks_of(sample), start, true)) == pytest.approx(40.0, abs=1e-6)
    assert not result.trace
    assert len(result.bodies) == 1
