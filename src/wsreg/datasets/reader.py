"""Read DeepFluoro's full-resolution file, or a virtual cohort in the same layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsreg.datasets import hdf5
from wsreg.datasets.layout import (
    POSES,
    PROJECTION_PARAMETERS,
    PUBLISHED_CT_SHIFT_VOXELS,
    SPECIMENS,
    VALID_FLAGS,
)
from wsreg.datasets.preparation import Preparation, prepared, prepared_labels, prepared_pixels
from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.files.reading_from import naming
from wsreg.geometry.camera import Camera
from wsreg.geometry.conventions import (
    camera_from_ct_from_deepfluoro,
    camera_from_deepfluoro,
    image_from_deepfluoro,
    pixels_from_deepfluoro,
)
from wsreg.volumes.volume import Volume


class DeepFluoroFile:
    """An open file; nothing large is read before it is asked for.

    with DeepFluoroFile(path) as file:
        for sample in file.samples():
            ...
    """

    def __init__(
        self,
        path: str | Path,
        preparation: Preparation | None = None,
        *,
        ct_shift_voxels: float | None = None,
    ) -> None:
        """Open a file.

        Args:
            path: of the HDF5 file.
            preparation: how its projections become radiographs.
            ct_shift_voxels: how far CTs are moved along each axis to fit the poses; by default
                ``layout.PUBLISHED_CT_SHIFT_VOXELS`` (see there), and 0 for virtual cohorts.

        Raises:
            InputError: it cannot be read, or is not in this layout.
        """
        self.path = Path(path)
        self.preparation = preparation or Preparation()
        self._file = hdf5.open_for_reading(self.path)
        if ct_shift_voxels is None:
            ct_shift_voxels = 0.0 if self.virtual else PUBLISHED_CT_SHIFT_VOXELS
        self._ct_shift_voxels = ct_shift_voxels
        self._volumes: dict[str, Volume] = {}
        try:
            parameters = hdf5.group(self._file, PROJECTION_PARAMETERS)
            self._extrinsic = _tensor(parameters, "extrinsic", 4, 4)
            self._intrinsic = _tensor(parameters, "intrinsic", 3, 3)
            self._rows = int(hdf5.number(parameters, "num-rows"))
            self._columns = int(hdf5.number(parameters, "num-cols"))
            self._spacing_mm = (
                hdf5.number(parameters, "pixel-row-spacing"),
                hdf5.number(parameters, "pixel-col-spacing"),
            )
        except InputError:
            self._file.close()
            raise

    @property
    def virtual(self) -> bool:
        """Tell whether a simulator made it."""
        return hdf5.has_record(self._file)

    @property
    def record(self) -> dict[str, object]:
        """Return how a virtual cohort was made; it is empty for the real file."""
        return hdf5.record(self._file)

    @property
    def specimens(self) -> tuple[str, ...]:
        """Return the specimens' names, in the published order, others after them."""
        found = [name for name in hdf5.names(self._file) if name != PROJECTION_PARAMETERS]
        known = [name for name in SPECIMENS if name in found]
        return (*known, *sorted(set(found) - set(known)))

    def projections(self, specimen: str) -> tuple[str, ...]:
        """Return the names of a specimen's projections, such as ``005``."""
        return tuple(sorted(hdf5.names(hdf5.group(self._specimen(specimen), "projections"))))

    def volume(self, specimen: str) -> Volume:
        """Read a specimen's CT with its labels; the one asked for last is kept."""
        if specimen not in self._volumes:
            self._volumes.clear()
            group = self._specimen(specimen)
            ct = hdf5.group(group, "vol")
            segmentation = hdf5.group(group, "vol-seg")
            labels = hdf5.group(segmentation, "image")
            names = hdf5.group(segmentation, "labels-def")
            hu = hdf5.array(ct, "pixels", None, None, None)
            label = hdf5.array(labels, "pixels", *hu.shape)
            with naming(self.path):
                self._volumes[specimen] = Volume(
                    hu=torch.from_numpy(_smallest(hu)),
                    ct_from_voxel=_ct_from_voxel(ct, self._ct_shift_voxels),
                    labels=torch.from_numpy(label.astype(np.uint8, copy=False)),
                    label_names=_label_names(names),
                )
        return self._volumes[specimen]

    def landmarks_mm(self, specimen: str) -> dict[str, Tensor]:
        """Read the landmarks: name -> [3] float64 in CT coordinates (LPS mm)."""
        group = hdf5.group(self._specimen(specimen), "vol-landmarks")
        return {name: _tensor(group, name, 3) for name in hdf5.names(group)}

    def camera(self, *, rot_180_for_up: bool) -> Camera:
        """Return the geometry of the stored projections, before any cropping."""
        with naming(self.path):
            return camera_from_deepfluoro(
                self._intrinsic,
                rows=self._rows,
                columns=self._columns,
                pixel_spacing_mm=self._spacing_mm,
                rot_180_for_up=rot_180_for_up,
            )

    def sample(self, specimen: str, projection: str) -> Sample:
        """Read one projection, prepared, with everything that is known of it.

        Raises:
            InputError: there is no such specimen or projection, or a part of it is missing.
        """
        group = self._projection(specimen, projection)
        turned = hdf5.number(group, "rot-180-for-up") != 0
        camera = self.camera(rot_180_for_up=turned)
        pixels = self._pixels(group, "image", turned, np.float32)
        with naming(self.path):
            radiograph = prepared(pixels, camera, f"{specimen}-{projection}", self.preparation)
        return Sample(
            specimen=specimen,
            projection=projection,
            volume=self.volume(specimen),
            radiograph=radiograph,
            poses=self._poses(hdf5.group(group, "gt-poses"), turned),
            labels=prepared_labels(
                self._pixels(group, "gt-seg", turned, np.uint8), camera, self.preparation
            ),
            landmarks_mm=self.landmarks_mm(specimen),
            landmarks_px=self._landmarks_px(hdf5.group(group, "gt-landmarks"), camera, turned),
            record=hdf5.record(group),
        )

    def samples(self, specimen: str | None = None) -> Iterator[Sample]:
        """Read every projection of one specimen, or of all."""
        for name in self.specimens if specimen is None else (specimen,):
            for projection in self.projections(name):
                yield self.sample(name, projection)

    def check(self, specimen: str) -> None:
        """Look for everything that a specimen's samples are read from, without reading its pixels.

        Raises:
            InputError: there is no such specimen, or a part of it is missing.
        """
        group = self._specimen(specimen)
        for name in ("vol", "vol-seg/image"):
            hdf5.numbers(hdf5.group(group, name), "pixels", None, None, None)
        with naming(self.path):
            _label_names(hdf5.group(group, "vol-seg/labels-def"))
        _ct_from_voxel(hdf5.group(group, "vol"), 0.0)
        self.landmarks_mm(specimen)
        names = self.projections(specimen)
        if not names:
            raise InputError(
                f"data set {self.path.name} must have projections of specimen {specimen}, "
                "it has none"
            )
        for name in names:
            projection = self._projection(specimen, name)
            turned = hdf5.number(projection, "rot-180-for-up") != 0
            for part in ("image", "gt-seg"):
                pixels = hdf5.group(projection, part)
                hdf5.numbers(pixels, "pixels", self._rows, self._columns)
            self._poses(hdf5.group(projection, "gt-poses"), turned)
            camera = self.camera(rot_180_for_up=turned)
            self._landmarks_px(hdf5.group(projection, "gt-landmarks"), camera, turned)

    def _pixels(
        self, group: h5py.Group, name: str, turned: bool, dtype: type[np.generic]
    ) -> Tensor:
        stored = hdf5.array(hdf5.group(group, name), "pixels", self._rows, self._columns)
        image = torch.from_numpy(stored.astype(dtype, copy=False))
        return image_from_deepfluoro(image, rot_180_for_up=turned).contiguous()

    def _poses(self, group: h5py.Group, turned: bool) -> dict[str, Tensor]:
        """Read body -> ``camera_from_ct`` [4,4] float64, of the bodies whose pose is valid."""
        return {
            body: camera_from_ct_from_deepfluoro(
                self._extrinsic, _tensor(group, name, 4, 4), rot_180_for_up=turned
            )
            for body, name in POSES.items()
            if body not in VALID_FLAGS or hdf5.number(group, VALID_FLAGS[body]) != 0
        }

    def _landmarks_px(self, group: h5py.Group, camera: Camera, turned: bool) -> dict[str, Tensor]:
        landmarks = {}
        for name in hdf5.names(group):
            ours = pixels_from_deepfluoro(
                _tensor(group, name, 2),
                rows=self._rows,
                columns=self._columns,
                rot_180_for_up=turned,
            )
            landmarks[name] = prepared_pixels(ours, camera, self.preparation)
        return landmarks

    def _specimen(self, specimen: str) -> h5py.Group:
        if specimen not in self.specimens:
            raise InputError(
                f"data set {self.path.name} has no specimen {specimen!r}, "
                f"it has {', '.join(self.specimens) or 'none'}"
            )
        return hdf5.group(self._file, specimen)

    def _projection(self, specimen: str, projection: str) -> h5py.Group:
        names = self.projections(specimen)
        if projection not in names:
            listed = f"{names[0]} to {names[-1]}" if names else "none"
            raise InputError(
                f"specimen {specimen} of data set {self.path.name} has no projection "
                f"{projection!r}, it has {listed}"
            )
        return hdf5.group(self._specimen(specimen), f"projections/{projection}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _tensor(group: h5py.Group, name: str, *shape: int) -> Tensor:
    """Read a small dataset as float64."""
    return torch.from_numpy(hdf5.array(group, name, *shape).astype(np.float64))


def _smallest(hu: NDArray[Any]) -> NDArray[Any]:
    """Return Hounsfield units as int16 if they are whole numbers, else as float32."""
    whole = np.rint(np.clip(hu, -32768, 32767)).astype(np.int16)
    return whole if np.array_equal(whole, hu) else hu.astype(np.float32)


def _label_names(group: h5py.Group) -> dict[int, str]:
    names = hdf5.names(group)
    wrong = [value for value in names if not value.isdecimal()]
    if wrong:
        raise InputError(f"{group.name} must name whole numbers, got {wrong[0]!r}")
    return {int(value): hdf5.text(group, value) for value in names}


def _ct_from_voxel(group: h5py.Group, shift_voxels: float) -> Tensor:
    """Return the [4,4] float64 affine of an image group, its grid moved along its axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = hdf5.array(group, "dir-mat", 3, 3) * hdf5.array(group, "spacing", 3)
    matrix[:3, 3] = hdf5.array(group, "origin", 3) + matrix[:3, :3].sum(axis=1) * shift_voxels
    return torch.from_numpy(matrix)
