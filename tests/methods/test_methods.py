"""What each method begins with, and what it refines by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
import torch

import wsreg.methods.psss as psss
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError, WsregError
from wsreg.methods.method import Method
from wsreg.methods.models import encoder_of
from wsreg.methods.paper import BOX_NOISE, simulated_boxes
from wsreg.methods.preset import Preset
from wsreg.methods.run import artefacts_of
from wsreg.methods.table import METHODS
from wsreg.registration.starts.pose_estimator import load_pose_estimator
from wsreg.segmentation.boxes import boxes_from_masks
from wsreg.training.layers import true_masks
from wsreg.vocabulary import MethodName
from wsreg.volumes.views import view_pose

SPECIMEN = "17-1882"
STARTS = {
    "psss": "geo", "diffpose": "geo-ncc",
    "wsreg-unet": "geo-ncc-roi", "wsreg-medsam": "geo-ncc-roi", "wsreg-mixed": "geo-ncc-roi",
}  # fmt: skip


def test_every_name_is_a_method() -> None:
    assert tuple(METHODS) == get_args(MethodName)
    assert all(method.name == name for name, method in METHODS.items())
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("diffdrr", ()),
        ("psss", ("encoder-geo-a",)),
        ("diffpose", ("encoder-geo-ncc-a",)),
        ("wsreg-unet", ("unet-a", "encoder-geo-ncc-roi-a")),
        ("wsreg-medsam", ("medsam-a", "unet-a", "encoder-geo-ncc-roi-a")),
        ("wsreg-mixed", ("unet-a", "medsam-a", "encoder-geo-ncc-roi-a")),
        ("ours-search", ()),
        ("ours-encoder", ("unet-a", "encoder-geo-ncc-roi-a")),
        ("ours", ()),
    ],
)
def test_what_is_trained(name: MethodName, trained: tuple[str, ...]) -> None:
    assert tuple(one.name for one in artefacts_of(METHODS[name], ("a",))) == trained


def test_diffdrr_begins_with_the_pa_pose(sample: Sample, tiny: Preset) -> None:
    result = METHODS["diffdrr"].registrar({}, tiny)(sample)
    start = view_pose(sample.volume, sample.camera, "PA")
    torch.testing.assert_close(result.start_camera_from_ct, start)
    assert result.method == "adam"
    assert result.iterations == 3
    assert result.config["levels"][0]["measure"]["name"] == "global-ncc"
    assert len(result.bodies) == 1


@pytest.mark.parametrize("name", STARTS)
def test_published_methods_begin_with_their_encoder(
    name: MethodName, sample: Sample, folders: Mapping[str, Path], tiny: Preset
) -> None:
    result = METHODS[name].registrar(folders, tiny)(sample)
    estimator = load_pose_estimator(folders[f"encoder-{STARTS[name]}-{SPECIMEN}"])
    upright = estimator.estimates(sample.radiograph, sample.camera)[0].camera_from_ct
    torch.testing.assert_close(result.start_camera_from_ct, upright)
    assert result.method == "adam"
    measure = "global-ncc" if name == "psss" else "multiscale-ncc"
    assert result.config["levels"][0]["measure"]["name"] == measure


@pytest.mark.parametrize("name", ["wsreg-unet", "wsreg-medsam", "wsreg-mixed"])
def test_regions_of_networks_are_in_the_loss(
    name: MethodName, sample: Sample, folders: Mapping[str, Path], tiny: Preset
) -> None:
    result = METHODS[name].registrar(folders, tiny)(sample)
    assert result.config["rois_moving"] == "network"
    assert "left-femur" in result.config["rois"]
    assert math.isfinite(result.similarity_end)


def test_psss_has_its_own_rates() -> None:
    assert psss.RATES.vector(1).tolist() == [math.radians(0.5)] * 3 + [5.0] * 3
    assert round(psss.STEPS_OF_PAPER * 250) == 100


@pytest.mark.parametrize(
    ("name", "init", "bodies"),
    [("ours-search", "search", 1), ("ours", "search", 4), ("ours-encoder", "encoder", 1)],
)
def test_ours(
    name: MethodName,
    init: str,
    bodies: int,
    sample: Sample,
    folders: Mapping[str, Path],
    tiny: Preset,
) -> None:
    result = METHODS[name].registrar(folders, tiny)(sample)
    assert (result.method, result.init, len(result.bodies)) == ("gauss-newton", init, bodies)


def test_simulated_boxes_are_true_ones_moved_a_little(sample: Sample) -> None:
    names = ("left-hemipelvis", "no-such-bone", "left-femur")
    label = {name: value for value, name in sample.volume.label_names.items()}
    masks, _ = true_masks(sample, [label[names[0]], label[names[2]]])
    true = boxes_from_masks(masks)
    found = simulated_boxes(sample, names)
    torch.testing.assert_close(found, simulated_boxes(sample, names), equal_nan=True)
    assert found[1].isnan().all()
    moved = found[[0, 2]] - true
    torch.testing.assert_close(moved[:, :2], moved[:, 2:])  # as a whole
    most_px = BOX_NOISE * masks.shape[-1]
    assert 0.0 < float(moved.nan_to_num().abs().max()) <= most_px


def test_another_ct_ends_the_run_and_is_no_failure_of_the_method(
    cohort: Path, folders: Mapping[str, Path]
) -> None:
    with DeepFluoroFile(cohort) as file:
        other = next(file.samples("18-1109"))
    name = f"encoder-geo-{SPECIMEN}"
    with pytest.raises(WsregError, match="must be of this CT") as found:
        encoder_of({"encoder-geo-18-1109": folders[name]}, "geo")(other)
    assert not isinstance(found.value, InputError)


def test_methods_are_what_the_protocol_says() -> None:
    methods: tuple[Method, ...] = tuple(METHODS.values())
    assert methods
