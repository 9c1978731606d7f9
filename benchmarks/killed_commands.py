"""Commands of some seconds each that benchmarks/kills.py disturbs, and what they read."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
import torch

from wsreg import Camera, render, view_pose
from wsreg.geometry.camera_file import camera_record
from wsreg.geometry.rigid import perturb
from wsreg.methods.artefact import Artefact, make_artefact
from wsreg.methods.preset import PRESETS, Preset, tiny_segmentation
from wsreg.training.config import FitConfig
from wsreg.training.segmentation_config import Architecture, SegmentationConfig
from wsreg.volumes.phantom import analytic_phantom

WSREG = (sys.executable, "-m", "wsreg.cli.main")
SPECIMENS = ("17-1882", "18-1109")
XRAYS = tuple(f"x{number}.npy" for number in range(4))
STEPS = {"steps": 12, "save_every": 2}


def _register(out: Path) -> Sequence[str]:
    return (
        *WSREG, "register", *XRAYS, "--ct", "ct.nii.gz", "--camera", "camera.json", "--init",
        "start.json", "--slicer", "--resume", "--quiet", "--out", f"{out}/results",
    )  # fmt: skip


def _segment(out: Path) -> Sequence[str]:
    return (
        *WSREG, "segment", *XRAYS, "--camera", "camera.json", "--model", "unet", "--resume",
        "--quiet", "--out", f"{out}/results",
    )  # fmt: skip


def _cohort(out: Path) -> Sequence[str]:
    return (
        *WSREG, "simulate", "cohort", "--preset", "tiny", "--specimens", *SPECIMENS, "--xrays",
        "1", "--workers", "2", "--force", "--quiet", "--out", f"{out}/cohort.h5",
    )  # fmt: skip


def _evaluate(out: Path) -> Sequence[str]:
    return (
        *WSREG, "evaluate", "--data", "cohort.h5", "--method", "diffpose", "--preset", "tiny",
        "--quiet", "--out", f"{out}/results",
    )  # fmt: skip


def _training(kind: str) -> Callable[[Path], Sequence[str]]:
    script = str(Path(__file__).with_name("kills.py"))
    return lambda out: (
        sys.executable, script, "--train-in", f"{out}/network", "--kind", kind,
    )  # fmt: skip


COMMANDS: Mapping[str, Callable[[Path], Sequence[str]]] = {
    "register": _register, "segment": _segment, "cohort": _cohort,
    "train-segmentation": _training("unet"), "train-encoder": _training("encoder"),
    "evaluate": _evaluate,
}  # fmt: skip
"""Words of each by the folder that it writes to; the same words go on."""


def train(folder: Path, kind: str) -> None:
    """Train a tiny network that saves its state often."""
    artefact = (
        Artefact(kind="encoder", specimen=SPECIMENS[0], losses="geo-ncc")
        if kind == "encoder"
        else Artefact(kind="unet", specimen=SPECIMENS[0])
    )
    workers = 1 if kind == "encoder" else 0
    make_artefact(artefact, Path("cohort.h5"), folder, {}, _preset(), workers=workers)


def _preset() -> Preset:
    tiny = PRESETS["tiny"]
    encoder = dataclasses.replace(tiny.encoder, fit=_often(tiny.encoder.fit))
    return dataclasses.replace(tiny, encoder=encoder, segmentation=_segmentation)


def _segmentation(architecture: Architecture, xrays: int) -> SegmentationConfig:
    config = tiny_segmentation(architecture, xrays)
    return dataclasses.replace(config, fit=_often(config.fit))


def _often(config: FitConfig) -> FitConfig:
    return dataclasses.replace(config, steps=STEPS["steps"], save_every=STEPS["save_every"])


def make_inputs(folder: Path) -> None:
    """Make what the commands read, unless it is there: a CT, X-rays, a cohort, a U-Net."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "start.json").exists():
        _make_xrays(folder)
    if not (folder / "cohort.h5").exists():
        words = (*WSREG, "simulate", "cohort", "--preset", "tiny", "--specimens", *SPECIMENS,
                 "--xrays", "1", "--out", "cohort.h5")  # fmt: skip
        subprocess.run(words, cwd=folder, check=True)
    artefact = Artefact(kind="unet", specimen=SPECIMENS[0])
    make_artefact(artefact, folder / "cohort.h5", folder / "unet", {}, PRESETS["tiny"])


def _make_xrays(folder: Path) -> None:
    volume = analytic_phantom()
    camera = Camera(source_to_detector_mm=1020.0, rows=96, columns=96, pixel_spacing_mm=(3.0, 3.0))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ct_from_voxel.numpy()
    image = nibabel.Nifti1Image(volume.hu.numpy().transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / "ct.nii.gz")
    (folder / "camera.json").write_text(json.dumps(camera_record(camera)))
    start = view_pose(volume, camera)
    for number, name in enumerate(XRAYS):
        move = torch.tensor([0.01 * number, 0.02, -0.01, 3.0, number, 5.0], dtype=torch.float64)
        pose = perturb(start, move, volume.centre_mm)
        np.save(folder / name, render(volume, camera, pose)[0, 0].numpy())
    pose_record = {"camera_from_ct": start.tolist(), "frame": "LPS", "units": "mm"}
    (folder / "start.json").write_text(json.dumps(pose_record))
