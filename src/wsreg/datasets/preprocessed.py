"""DeepFluoro's preprocessed file: small images, labels and landmarks, no CTs and no poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from wsreg.datasets import hdf5
from wsreg.datasets.layout import LANDMARK_NAMES
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError

LANDMARK_GROUP = "land-names"


@dataclass(frozen=True, kw_only=True, eq=False)
class PreprocessedSpecimen:
    """Everything that the preprocessed file has of one specimen.

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


def read_preprocessed(path: str | Path) -> dict[str, PreprocessedSpecimen]:
    """Specimens ``01``, ``02``, ... of a preprocessed file.

    Raises:
        InputError: it cannot be read, or a part of it is missing or of the wrong shape.
    """
    with hdf5.open_for_reading(Path(path)) as file:
        names = _landmark_names(hdf5.group(file, LANDMARK_GROUP))
        return {
            name: _specimen(hdf5.group(file, name), names)
            for name in file
            if name != LANDMARK_GROUP
        }


def write_preprocessed(source: DeepFluoroFile, path: str | Path) -> None:
    """Write a full-resolution file's projections, prepared as ``source`` prepares them.

    Raises:
        InputError: the file cannot be written, or a landmark is missing.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.partial")
    try:
        with h5py.File(temporary, "w") as file:
            group = file.create_group(LANDMARK_GROUP)
            group["num-lands"] = len(LANDMARK_NAMES)
            for index, name in enumerate(LANDMARK_NAMES):
                group[f"land-{index:02d}"] = name
            for index, specimen in enumerate(source.specimens, start=1):
                _write_specimen(file.create_group(f"{index:02d}"), list(source.samples(specimen)))
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_specimen(group: h5py.Group, samples: Sequence[Sample]) -> None:
    missing = [n for s in samples for n in LANDMARK_NAMES if n not in s.landmarks_px]
    if missing:
        raise InputError(f"projections must have all 14 landmarks, {missing[0]} is missing")
    images = np.stack([sample.radiograph.image.numpy() for sample in samples])
    labels = np.stack([np.asarray(sample.labels) for sample in samples])
    lands = np.stack(
        [
            np.stack([np.asarray(sample.landmarks_px[name]) for name in LANDMARK_NAMES], axis=-1)
            for sample in samples
        ]
    )
    for name, values in (("projs", images), ("segs", labels), ("lands", lands)):
        group.create_dataset(name, data=values, compression="gzip", shuffle=True)


def _landmark_names(group: h5py.Group) -> tuple[str, ...]:
    count = int(hdf5.number(group, "num-lands"))
    return tuple(hdf5.text(group, f"land-{index:02d}") for index in range(count))


def _specimen(group: h5py.Group, names: tuple[str, ...]) -> PreprocessedSpecimen:
    images = hdf5.array(group, "projs", None, None, None)
    labels = hdf5.array(group, "segs", *images.shape)
    landmarks = hdf5.array(group, "lands", len(images), 2, len(names))
    return PreprocessedSpecimen(
        images=torch.from_numpy(images.astype(np.float32)),
        labels=torch.from_numpy(labels.astype(np.uint8)),
        landmarks_px=torch.from_numpy(landmarks.astype(np.float64)),
        landmark_names=names,
    )
