"""Frames of a moving pelvis and femurs as one camera sees them, some of them lost, with the truth.

A virtual person is filmed: the pelvis sways by a few millimetres and degrees, and each femur flexes
about its head.  Of the frames two are blank and three are blocked by an opaque object.  Frames are
kept as they are made, so a run that is interrupted goes on; at the end they are one multi-frame
DICOM, beside the CT, its labels and the true poses.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from wsreg.cohort.build import acquisition_of
from wsreg.cohort.exposure import FEMORAL_HEADS, Acquisition, expose
from wsreg.cohort.presets import PRESETS, Preset, person_of
from wsreg.datasets.sample import PELVIS
from wsreg.files.pieces import Pieces, open_pieces
from wsreg.geometry.rigid import perturb
from wsreg.simulation.detector import digitise
from wsreg.specimens.ct import LABELS, scan
from wsreg.specimens.specimen import Specimen, build_specimen

OUTPUT = Path(__file__).parent / "output"
PRESET = PRESETS["small"]
FRAMES = 60
BLANK, BLOCKED = (17, 44), (30, 31, 52)
"""Frames that are lost."""
SWAY_DEG, SWAY_MM = (2.0, 3.0, 2.5), (6.0, 4.0, 8.0)
"""How far the pelvis goes from the middle, about and along the camera's axes."""
FLEXION_DEG = 8.0
"""How far each femur goes from the middle, about the patient's left-right axis."""
OPAQUE_FRACTION = 0.75
"""Width of what blocks the field, as a fraction of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Film:
    """A sequence with its truth.

    Args:
        folder: of cine.dcm, ct.nii.gz and labels.nii.gz.
        poses: of each frame, body -> [4,4] float64 true pose.
        landmarks_mm: name -> [3] in CT coordinates (LPS mm).
    """

    folder: Path
    poses: tuple[Mapping[str, Tensor], ...]
    landmarks_mm: Mapping[str, Tensor]


def film(specimen_name: str, seed: int) -> Film:
    """Make a film, or read the one that is there."""
    folder = OUTPUT / f"sequence-{specimen_name}-{seed}"
    plan = {
        "specimen": specimen_name, "seed": seed, "frames": FRAMES, "blank": BLANK,
        "blocked": BLOCKED, "sway": (*SWAY_DEG, *SWAY_MM), "flexion": FLEXION_DEG,
        "xray": "the first that shows both femurs",
    }  # fmt: skip
    pieces = open_pieces(folder / "pieces", plan)
    missing = [n for n in range(FRAMES) if not pieces.has(f"frame-{n:03d}")]
    if missing or not pieces.has("ct"):
        _make(pieces, missing, specimen_name, seed)
    if not (folder / "cine.dcm").exists():
        _write_files(folder, pieces)
    frames = [pieces.load(f"frame-{n:03d}") for n in range(FRAMES)]
    ct = pieces.load("ct")
    return Film(
        folder=folder,
        poses=tuple(
            {name: torch.from_numpy(frame[name]) for name in (PELVIS, *FEMORAL_HEADS)}
            for frame in frames
        ),
        landmarks_mm={
            name.removeprefix("landmark "): torch.from_numpy(point)
            for name, point in ct.items()
            if name.startswith("landmark ")
        },
    )


def _make(pieces: Pieces, missing: list[int], specimen_name: str, seed: int) -> None:
    specimen = build_specimen(person_of(specimen_name, seed), PRESET.detail)
    if not pieces.has("ct"):
        volume = scan(specimen, PRESET.ct_mm)
        assert volume.labels is not None
        pieces.save(
            "ct",
            {
                "hu": volume.hu.numpy(), "labels": volume.labels.numpy(),
                "ct_from_voxel": volume.ct_from_voxel.numpy(),
                **{f"landmark {k}": v for k, v in specimen.anatomy.landmarks_mm.items()},
            },
        )  # fmt: skip
    base = _acquisition(specimen, PRESET, specimen_name, seed)
    for number in tqdm(missing, desc="frames"):
        pieces.save(f"frame-{number:03d}", _frame(specimen, base, number))


def _acquisition(specimen: Specimen, preset: Preset, name: str, seed: int) -> Acquisition:
    """The first X-ray of the cohort that shows both femurs well.

    Its pose, beam and field are those of the whole film.
    """
    draws = (acquisition_of(specimen, preset, name, seed, n) for n in itertools.count())
    drawn = next(one for one in draws if all(expose(specimen, preset.camera, one).valid.values()))
    parameters = dataclasses.replace(drawn.parameters, tools=())
    return dataclasses.replace(drawn, parameters=parameters)


def _frame(specimen: Specimen, base: Acquisition, number: int) -> dict[str, NDArray[np.generic]]:
    moved = _moved(specimen, base, number)
    transmission = expose(specimen, PRESET.camera, moved).transmission.numpy()
    image = digitise(_lost(transmission, number))
    return {"image": image, **{name: pose.numpy() for name, pose in moved.poses.items()}}


def _moved(specimen: Specimen, base: Acquisition, number: int) -> Acquisition:
    """Return what the camera sees in one frame: every movement is a smooth wave of its own."""
    phase = 2.0 * math.pi * number / FRAMES
    waves = [math.sin(phase * rate + shift) for rate, shift in
             ((1, 0.0), (1, 1.0), (1.5, 2.0), (1, 3.0), (1.5, 4.0), (1, 5.0))]  # fmt: skip
    sizes = (*(math.radians(deg) for deg in SWAY_DEG), *SWAY_MM)
    sway = torch.tensor([size * wave for size, wave in zip(sizes, waves, strict=True)])
    landmarks = {n: torch.from_numpy(p) for n, p in specimen.anatomy.landmarks_mm.items()}
    middle = torch.stack([landmarks[name] for name in FEMORAL_HEADS.values()]).mean(dim=0)
    pelvis = perturb(base.camera_from_ct, sway.double(), middle)
    poses = {PELVIS: pelvis}
    for side, (femur, head) in enumerate(FEMORAL_HEADS.items()):
        angle = math.radians(FLEXION_DEG) * math.sin(phase + math.pi * side)
        flexion = torch.tensor((angle, 0.0, 0.0, 0.0, 0.0, 0.0), dtype=torch.float64)
        identity = torch.eye(4, dtype=torch.float64)
        poses[femur] = pelvis @ perturb(identity, flexion, landmarks[head])
    return dataclasses.replace(
        base,
        poses=poses,
        camera_from_tissue=pelvis @ torch.linalg.inv(base.camera_from_ct) @ base.camera_from_tissue,
        seed=base.seed + number,
    )


def _lost(transmission: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Return the signal, of a lost frame without the patient or mostly without."""
    if number in BLANK:
        noise = np.random.default_rng(number).standard_normal(transmission.shape)
        return (0.02 + 2e-4 * noise).astype(np.float32)
    if number in BLOCKED:
        blocked = transmission.copy()
        columns = blocked.shape[1]
        first = int(columns * (0.1 if number % 2 else 0.15))
        blocked[:, first : first + int(columns * OPAQUE_FRACTION)] = 0.01
        return blocked
    return transmission


def _write_files(folder: Path, pieces: Pieces) -> None:
    import nibabel

    ct = pieces.load("ct")
    affine = np.diag((-1.0, -1.0, 1.0, 1.0)) @ ct["ct_from_voxel"]
    for name in ("hu", "labels"):
        image = nibabel.Nifti1Image(np.ascontiguousarray(ct[name].transpose(2, 1, 0)), affine)
        nibabel.save(image, folder / ("ct.nii.gz" if name == "hu" else "labels.nii.gz"))
    names = [f"{value},{name}" for name, value in LABELS.items()]
    (folder / "label_names.csv").write_text("label,name\n" + "\n".join(names) + "\n")
    frames = np.stack([pieces.load(f"frame-{n:03d}")["image"] for n in range(FRAMES)])
    write_cine(folder / "cine.dcm", frames)


def write_cine(path: Path, frames: NDArray[np.generic]) -> None:
    """Write frames [N,H,W] as an XA multi-frame DICOM of the preset's camera."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

    camera, dataset = PRESET.camera, Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = XRayAngiographicImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "XA"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelIntensityRelationship = "LIN"
    dataset.DistanceSourceToDetector = f"{camera.source_to_detector_mm:.6g}"
    dataset.ImagerPixelSpacing = [f"{mm:.8g}" for mm in camera.pixel_spacing_mm]
    dataset.PixelData = frames.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)
