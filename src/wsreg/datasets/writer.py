"""Write a data set in DeepFluoro's full-resolution layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.datasets.layout import POSES, PROJECTION_PARAMETERS, RECORD_ATTRIBUTE, VALID_FLAGS
from wsreg.datasets.staging import staged_hdf5
from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.conventions import (
    deepfluoro_from_camera,
    deepfluoro_from_camera_from_ct,
    image_from_deepfluoro,
    pixels_from_deepfluoro,
)
from wsreg.volumes.volume import Volume

EXTRINSIC = torch.eye(4, dtype=torch.float64)
"""The camera's world frame is its projective frame here."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """An X-ray to be written, with its truth, all in this package's frames.

    Args:
        image: [rows,columns] float32 detector reading, bright where little is in the way.
        labels: [rows,columns] uint8.
        landmarks_px: name -> [2] (column,row).
        poses: body -> [4,4] float64 pose of every body in ``layout.POSES``.
        valid: body -> whether its pose is valid, of those in ``layout.VALID_FLAGS``; it is
            where that is left out.
        rot_180_for_up: whether the file stores the image head down.
        record: how it was made, plain values.
    """

    image: Tensor
    labels: Tensor
    landmarks_px: Mapping[str, Tensor]
    poses: Mapping[str, Tensor]
    valid: Mapping[str, bool] = field(default_factory=dict)
    rot_180_for_up: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)


class CohortWriter:
    """Write a file that appears under its name only when it is whole.

    Matrices and landmarks are stored as float32, like the published ones: 1e-4 mm, 1e-3 px.

    with CohortWriter(path, camera) as writer:
        writer.write_specimen("17-1882", volume, landmarks_mm)
        writer.write_projection("17-1882", "000", projection)
    """

    def __init__(self, path: str | Path, camera: Camera, record: Mapping[str, Any] | None = None):
        """Begin a file.

        Args:
            path: of the finished file.
            camera: of every projection; its axis must meet the image's centre, as half of the
                images may be stored turned.
            record: how the file was made, plain values.

        Raises:
            InputError: the folder cannot be written, or the camera's axis is off the centre.
        """
        column, row = camera.centre_px
        if abs(column - (camera.columns - 1) / 2) > 1e-6 or abs(row - (camera.rows - 1) / 2) > 1e-6:
            raise InputError("camera must have its principal point at the image's centre")
        self.camera = camera
        self._stack = ExitStack()
        self._file, self._check_disk = self._stack.enter_context(staged_hdf5(Path(path)))
        _note(self._file, record or {})
        parameters = self._file.create_group(PROJECTION_PARAMETERS)
        parameters["extrinsic"] = _float32(EXTRINSIC)
        parameters["intrinsic"] = _float32(deepfluoro_from_camera(camera, rot_180_for_up=False))
        parameters["num-cols"] = np.uint64(camera.columns)
        parameters["num-rows"] = np.uint64(camera.rows)
        parameters["pixel-col-spacing"] = camera.pixel_spacing_mm[1]
        parameters["pixel-row-spacing"] = camera.pixel_spacing_mm[0]

    def write_specimen(
        self,
        specimen: str,
        volume: Volume,
        landmarks_mm: Mapping[str, Tensor],
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a CT, its labels and its 3D landmarks.

        Raises:
            InputError: the CT has no labels, is turned against the patient's axes (the layout has
                none such), the specimen has been written already, or the disk is full.
        """
        if volume.labels is None:
            raise InputError(f"volume of specimen {specimen} must have labels")
        matrix = volume.ct_from_voxel.numpy()
        if not np.allclose(matrix[:3, :3], np.diag(volume.spacing_mm), atol=1e-6):
            raise InputError(f"volume of specimen {specimen} must be aligned with the LPS axes")
        if specimen in self._file:
            raise InputError(f"specimen {specimen} must be new, it has been written already")
        group = self._file.create_group(specimen)
        _note(group, record)
        origin, spacing = matrix[:3, 3], np.array(volume.spacing_mm)
        _image(group.create_group("vol"), volume.hu.numpy().astype(np.float32), origin, spacing)
        segmentation = group.create_group("vol-seg")
        labels = volume.labels.numpy().astype(np.uint8)
        _image(segmentation.create_group("image"), labels, origin, spacing)
        definitions = segmentation.create_group("labels-def")
        for value, name in volume.label_names.items():
            definitions[str(value)] = name
        _landmarks(group.create_group("vol-landmarks"), landmarks_mm)
        group.create_group("projections")
        self._check_disk()

    def write_projection(self, specimen: str, name: str, projection: Projection) -> None:
        """Write an X-ray of a specimen that has been written.

        Raises:
            InputError: its size is not the camera's, a body has no pose, there is no such
                specimen, the projection has been written already, or the disk is full.
        """
        size = (self.camera.rows, self.camera.columns)
        for what in ("image", "labels"):
            if tuple(getattr(projection, what).shape) != size:
                raise InputError(
                    f"projection {specimen}/{name} {what} must be {size[0]} x {size[1]}, "
                    f"got {list(getattr(projection, what).shape)}"
                )
        missing = sorted(set(POSES) - set(projection.poses))
        if missing:
            raise InputError(
                f"projection {specimen}/{name} poses must be of {', '.join(POSES)}, "
                f"got none of {', '.join(missing)}"
            )
        if specimen not in self._file:
            raise InputError(f"specimen {specimen} must be written before its projection {name}")
        projections = self._file[specimen]["projections"]
        if name in projections:
            raise InputError(f"projection {specimen}/{name} has been written already")
        group = projections.create_group(name)
        _note(group, projection.record)
        self._write_pixels(group, projection)
        self._write_poses(group.create_group("gt-poses"), projection)
        landmarks = {
            key: self._pixels(point, projection) for key, point in projection.landmarks_px.items()
        }
        _landmarks(group.create_group("gt-landmarks"), landmarks)
        group["rot-180-for-up"] = np.uint8(projection.rot_180_for_up)
        self._check_disk()

    def _write_pixels(self, group: h5py.Group, projection: Projection) -> None:
        spacing = np.array(self.camera.pixel_spacing_mm[::-1])
        for name, pixels in (("image", projection.image), ("gt-seg", projection.labels)):
            stored = image_from_deepfluoro(pixels, rot_180_for_up=projection.rot_180_for_up)
            _image(group.create_group(name), stored.numpy(), np.zeros(2), spacing)

    def _write_poses(self, group: h5py.Group, projection: Projection) -> None:
        for body, name in POSES.items():
            pose = deepfluoro_from_camera_from_ct(
                projection.poses[body], EXTRINSIC, rot_180_for_up=projection.rot_180_for_up
            )
            group[name] = _float32(pose)
        for body, flag in VALID_FLAGS.items():
            group[flag] = np.uint8(projection.valid.get(body, True))

    def _pixels(self, point: Tensor, projection: Projection) -> Tensor:
        return pixels_from_deepfluoro(
            point,
            rows=self.camera.rows,
            columns=self.camera.columns,
            rot_180_for_up=projection.rot_180_for_up,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _float32(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor, dtype=np.float32)


def _image(
    group: h5py.Group,
    pixels: NDArray[Any],
    origin: NDArray[np.floating],
    spacing: NDArray[np.floating],
) -> None:
    size = len(spacing)
    group["dir-mat"] = np.eye(size)
    group["origin"] = origin.reshape(size, 1)
    group["spacing"] = spacing.reshape(size, 1)
    group.create_dataset(
        "pixels", data=pixels, compression="gzip", compression_opts=4, shuffle=True
    )


def _landmarks(group: h5py.Group, landmarks: Mapping[str, Tensor]) -> None:
    for name, point in landmarks.items():
        group[name] = _float32(point).reshape(-1, 1)


def _note(target: h5py.Group, record: Mapping[str, Any] | None) -> None:
    if record is not None:
        target.attrs[RECORD_ATTRIBUTE] = json.dumps(dict(record))
