"""NIfTI-1 and NIfTI-2 files, single or as a pair of header and image, through nibabel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.files.reading_from import reading_from
from wsreg.volumes.nifti_voxels import RULE, open_nifti, scaled, stored_numbers
from wsreg.volumes.voxel_image import VoxelImage, check_is_3d, spans_space

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""NIfTI's codes of units of length: metre, millimetre, micrometre; 0 is unknown."""

ATLAS_CODES = {3: "Talairach", 4: "MNI152", 5: "a template"}
"""Codes of coordinates that are not the patient's own."""

APART_MM, APART_DEG = 0.1, 0.1
"""Two placements further apart are told."""

FAR_APART_MM, FAR_APART_DEG = 5.0, 5.0
"""Two placements further apart are warned of."""

_TEXT_EXTENSIONS = (0, 4, 6, 30)
"""Codes of header extensions that may hold a label table: none, AFNI, comment, Caret."""


def read_nifti(path: Path) -> VoxelImage:
    """Read one 3D image; where sform and qform are both given the sform is taken, and told.

    Raises:
        InputError: damaged, not one 3D image of single numbers, or neither form places it.
    """
    image = open_nifti(path)
    check_is_3d(image.shape, path)
    ct_from_voxel, to_mm, notes = _placement(image, path)
    voxels = stored_numbers(image, path).reshape(image.shape[:3], order="F").T
    return VoxelImage(
        np.ascontiguousarray(scaled(voxels, image)), ct_from_voxel, tuple(notes),
        float(image.dataobj.slope), to_mm,
    )  # fmt: skip


def nifti_extensions(path: Path) -> Iterator[bytes]:
    """Yield the contents of the header's extensions that are text: names may be among them."""
    for extension in getattr(open_nifti(path).header, "extensions", ()):
        if extension.get_code() in _TEXT_EXTENSIONS:
            # some kinds have bytes alone, and nibabel before 5.3 the other property alone
            with reading_from(path, RULE):
                content = getattr(extension, "content", None)
                if content is None:
                    content = extension.get_content()
            yield content if isinstance(content, bytes) else str(content).encode()


def _placement(image: Any, path: Path) -> tuple[NDArray[np.float64], float, list[str]]:
    """Return the affine to LPS millimetres, the factor to them, and what was assumed."""
    to_mm, notes = _mm_per_unit(image.header)
    to_lps = LPS_FROM_RAS @ np.diag([to_mm, to_mm, to_mm, 1.0])
    forms = {name: _form(image.header, name) for name in ("sform", "qform")}
    coded = {name: (to_lps @ affine, code) for name, (affine, code) in forms.items() if code}
    if not coded:
        raise InputError(
            f"{path} does not tell how its voxels lie in the patient: "
            "its sform_code and qform_code are both 0 or missing"
        )
    usable = {name: form for name, form in coded.items() if spans_space(form[0])}
    taken = next(iter(usable or coded))
    affine, code = coded[taken]
    notes += [
        f"The {name} of the NIfTI header is no affine of three axes and was ignored."
        for name in coded
        if usable and name not in usable
    ]
    if len(usable) == 2:
        notes += _disagreement(usable, image.shape[:3])
    elif taken == "sform":
        notes += _other_spacing(affine, np.abs(image.header["pixdim"][1:4]) * to_mm, image.shape)
    if code in ATLAS_CODES:
        notes.append(
            f"Warning: the {taken} (code {code}) gives coordinates of {ATLAS_CODES[code]}, "
            "not of the scanner; the size need not be the patient's."
        )
    return affine, to_mm, notes


def _other_spacing(
    sform: NDArray[np.float64], pixdim_mm: NDArray[np.float64], size_xyz: tuple[int, ...]
) -> list[str]:
    """Say how far the voxel size of the header is from the sform's, if that is worth a word."""
    spacing_mm = np.linalg.norm(sform[:3, :3], axis=0)
    if not np.isfinite(pixdim_mm).all() or pixdim_mm.min() <= 0:
        return []
    apart_mm = float((np.abs(spacing_mm - pixdim_mm) * size_xyz[:3]).max())
    if apart_mm < APART_MM:
        return []
    said, taken = (" x ".join(f"{mm:.4g}" for mm in sizes) for sizes in (pixdim_mm, spacing_mm))
    return [
        f"{'Warning: the' if apart_mm > FAR_APART_MM else 'The'} sform was taken, with voxels of "
        f"{taken} mm; the NIfTI header's pixdim says {said} mm, which makes the volume up to "
        f"{apart_mm:.1f} mm longer or shorter."
    ]


def _mm_per_unit(header: Any) -> tuple[float, list[str]]:
    code = int(header["xyzt_units"]) & 7 if "xyzt_units" in header else 0
    if code in MM_PER_UNIT:
        return MM_PER_UNIT[code], []
    said = "names no unit of length" if code == 0 else f"has the unknown unit code {code}"
    return 1.0, [f"The NIfTI header {said} (xyzt_units); millimetres were assumed."]


def _form(header: Any, name: str) -> tuple[NDArray[np.float64], int]:
    """Return an affine of the header and its code; NaN for one that cannot be worked out."""
    if f"{name}_code" not in header:  # Analyze, the format's ancestor
        return np.full((4, 4), np.nan), 0
    code = int(header[f"{name}_code"])
    try:
        affine = header.get_sform() if name == "sform" else header.get_qform()
    except ValueError:  # no quaternion
        return np.full((4, 4), np.nan), code
    return np.asarray(affine, dtype=np.float64), code


def _disagreement(
    forms: dict[str, tuple[NDArray[np.float64], int]], size_xyz: tuple[int, ...]
) -> list[str]:
    """Say how far apart sform and qform are over the volume, if that is worth a word."""
    (sform, s_code), (qform, q_code) = forms["sform"], forms["qform"]
    ends = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in size_xyz]), axis=-1).reshape(-1, 3)
    corners = np.c_[ends, np.ones(len(ends))]
    apart_mm = float(np.linalg.norm(corners @ (sform - qform).T, axis=1).max())
    s_axes, q_axes = (
        form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform)
    )
    cosines = np.clip((s_axes * q_axes).sum(axis=0), -1.0, 1.0)
    apart_deg = float(np.degrees(np.arccos(cosines)).max())
    if apart_mm < APART_MM and apart_deg < APART_DEG:
        return []
    far = apart_mm > FAR_APART_MM or apart_deg > FAR_APART_DEG
    return [
        f"{'Warning: the' if far else 'The'} sform (code {s_code}) was taken; the qform (code "
        f"{q_code}) places the volume up to {apart_mm:.1f} mm and {apart_deg:.1f} degrees from it."
    ]
