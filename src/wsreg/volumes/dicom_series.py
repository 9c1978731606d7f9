"""A CT stored as DICOM: one file a slice or many frames in one file, placed by headers alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsreg.dicom.files import is_dicom, listed, read_dataset
from wsreg.dicom.header import Header, file_header
from wsreg.errors import InputError
from wsreg.volumes.dicom_planes import CT_STORAGE, PLANE_TAGS, is_ct, planes_of
from wsreg.volumes.dicom_stack import largest_stack, same_places, stack_affine
from wsreg.volumes.dicom_voxels import hounsfield, read_stored, without_copies
from wsreg.volumes.voxel_image import VoxelImage, check_affine

ROWS_TAG = 0x00280010


@dataclass(frozen=True, kw_only=True)
class _Folder:
    """What a folder holds.

    Args:
        series: headers of CT images by series and file.
        modalities: how many DICOM files there are of each kind.
        damaged: files of a CT whose header is cut short, with what is left of their series.
        unreadable: DICOM files that may be anything.
    """

    path: Path
    series: dict[str, dict[Path, Any]] = field(default_factory=lambda: defaultdict(dict))
    modalities: Counter[str] = field(default_factory=Counter)
    damaged: dict[Path, str] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)


def read_dicom_series(path: Path, series_uid: str | None = None) -> VoxelImage:
    """Read one CT series from a folder, or the series that a given file belongs to.

    The largest stack of slices that belong together is taken, or the one that a given file is in;
    a given file with many frames is read alone.  Other files in the folder (reports, localisers,
    other modalities) are left alone; subfolders are not searched.  Rescale slope and intercept are
    applied slice by slice, and declared padding is air.

    Raises:
        InputError: no CT, several series and no ``series_uid``, missing, doubled or unlike
            slices, missing tags, or damaged files.
    """
    notes: list[str] = []
    wanted = path if path.is_file() else None
    folder = path.parent if wanted else path
    headers = _headers_of(path, series_uid, notes)
    planes = planes_of(headers, folder, notes)
    if not planes:
        raise InputError(f"{path} must hold the slices of a CT, got localisers only")
    left_out = len(notes)
    stack = largest_stack(planes, folder, notes, wanted)
    stored = dict(zip(stack, read_stored(stack, folder, notes), strict=True))
    places = [[stored[plane] for plane in place] for place in same_places(stack)]
    unique = without_copies(places, folder, notes)
    try:
        ct_from_voxel = stack_affine([one.plane for one in unique], folder)
    except InputError as error:
        raise InputError(". ".join([str(error), *notes[left_out:]])) from error
    check_affine(ct_from_voxel, folder)
    return VoxelImage(hounsfield(unique, folder, notes), ct_from_voxel, tuple(notes))


def _headers_of(path: Path, series_uid: str | None, notes: list[str]) -> dict[Path, Any]:
    """Return headers by file of the CT series that is asked for."""
    if path.is_file():
        header = file_header(read_dataset(path, PLANE_TAGS))
        if len(header.items("PerFrameFunctionalGroupsSequence")) > 1 and is_ct(header):
            _note_other_parts(path, _series_of(header), notes)
            return {path: header.levels[0]}
        if header.word("Modality") not in ("CT", "") and header.has("Rows"):
            raise InputError(
                f"{path} must be an image of a CT, its DICOM modality is {header.word('Modality')}"
            )
        if series_uid is None:
            series_uid = _series_of(header)
    found = _search(path.parent if path.is_file() else path)
    headers = _choose_series(found, series_uid)
    uid = _series_of(file_header(next(iter(headers.values()))))
    for file, left in found.damaged.items():
        if uid.startswith(left):
            raise InputError(f"{file} is damaged, its DICOM header is cut short or lacks Rows")
    if found.unreadable:
        names = listed([file.name for file in found.unreadable])
        notes.append(f"Left out {len(found.unreadable)} files that cannot be read: {names}.")
    return headers


def _note_other_parts(path: Path, series_uid: str, notes: list[str]) -> None:
    """Note files beside a file of many frames that belong to its series: parts of the same CT?"""
    beside = _search(path.parent).series.get(series_uid, {}) if series_uid else {}
    others = [file.name for file in beside if file != path]
    if others:
        notes.append(
            f"Warning: only the frames of {path.name} were read; its folder has "
            f"{len(others)} more files of the same series: {listed(others)} (give the folder to "
            "read all)."
        )


def _search(path: Path) -> _Folder:
    """Read the headers of the DICOM files in a folder."""
    folder = _Folder(path=path)
    for file in sorted(path.iterdir()):
        if file.name == "DICOMDIR" or not is_dicom(file):
            continue
        try:
            dataset = read_dataset(file, PLANE_TAGS)
        except InputError:
            folder.modalities["unreadable"] += 1
            folder.unreadable.append(file)
            continue
        header = file_header(dataset)
        folder.modalities[header.word("Modality") or "no stated modality"] += 1
        if not header.has("Rows") and _may_be_ct(header, dataset) and _is_cut(file):
            folder.damaged[file] = _series_of(header)
        elif is_ct(header) and (header.has("Rows") or _may_lie(dataset)):
            folder.series[_series_of(header)][file] = dataset
    return folder


def _may_be_ct(header: Header, dataset: Any) -> bool:
    """Tell whether what is left of a header, perhaps half of a UID, is that of a CT's image."""
    meta = file_header(dataset.file_meta).value("MediaStorageSOPClassUID")
    stated = {str(uid) for uid in (header.value("SOPClassUID"), meta) if uid}
    return any(uid.startswith(one) for uid in CT_STORAGE for one in stated)


def _is_cut(file: Path) -> bool:
    """Tell whether a header may end before Rows, which every image has, because the file is cut.

    pydicom returns what it got of a cut file, even half a value.
    """
    return all(tag < ROWS_TAG for tag in read_dataset(file).keys())  # noqa: SIM118


def _series_of(header: Header) -> str:
    return str(header.value("SeriesInstanceUID") or "")


def _choose_series(folder: _Folder, series_uid: str | None) -> dict[Path, Any]:
    # screen captures (dose reports, 3D views) are CT by modality too, but lie nowhere
    series = {
        uid: headers
        for uid, headers in folder.series.items()
        if any(_may_lie(header) for header in headers.values())
    }
    if not series:
        raise _no_ct(folder)
    listing = ", ".join(
        f"{uid or 'no SeriesInstanceUID'} ({len(headers)} slices)"
        for uid, headers in series.items()
    )
    if series_uid is None and len(series) > 1:
        raise InputError(
            f"{folder.path} holds {len(series)} CT series, choose one with series_uid: {listing}"
        )
    if series_uid is not None and series_uid not in series:
        raise InputError(
            f"series_uid must be a CT series of {folder.path}: {listing}, got {series_uid}"
        )
    return series[series_uid] if series_uid is not None else next(iter(series.values()))


def _may_lie(dataset: Any) -> bool:
    """Tell whether a file says, be it badly, where it lies."""
    return "ImagePositionPatient" in dataset or "PerFrameFunctionalGroupsSequence" in dataset


def _no_ct(folder: _Folder) -> InputError:
    slices = sum(len(headers) for headers in folder.series.values())
    if slices:
        return InputError(
            f"{folder.path} must hold the slices of a CT series, but {slices} CT slices lack "
            "ImagePositionPatient"
        )
    if folder.damaged:
        file = next(iter(folder.damaged))
        return InputError(f"{file} is damaged, its DICOM header is cut short or lacks Rows")
    found = ", ".join(f"{n} of {name}" for name, n in folder.modalities.items()) or "none"
    return InputError(
        f"{folder.path} must hold the slices of a CT series, got these DICOM files: {found} "
        "(subfolders are not searched)"
    )
