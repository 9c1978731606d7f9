"""DeepFluoro's preprocessed file: small images, labels and landmarks, no CTs and no poses.

Its images are head up, as one sees them facing the source: the mirror images of this package's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py
import numpy as np
import torch
from torch import Tensor

from wsreg.datasets import hdf5
from wsreg.datasets.layout import LANDMARK_GROUP, LANDMARK_NAMES, SPECIMENS
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.datasets.staging import staged_hdf5
from wsreg.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class PreprocessedSpecimen:
    """Everything that the preprocessed file has of one specimen, as this package's camera sees it.

    Args:
        images: [N,R,C] float32.
        labels: [N,R,C] uint8.
        landmarks_px: [N,2,L] float64 (column,row); may lie outside of the image.
        landmark_names: of the L landmarks.
    """

    images: Tensor
    labels: Tensor
    landmarks_px: Tensor
    landmark_names: tuple[str, ...]


class PreprocessedFile:
    """An open file; nothing large is read before it is asked for.

    with PreprocessedFile(path) as file:
        for name in file.specimens:
            file.specimen(name).images
    """

    def __init__(self, path: str | Path) -> None:
        """Open a file.

        Raises:
            InputError: it cannot be read, or is not in this layout.
        """
        self.path = Path(path)
        self._file = hdf5.open_for_reading(self.path)
        try:
            self.landmark_names = landmark_names(self._file)
        except InputError:
            self._file.close()
            raise

    @property
    def specimens(self) -> tuple[str, ...]:
        """Return the specimens' names: ``01``, ``02``, ..."""
        return tuple(sorted(name for name in hdf5.names(self._file) if name != LANDMARK_GROUP))

    def specimen(self, name: str) -> PreprocessedSpecimen:
        """Read all X-rays of a specimen.

        Raises:
            InputError: there is none of that name, or a part is missing or of the wrong shape.
        """
        if name not in self.specimens:
            raise InputError(
                f"data set {self.path.name} has no specimen {name!r}, "
                f"it has {', '.join(self.specimens) or 'none'}"
            )
        group = hdf5.group(self._file, name)
        images = hdf5.array(group, "projs", None, None, None)
        labels = hdf5.array(group, "segs", *images.shape)
        landmarks = hdf5.array(group, "lands", len(images), 2, len(self.landmark_names))
        return PreprocessedSpecimen(
            images=torch.from_numpy(images.astype(np.float32)).flip(-1),
            labels=torch.from_numpy(labels.astype(np.uint8)).flip(-1),
            landmarks_px=_mirrored(torch.from_numpy(landmarks.astype(np.float64)), images.shape[2]),
            landmark_names=self.landmark_names,
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def landmark_names(file: h5py.File) -> tuple[str, ...]:
    """Return the names of the landmarks of a preprocessed file, in its order."""
    group = hdf5.group(file, LANDMARK_GROUP)
    count = int(hdf5.number(group, "num-lands"))
    return tuple(hdf5.text(group, f"land-{index:02d}") for index in range(count))


def write_preprocessed(source: DeepFluoroFile, path: str | Path) -> None:
    """Write a full-resolution file's projections, prepared as ``source`` prepares them.

    Raises:
        InputError: the file cannot be written, or a landmark is missing.
    """
    with staged_hdf5(Path(path)) as (file, check_disk):
        group = file.create_group(LANDMARK_GROUP)
        group["num-lands"] = np.uint64(len(LANDMARK_NAMES))
        for index, name in enumerate(LANDMARK_NAMES):
            group[f"land-{index:02d}"] = name
        for index, specimen in enumerate(_numbered(source.specimens), start=1):
            if specimen in source.specimens:
                _write_specimen(file.create_group(f"{index:02d}"), source, specimen)
                check_disk()


def _numbered(specimens: tuple[str, ...]) -> tuple[str, ...]:
    """Return the published specimens, also where some are missing, and then the others."""
    return (*SPECIMENS, *(name for name in specimens if name not in SPECIMENS))


def _write_specimen(group: h5py.Group, source: DeepFluoroFile, specimen: str) -> None:
    count = len(source.projections(specimen))
    for index, sample in enumerate(source.samples(specimen)):
        assert sample.labels is not None  # the reader always gives them
        parts = {
            "projs": sample.radiograph.image.flip(-1),
            "segs": sample.labels.flip(-1),
            "lands": _mirrored(_landmarks(sample), sample.camera.columns).float(),
        }
        for name, part in parts.items():
            values = part.numpy()
            if index == 0:
                group.create_dataset(
                    name,
                    (count, *values.shape),
                    values.dtype,
                    chunks=(1, *values.shape),
                    compression="gzip",
                    shuffle=True,
                )
            group[name][index] = values


def _landmarks(sample: Sample) -> Tensor:
    """Return [2,L] (column,row) of all landmarks in the layout's order."""
    missing = [name for name in LANDMARK_NAMES if name not in sample.landmarks_px]
    if missing:
        raise InputError(
            f"projection {sample.name} must have all {len(LANDMARK_NAMES)} landmarks, "
            f"{missing[0]} is missing"
        )
    return torch.stack([sample.landmarks_px[name] for name in LANDMARK_NAMES], dim=-1)


def _mirrored(landmarks_px: Tensor, columns: int) -> Tensor:
    """Return [...,2,L] landmarks in an image whose columns are reversed; it is its own inverse."""
    column, row = landmarks_px.unbind(-2)
    return torch.stack((columns - 1 - column, row), dim=-2)
