"""Rigid motions as ITK transform files, which 3D Slicer, SimpleITK and ANTs read and write."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.files.reading_from import FOREIGN_ERRORS, reading_from
from wsreg.files.watched_hdf5 import watched_hdf5
from wsreg.files.whole import staged_file, write_text
from wsreg.geometry.itk_hdf5 import TEXT_HEADER, itk_text_of
from wsreg.geometry.matrix_file import MARK, marked_convention
from wsreg.geometry.rigid import rigid

ATTRIBUTE = "wsreg"
"""Says which way an HDF5 file of ours maps; ITK does not look at it."""

HDF5_SUFFIXES = (".h5", ".hdf5")
SUFFIXES = (".tfm", *HDF5_SUFFIXES, ".mat")
"""Of files that hold ITK transforms and nothing else; .txt may hold one."""


def write_itk_transform(
    motion: Tensor, path: str | Path, direction: str = "camera_from_ct"
) -> None:
    """Write a motion [4,4] as an ITK transform whose ``TransformPoint(p)`` is motion @ p (LPS mm).

    An affine transform: it holds every rotation exactly, and 3D Slicer writes its linear
    transforms the same way.  Slicer takes an ITK file for the transform *from* the parent: what is
    put under it moves by the inverse.

    Source: https://slicer.readthedocs.io/en/latest/developer_guide/modules/transforms.html

    Args:
        motion: [4,4] rigid.
        path: ending in .h5 for ITK's HDF5, in anything else for its text form.
        direction: what the motion is, noted in the file for the way back.
    """
    parameters = [*motion[:3, :3].flatten().tolist(), *motion[:3, 3].tolist()]
    if str(path).lower().endswith(HDF5_SUFFIXES):
        import h5py
        import SimpleITK

        transform = SimpleITK.AffineTransform(3)
        transform.SetParameters(parameters)
        with staged_file(path) as temporary:
            temporary.unlink()  # HDF5 opens no empty file
            SimpleITK.WriteTransform(transform, str(temporary))
            with h5py.File(temporary, "r+") as file:
                file.attrs[ATTRIBUTE] = direction
        return
    lines = (
        f"{TEXT_HEADER} V1.0",
        f"{MARK}{direction}",
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        f"Parameters: {' '.join(map(repr, parameters))}",
        "FixedParameters: 0 0 0",
    )
    write_text(path, "\n".join(lines) + "\n")


def read_itk_transform(path: Path) -> tuple[Tensor, str | None]:
    """Return M [4,4] with ``TransformPoint(p)`` = M @ p, and what a file of ours says that it is.

    Raises:
        InputError: no file that ITK reads, a transform that is not linear or not of 3D points, or
            several.
    """
    import SimpleITK

    if not path.is_file():
        raise InputError(f"{path} does not exist" if not path.exists() else f"{path} is a folder")
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # what it warns of is looked at here
    try:
        transform = _read(path)
    except InputError:
        raise
    except FOREIGN_ERRORS as error:
        reason = _reason(str(error), path)
        raise InputError(f"{path} must be an ITK transform file, got {reason}") from None
    single = _only_one(transform, path)
    if single.GetDimension() != 3 or not single.IsLinear():
        raise InputError(
            f"{path} must hold a rigid transform of 3D points, got {single.GetName()} "
            f"in {single.GetDimension()}D"
        )
    return _matrix_of(single), _direction(path)


def _read(path: Path) -> Any:
    """Return what ITK reads: an HDF5 file by way of its text."""
    import SimpleITK

    if path.suffix.lower() not in HDF5_SUFFIXES:
        return SimpleITK.ReadTransform(str(path))
    with tempfile.TemporaryDirectory(prefix="wsreg-") as folder:
        text = Path(folder) / "transform.tfm"
        text.write_text(itk_text_of(path), encoding="ascii")
        return SimpleITK.ReadTransform(str(text))


def _reason(error: str, path: Path) -> str:
    """Return what ITK says of a file, or of its content where it says nothing of use."""
    line = (error.strip().splitlines() or [""])[-1].strip()
    said = re.sub(r"^.*ITK ERROR: \w+\(\w+\): *", "", line)
    if "ITK ERROR" not in line or path.suffix.lower() in HDF5_SUFFIXES:
        return f"no transform in its {path.suffix.lower()} content"
    return f"none: {said}"


def _only_one(transform: Any, path: Path) -> Any:
    """Return the transform that a composite of one holds, however deep."""
    while transform.GetName() == "CompositeTransform":
        composite = transform.Downcast()
        count = composite.GetNumberOfTransforms()
        if count != 1:
            raise InputError(f"{path} must hold one transform, got a composite of {count}")
        transform = composite.GetNthTransform(0)
    return transform.Downcast()


def _matrix_of(transform: Any) -> Tensor:
    """Return [4,4] of a linear transform, by its matrix where it has one."""
    origin = torch.tensor(transform.TransformPoint((0.0, 0.0, 0.0)), dtype=torch.float64)
    if hasattr(transform, "GetMatrix"):
        matrix = torch.tensor(transform.GetMatrix(), dtype=torch.float64).reshape(3, 3)
    else:
        ends = [transform.TransformPoint(axis) for axis in torch.eye(3).tolist()]
        matrix = (torch.tensor(ends, dtype=torch.float64) - origin).T
    return rigid(matrix, origin)


def _direction(path: Path) -> str | None:
    """Return what a file of ours says that it is: in a comment, or in an attribute of HDF5."""
    if path.suffix.lower() not in HDF5_SUFFIXES:
        return marked_convention(path)
    rule = "must be an ITK transform in HDF5"
    with reading_from(path, rule), watched_hdf5(path) as file:
        found = file.attrs.get(ATTRIBUTE)
    return found if isinstance(found, str) else None
