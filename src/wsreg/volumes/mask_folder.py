"""A segmentation as a folder with one mask for each structure, as TotalSegmentator writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsreg.dicom.files import is_dicom, listed
from wsreg.errors import InputError
from wsreg.files.names import stem
from wsreg.volumes.grids import check_covered, labelled_mm3, onto_grid, same_grid
from wsreg.volumes.image_files import has_known_suffix, read_image_file
from wsreg.volumes.masks import Mask, merged_masks
from wsreg.volumes.totalsegmentator import NUMBERS
from wsreg.volumes.voxel_image import VoxelImage


def read_mask_folder(folder: Path, ct: VoxelImage) -> tuple[VoxelImage, dict[int, str]]:
    """Merge the masks in a folder on the CT's grid; each file's name is the structure's.

    TotalSegmentator's structures have the numbers of its label map, others follow in the order of
    the alphabet.  Files that are no images are ignored, and so are subfolders.

    Raises:
        InputError: no mask in the folder, one that cannot be read or is no mask, two of one name,
            or structures that overlap by more than a few voxels.
    """
    files = _files(folder)
    numbers = _numbers(list(files))
    notes = [f"Merged {len(files)} masks in {folder.name}; {_numbering(numbers)}."]
    covered: list[tuple[float, float]] = []
    labels, merge_notes = merged_masks(
        _masks(files, numbers, ct, notes, covered), ct.voxels.shape, f"labels {folder}"
    )
    inside_mm3, own_mm3 = (sum(volumes) for volumes in zip(*covered, strict=True))
    check_covered(inside_mm3, own_mm3, folder)
    names = {number: name for name, number in numbers.items()}
    return VoxelImage(labels, ct.ct_from_voxel, (*notes, *merge_notes)), names


def _files(folder: Path) -> dict[str, Path]:
    """Return the image files by the names of their structures, in the order of the alphabet."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not file.is_file() or not has_known_suffix(file):
            continue
        name = stem(file).removesuffix(".seg")
        if file.suffix.lower() == ".img" and file.with_suffix(".hdr").is_file():
            continue  # read with its header
        if name in found:
            raise InputError(
                f"labels {folder} must hold one mask for each structure, got {found[name].name} "
                f"and {file.name}"
            )
        found[name] = file
    if not found:
        dicom = [file.name for file in sorted(folder.iterdir()) if is_dicom(file)]
        holds = "no image file"
        if dicom:
            holds = f"DICOM files instead: {listed(dicom)} (of a segmentation give the file itself)"
        raise InputError(
            f"labels {folder} is a folder, it must hold a mask (such as femur_left.nii.gz) for "
            f"each structure, it holds {holds}"
        )
    return found


def _numbers(names: list[str]) -> dict[str, int]:
    known = {name: NUMBERS[name] for name in names if name in NUMBERS}
    first = max(NUMBERS.values()) + 1 if known else 1
    others = [name for name in names if name not in known]
    return known | {name: number for number, name in enumerate(others, start=first)}


def _numbering(numbers: dict[str, int]) -> str:
    theirs = [name for name in numbers if name in NUMBERS]
    if len(theirs) == len(numbers):
        return "they are numbered as in TotalSegmentator's label map"
    if not theirs:
        return "they are numbered in the order of the alphabet"
    return (
        f"{len(theirs)} are numbered as in TotalSegmentator's label map, the others from "
        f"{max(NUMBERS.values()) + 1} in the order of the alphabet"
    )


def _masks(
    files: dict[str, Path],
    numbers: dict[str, int],
    ct: VoxelImage,
    notes: list[str],
    covered: list[tuple[float, float]],
) -> Iterator[Mask]:
    """Yield the masks on the CT's grid.

    What readers assumed is added to the notes, once, and the volumes (mm3) of each mask on the CT's
    grid and on its own to ``covered``.
    """
    for name, file in files.items():
        image = read_image_file(file)
        highest = image.voxels.max()
        inside = image.voxels != 0
        if not bool(((image.voxels == highest) | ~inside).all()) or not highest >= 0:
            raise InputError(
                f"{file} must be a mask of 0 and one other value, as each image in the folder of "
                "--labels, got more values (for one label map give the file itself)"
            )
        notes += [note for note in image.notes if note not in notes]
        own_mm3 = labelled_mm3(inside, image)
        if not same_grid(image, ct):
            inside = onto_grid(image._replace(voxels=inside), ct)
        covered.append((labelled_mm3(inside, ct), own_mm3))
        yield Mask(name, numbers[name], inside)
