"""Whole files of every kind that wsreg reads, as small as they can be, and how each is read.

Files whose name begins with ``whole`` are never broken: they are what the broken one belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.datasets.preprocessed import PreprocessedFile, write_preprocessed
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.writer import CohortWriter, Projection
from wsreg.geometry.camera import Camera
from wsreg.radiographs.frame_files import FrameFiles, frame_source
from wsreg.radiographs.reading import read_radiograph
from wsreg.segmentation.masks import read_rois
from wsreg.volumes.phantom import analytic_phantom
from wsreg.volumes.reading import read_volume
from wsreg.volumes.volume import Volume

EVERY = 8
"""The phantom's voxels that are taken along each axis: 20 x 15 x 20 of 16 mm."""
SHAPE = (48, 40)
"""Rows and columns of X-rays."""
BONES = {1: "left-hemipelvis", 2: "right-hemipelvis", 3: "vertebrae"}


@dataclass(frozen=True, kw_only=True)
class Seed:
    """Whole files of one kind.

    Args:
        name: of the kind.
        make: writes them into a folder.
        read: reads them from there, as a command does.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]


@lru_cache(maxsize=1)
def body() -> Volume:
    """Return a coarse torso with three labels."""
    whole = analytic_phantom()
    assert whole.labels is not None
    labels = whole.labels[::EVERY, ::EVERY, ::EVERY].clone()
    labels[labels > 3] = 0
    labels[4, 4, 4:8], labels[5, 5, 4:8], labels[6, 6, 4:8] = 1, 2, 3
    affine = whole.ct_from_voxel.clone()
    affine[:3, :3] *= EVERY
    hu = whole.hu[::EVERY, ::EVERY, ::EVERY].clone()
    return Volume(hu=hu, ct_from_voxel=affine, labels=labels, label_names=BONES)


def hu() -> NDArray[np.int16]:
    """Return its Hounsfield units [D,H,W]."""
    return np.ascontiguousarray(body().hu.numpy(), dtype=np.int16)


def labels() -> NDArray[np.uint8]:
    """Return its labels [D,H,W]."""
    found = body().labels
    assert found is not None
    return np.ascontiguousarray(found.numpy(), dtype=np.uint8)


def xray() -> NDArray[np.uint16]:
    """Return an X-ray [rows, columns] of something, bright where nothing is in the way."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    path = np.exp(-(((rows - 24) / 14) ** 2 + ((columns - 20) / 9) ** 2))
    speckle = np.random.default_rng(0).random(SHAPE)
    pixels: NDArray[np.uint16] = (60000 * np.exp(-2.5 * path) + 500 * speckle).astype(np.uint16)
    return pixels


def camera() -> Camera:
    """Return the camera of X-rays."""
    return Camera(
        source_to_detector_mm=1000.0, rows=SHAPE[0], columns=SHAPE[1], pixel_spacing_mm=(6.0, 6.0)
    )


def write_nifti(path: Path, voxels: NDArray[Any]) -> None:
    """Write voxels [D,H,W] on the torso's grid."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ body().ct_from_voxel.numpy()
    image = nibabel.Nifti1Image(voxels.T, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def write_itk(path: Path, voxels: NDArray[Any], *, packed: bool, names: bool = False) -> None:
    """Write voxels [D,H,W] on the torso's grid, with segments' names if asked to."""
    image = SimpleITK.GetImageFromArray(voxels)
    affine = body().ct_from_voxel.numpy()
    image.SetSpacing(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    for number, name in BONES.items() if names else ():
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(number))
        image.SetMetaData(f"Segment{number}_Layer", "0")
    SimpleITK.WriteImage(image, str(path), packed)


def _ct(name: str, *, packed: bool = True) -> Seed:
    def make(folder: Path) -> None:
        if name.endswith((".nii", ".nii.gz", ".img")):
            write_nifti(folder / name, hu())
        else:
            write_itk(folder / name, hu(), packed=packed)

    return Seed(
        name=f"CT {name}{'' if packed else ' raw'}", make=make,
        read=lambda folder: read_volume(folder / name),
    )  # fmt: skip


def _labels(name: str) -> Seed:
    def make(folder: Path) -> None:
        write_nifti(folder / "whole-ct.nii", hu())
        if name.endswith(".nii.gz"):
            write_nifti(folder / name, labels())
        else:
            write_itk(folder / name, labels(), packed=True, names=True)

    return Seed(
        name=f"labels {name}", make=make,
        read=lambda folder: read_volume(folder / "whole-ct.nii", folder / name),
    )  # fmt: skip


def _masks() -> Seed:
    def make(folder: Path) -> None:
        write_nifti(folder / "whole-ct.nii", hu())
        (folder / "masks").mkdir()
        for number, name in BONES.items():
            write_nifti(folder / f"masks/{name}.nii.gz", (labels() == number).astype(np.uint8))

    return Seed(
        name="labels folder of masks", make=make,
        read=lambda folder: read_volume(folder / "whole-ct.nii", folder / "masks"),
    )  # fmt: skip


NAMES = {
    "names.json": '{"1": "left-hemipelvis", "2": "right-hemipelvis", "3": "vertebrae"}',
    "names.csv": "id,structure\n1,left-hemipelvis\n2,right-hemipelvis\n3,vertebrae\n",
    "names.ctbl": "# colours\n1 left-hemipelvis 255 0 0 255\n2 other 0 255 0 255\n",
    "names.label": '1 255 0 0 1 1 1 "left-hemipelvis"\n2 0 255 0 1 1 1 "right"\n',
}


def _names(name: str) -> Seed:
    def make(folder: Path) -> None:
        write_nifti(folder / "whole-ct.nii", hu())
        write_nifti(folder / "whole-labels.nii", labels())
        (folder / name).write_text(NAMES[name])

    return Seed(
        name=f"label {name}", make=make,
        read=lambda folder: read_volume(
            folder / "whole-ct.nii", folder / "whole-labels.nii", folder / name
        ),
    )  # fmt: skip


def _write_xray(path: Path, pixels: NDArray[Any]) -> None:
    """Write an X-ray as the name says: its ending, and before that how."""
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(pixels.T, np.eye(4)), path)
    elif path.stem == "colour":
        SimpleITK.WriteImage(
            SimpleITK.GetImageFromArray(np.stack([pixels] * 3, axis=-1), isVector=True), str(path)
        )
    elif path.stem == "palette":
        Image.fromarray((pixels >> 8).astype(np.uint8)).convert("P").save(path)
    elif path.stem == "real":
        Image.fromarray(pixels.astype(np.float32)).save(path, compression="tiff_lzw")
    elif path.suffix == ".tif":
        Image.fromarray(pixels).save(path)
    else:
        Image.fromarray(pixels).save(path)


def _xray(name: str) -> Seed:
    return Seed(
        name=f"X-ray {name}", make=lambda folder: _write_xray(folder / name, xray()),
        read=lambda folder: read_radiograph(folder / name, camera=camera()),
    )  # fmt: skip


def _rois(name: str) -> Seed:
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[10:20, 5:15], pixels[10:20, 20:30] = 1, 2

    def make(folder: Path) -> None:
        if name.endswith(".npz"):
            found = np.stack([pixels == 1, pixels == 2]).astype(np.float32)
            np.savez_compressed(
                folder / name, probabilities=found, roi_names=np.array(list(BONES.values())[:2])
            )
        else:
            _write_xray(folder / name, pixels)

    return Seed(
        name=f"regions {name}", make=make,
        read=lambda folder: read_rois(folder / name, SHAPE, body(), BONES),
    )  # fmt: skip


def _frames() -> Seed:
    def make(folder: Path) -> None:
        for number in range(3):
            np.save(folder / f"frame-{number}.npy", np.roll(xray(), number, axis=0))

    def read(folder: Path) -> object:
        frames = FrameFiles(
            frame_source(folder), lambda path, _: read_radiograph(path, camera=camera())
        )
        return [frames[number] for number in range(len(frames))]

    return Seed(name="sequence folder", make=make, read=read)


def write_cohort(path: Path) -> None:
    """Write a cohort of one specimen with two X-rays."""
    import torch

    from wsreg.datasets.layout import LANDMARK_NAMES, POSES
    from wsreg.volumes.views import view_pose

    points = {n: torch.full((3,), 9.0 * i) for i, n in enumerate(LANDMARK_NAMES)}
    pose = view_pose(body(), camera(), "AP")
    with CohortWriter(path, camera(), record={"seed": 1}) as writer:
        writer.write_specimen("17-1882", body(), points)
        for number in range(2):
            one = Projection(
                image=torch.from_numpy(xray().astype(np.float32)),
                labels=torch.zeros(SHAPE, dtype=torch.uint8),
                landmarks_px={name: torch.tensor([3.0, 4.0]) for name in LANDMARK_NAMES},
                poses=dict.fromkeys(POSES, pose),
                rot_180_for_up=bool(number),
                record={"number": number},
            )
            writer.write_projection("17-1882", f"{number:03d}", one)


def _cohort_read(folder: Path) -> object:
    inspect_deepfluoro(folder / "cohort.h5")
    with DeepFluoroFile(folder / "cohort.h5") as file:
        for specimen in file.specimens:
            file.check(specimen)
        return file.record, list(file.samples())


def _preprocessed_make(folder: Path) -> None:
    write_cohort(folder / "made.h5")
    with DeepFluoroFile(folder / "made.h5") as file:
        write_preprocessed(file, folder / "small.h5")
    (folder / "made.h5").unlink()


def _preprocessed_read(folder: Path) -> object:
    inspect_deepfluoro(folder / "small.h5")
    file = PreprocessedFile(folder / "small.h5")
    try:
        return [file.specimen(name) for name in file.specimens]
    finally:
        file.close()


IMAGES: tuple[Seed, ...] = (
    *map(_ct, ("ct.nii.gz", "ct.nii", "ct.img", "ct.nrrd", "ct.nhdr", "ct.mha", "ct.mhd")),
    _ct("ct.nrrd", packed=False), _ct("ct.mhd", packed=False), _ct("ct.mha", packed=False),
    *map(_labels, ("labels.nii.gz", "labels.seg.nrrd", "labels.mha")),
    _masks(), *map(_names, NAMES),
    *map(_xray, ("grey.png", "colour.png", "palette.png", "grey.tif", "real.tif", "colour.tif",
                 "xray.npy", "xray.nii.gz", "xray.nii")),
    *map(_rois, ("regions.npz", "regions.png", "regions.npy")),
    _frames(),
    Seed(name="cohort", make=lambda folder: write_cohort(folder / "cohort.h5"), read=_cohort_read),
    Seed(name="preprocessed", make=_preprocessed_make, read=_preprocessed_read),
)  # fmt: skip
"""All but DICOM."""
