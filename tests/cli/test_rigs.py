"""wsreg register --rig: X-rays that are views of one pose."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg import Camera, Rig, RigView, read_pose, render
from wsreg.cli.main import main
from wsreg.geometry.rig import orbit_rig
from wsreg.geometry.rig_file import rig_record
from wsreg.segmentation.rendered import rendered_rois
from wsreg.volumes.phantom import analytic_phantom

CAMERA = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
FOUR_FILES = {"result.json", "pose.json", "pose.tfm", "overlay.png"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Biplane:
    """X-rays ap.npy and lat.npy of the phantom, their rig.json, and the true poses in them."""

    case: Any
    rig: Path
    xrays: tuple[Path, Path]
    truth: tuple[Tensor, Tensor]

    def register(self, *more: object, out: Path, xrays: tuple[Path, ...] = ()) -> int:
        """Exit status of ``wsreg register`` from the start pose, which is of the first X-ray."""
        words = [*(xrays or self.xrays), "--ct", self.case.ct, "--rig", self.rig,
                 "--init", self.case.start, "--out", out, *more]  # fmt: skip
        return main(["register", *map(str, words)])


def write_rig(rig: Rig, path: Path) -> None:
    path.write_text(json.dumps(rig_record(rig)))


@pytest.fixture(name="biplane", scope="module")
def _biplane(case: Any, tmp_path_factory: pytest.TempPathFactory) -> Biplane:
    folder = tmp_path_factory.mktemp("biplane")
    rig = orbit_rig(CAMERA, angle_rad=1.4, source_to_isocentre_mm=714.0, names=("ap", "lat"))
    write_rig(rig, folder / "rig.json")
    poses = tuple(view.camera_from_rig @ case.true_pose for view in rig.views)
    for view, pose in zip(rig.views, poses, strict=True):
        image = render(analytic_phantom(), CAMERA, pose)[0, 0].numpy()
        np.save(folder / f"{view.name}.npy", image)
    return Biplane(
        case=case,
        rig=folder / "rig.json",
        xrays=(folder / "ap.npy", folder / "lat.npy"),
        truth=(poses[0], poses[1]),
    )


def result_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "result.json").read_text())
    return content


def middle_mm(pose: Tensor) -> Tensor:
    """Where the phantom's middle lies in the camera."""
    return pose[:3, 3]


def test_views_of_a_rig_have_one_result(
    biplane: Biplane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert biplane.register(out=out) == 0
    assert {path.name for path in out.iterdir()} == {*FOUR_FILES, "pose-view-lat.json"}
    result = result_of(out)
    assert set(result["inputs"]) == {"xray", "xray-2", "ct", "rig", "init"}
    assert [view["xray"] for view in result["views"]] == ["ap", "lat"]
    for name, truth in zip(("pose.json", "pose-view-lat.json"), biplane.truth, strict=True):
        apart = middle_mm(read_pose(out / name)) - middle_mm(truth)
        assert float(apart.norm()) < 0.5, "depth, too, is seen"
    said = capsys.readouterr().out
    assert "ap, lat: PASS" in said
    for view in result["views"]:
        similarity = view["similarity"]
        assert f"{similarity['start']:.3f} -> {similarity['end']:.3f}  {view['xray']}" in said
    assert "pose-view-lat.json" in said
    assert "note: lat: pixel_spacing_mm (3.0, 3.0) comes from the rig." in said
    assert "note: X-rays are the rig's views ap and lat, by name." in said


def test_the_pose_in_another_view_is_a_start_in_it(biplane: Biplane, tmp_path: Path) -> None:
    assert biplane.register("--quiet", out=tmp_path / "out") == 0
    words = ["register", biplane.xrays[1], "--ct", biplane.case.ct, "--camera", biplane.case.camera,
             "--init", tmp_path / "out" / "pose-view-lat.json", "--out", tmp_path / "lat",
             "--quiet"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    assert result_of(tmp_path / "lat")["similarity"]["start"] > 0.95


def test_views_are_matched_by_name_and_the_first_x_ray_is_the_first_view(
    biplane: Biplane, tmp_path: Path
) -> None:
    ap, lat = biplane.xrays
    start = tmp_path / "start.json"
    pose = {"camera_from_ct": biplane.truth[1].tolist(), "frame": "LPS", "units": "mm"}
    start.write_text(json.dumps(pose))
    out = tmp_path / "out"
    assert biplane.register("--quiet", "--init", start, out=out, xrays=(lat, ap)) == 0
    assert [view["xray"] for view in result_of(out)["views"]] == ["lat", "ap"]
    assert result_of(out)["notes"][0] == "X-rays are the rig's views lat and ap, by name."
    apart = middle_mm(read_pose(out / "pose.json")) - middle_mm(biplane.truth[1])
    assert float(apart.norm()) < 0.5


def in_folders(biplane: Biplane, folder: Path) -> tuple[Path, ...]:
    """The X-rays as ap/xray.npy and lat/xray.npy."""
    for path in biplane.xrays:
        (folder / path.stem).mkdir()
        shutil.copy(path, folder / path.stem / "xray.npy")
    return tuple(folder / path.stem / "xray.npy" for path in biplane.xrays)


def test_files_of_one_name_are_called_by_their_views(biplane: Biplane, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert biplane.register("--quiet", out=out, xrays=in_folders(biplane, tmp_path)) == 0
    result = result_of(out)
    assert [view["xray"] for view in result["views"]] == ["ap", "lat"]
    assert result["inputs"]["xray-2"]["name"] == "xray.npy"
    assert result["notes"][0].startswith("X-rays are the rig's views ap and lat, in their order")


def test_a_flag_wins_over_the_rigs_cameras(biplane: Biplane, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert biplane.register("--quiet", "--sdd", 1021, out=out) in (0, 1)
    result = result_of(out)
    for view in result["views"]:
        assert view["camera"]["source_to_detector_mm"] == 1021.0
        assert view["camera"]["pixel_spacing_mm"] == [3.0, 3.0]
    assert "ap: source_to_detector_mm 1021.0 comes from a flag." in result["notes"]


def test_a_camera_file_is_for_rigs_without_cameras(
    biplane: Biplane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera, out = ("--camera", biplane.case.camera), tmp_path / "out"
    assert biplane.register(*camera, out=out) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "--camera must be left out where the rig has cameras" in said
    assert said.endswith("with those of ap, lat")
    content = json.loads(biplane.rig.read_text())
    for view in content["views"]:
        del view["camera"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(content))
    assert biplane.register(*camera, "--rig", bare, "--quiet", out=out) == 0
    assert "lat: pixel_spacing_mm (3.0, 3.0) comes from the camera file." in result_of(out)["notes"]
    capsys.readouterr()
    assert biplane.register("--rig", bare, out=tmp_path / "other") == 2
    assert "camera must be given" in capsys.readouterr().err


def regions_of(biplane: Biplane, names: tuple[str, str], folder: Path) -> tuple[object, ...]:
    """Write the sacrum in each view to a folder of some name; options that register with it."""
    values = json.loads(biplane.case.label_names.read_text())
    sacrum = next(int(value) for value, name in values.items() if name == "sacrum")
    for name, pose in zip(names, biplane.truth, strict=True):
        found = rendered_rois(analytic_phantom(), CAMERA, pose[None], ((sacrum,),))[0]
        (folder / name).mkdir(parents=True)
        np.savez(
            folder / name / "probabilities.npz",
            probabilities=found.numpy().astype(np.float16),
            roi_names=np.array(["sacrum"]),
        )
    labels = ("--labels", biplane.case.labels, "--label-names", biplane.case.label_names)
    return *labels, "--roi", folder


def test_regions_are_found_for_each_view_by_the_name_of_its_x_ray(
    biplane: Biplane, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    regions = regions_of(biplane, ("ap", "lat"), tmp_path / "rois")
    assert biplane.register("--quiet", *regions, out=out) == 0
    assert list(result_of(out)["config"]["rois"]) == ["sacrum"]
    assert result_of(out)["config"]["evidence"]["roi_dice"]["sacrum"] > 0.9


@pytest.mark.parametrize("names", [("xray", "xray-2"), ("ap", "lat")])
def test_regions_of_files_of_one_name_have_numbers_or_the_views_names(
    biplane: Biplane, tmp_path: Path, names: tuple[str, str]
) -> None:
    """Numbers are what ``wsreg segment`` gives them; exchanged regions would overlap badly."""
    out, xrays = tmp_path / "out", in_folders(biplane, tmp_path)
    regions = regions_of(biplane, names, tmp_path / "rois")
    assert biplane.register("--quiet", *regions, out=out, xrays=xrays) == 0
    assert result_of(out)["config"]["evidence"]["roi_dice"]["sacrum"] > 0.9


@pytest.mark.parametrize(
    ("count", "said"), [(1, "2 views and 1 X-ray"), (3, "2 views and 3 X-rays")]
)
def test_a_rig_has_one_view_for_each_x_ray(
    biplane: Biplane, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, said: str
) -> None:
    xrays = (*biplane.xrays, biplane.case.xray)[:count]
    assert biplane.register(out=tmp_path / "out", xrays=xrays) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith(f"rig must have one view for each X-ray, got {said}")
    assert not (tmp_path / "out").exists()


def test_one_bad_x_ray_of_a_rig_is_an_error_of_all(
    biplane: Biplane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    constant = tmp_path / "lat.npy"
    np.save(constant, np.ones((96, 96)))
    out = tmp_path / "out"
    assert biplane.register("--quiet", out=out, xrays=(biplane.xrays[0], constant)) == 2
    assert "lat.npy" in capsys.readouterr().err
    assert not out.exists()


def test_a_rig_of_one_view_is_a_camera(biplane: Biplane, tmp_path: Path) -> None:
    place = torch.eye(4, dtype=torch.float64)
    one = Rig(views=(RigView(name="only", camera=CAMERA, camera_from_rig=place),))
    write_rig(one, tmp_path / "one.json")
    out = tmp_path / "out"
    rig = ("--rig", tmp_path / "one.json")
    assert biplane.register("--quiet", *rig, out=out, xrays=biplane.xrays[:1]) == 0
    assert {path.name for path in out.iterdir()} == FOUR_FILES
