from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from torch import Tensor

from wsreg import Camera, render, view_pose
from wsreg.cli.main import main
from wsreg.geometry.rigid import perturb
from wsreg.volumes.phantom import analytic_phantom

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """Files of a phantom and an X-ray of it, with a start that is a little off."""

    folder: Path
    ct: Path
    labels: Path
    label_names: Path
    camera: Path
    xray: Path
    start: Path
    true_pose: Tensor

    def register(self, *more: object, out: Path, xrays: tuple[Path, ...] = ()) -> int:
        """Exit status of ``wsreg register`` from the start pose."""
        words = [*(xrays or (self.xray,)), "--ct", self.ct, "--camera", self.camera,
                 "--init", self.start, "--out", out, *more]  # fmt: skip
        return main(["register", *map(str, words)])


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    volume = analytic_phantom()
    camera = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
    true = perturb(
        view_pose(volume, camera),
        torch.tensor([0.05, -0.04, 0.03, 6.0, -8.0, 15.0], dtype=torch.float64),
        volume.centre_mm,
    )
    start = perturb(
        true,
        torch.tensor([0.03, 0.02, -0.02, 3.0, 3.0, -10.0], dtype=torch.float64),
        volume.centre_mm,
    )
    affine = RAS_FROM_LPS @ volume.ct_from_voxel.numpy()
    assert volume.labels is not None
    for name, voxels in (("ct", volume.hu), ("labels", volume.labels)):
        image = nibabel.Nifti1Image(voxels.numpy().transpose(2, 1, 0), affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / f"{name}.nii.gz")
    (folder / "names.json").write_text(json.dumps(volume.label_names))
    (folder / "camera.json").write_text(
        json.dumps(
            {
                "source_to_detector_mm": 1020.0,
                "rows": 96,
                "columns": 96,
                "pixel_spacing_mm": [3.0, 3.0],
            }
        )
    )
    np.save(folder / "xray.npy", render(volume, camera, true)[0, 0].numpy())
    write_pose(folder / "start.json", start)
    return Case(
        folder=folder,
        ct=folder / "ct.nii.gz",
        labels=folder / "labels.nii.gz",
        label_names=folder / "names.json",
        camera=folder / "camera.json",
        xray=folder / "xray.npy",
        start=folder / "start.json",
        true_pose=true,
    )


def write_pose(path: Path, pose: Tensor) -> None:
    path.write_text(json.dumps({"camera_from_ct": pose.tolist(), "frame": "LPS", "units": "mm"}))


@pytest.fixture(scope="session")
def registered(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished registration."""
    folder = tmp_path_factory.mktemp("registered") / "out"
    assert case.register("--quiet", out=folder) == 0
    return folder
