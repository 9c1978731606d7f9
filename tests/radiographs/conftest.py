"""Analytic X-rays of a trunk made of ellipsoids, whose chords are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = 256
WATER_PER_MM = 0.02


def chord_mm(centre: tuple[float, float], half_axes: tuple[float, float, float]) -> NDArray[Any]:
    """Chords [SIZE,SIZE] along the view of an ellipsoid; a pixel is 1 mm, centre is (x,y)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    x = (columns - centre[0]) / half_axes[0]
    y = (rows - centre[1]) / half_axes[1]
    chords: NDArray[Any] = 2 * half_axes[2] * np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    return chords


@pytest.fixture(scope="session")
def trunk() -> NDArray[Any]:
    """Line integral of a trunk with lungs, spine and ribs, with air on both sides of it."""
    integral = WATER_PER_MM * chord_mm((128, 120), (105, 400, 110))
    for side in (-1, 1):
        integral -= 0.7 * WATER_PER_MM * chord_mm((128 + side * 50, 110), (32, 75, 60))
        for rib in range(6):
            integral += 0.04 * chord_mm((128 + side * 45, 45 + 26 * rib), (48, 4, 6))
    for vertebra in range(9):
        integral += 0.04 * chord_mm((128, 12 + 29 * vertebra), (18, 12, 18))
    return integral


@pytest.fixture(scope="session")
def expose() -> Callable[..., NDArray[Any]]:
    """Counts [H,W] behind a line integral: collimator with half-shadow, scatter, Poisson noise."""

    def make(
        integral: NDArray[Any],
        field: NDArray[np.bool_] | None = None,
        *,
        counts: float = 20000.0,
        scatter: float = 0.2,
    ) -> NDArray[Any]:
        from scipy import ndimage

        primary = np.exp(-integral)
        if field is not None:
            primary = primary * ndimage.gaussian_filter(field.astype(float), 0.8)
        scattered = scatter * ndimage.gaussian_filter(primary, 20)
        rng = np.random.default_rng(5)
        noisy = rng.poisson(counts * (primary + scattered + 0.002)).astype(float)
        return np.asarray(ndimage.gaussian_filter(noisy, 0.6))

    return make


@pytest.fixture
def write_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write a DICOM X-ray [H,W] or [frames,H,W] uint16; a field given as None is left out."""

    def write(pixels: NDArray[Any], name: str = "xray.dcm", **fields: Any) -> Path:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        defaults: dict[str, Any] = {
            "SOPClassUID": XRayAngiographicImageStorage,
            "SOPInstanceUID": generate_uid(),
            "PatientName": "Secret^Name",
            "PatientID": "ID-4711",
            "Modality": "XA",
            "PhotometricInterpretation": "MONOCHROME2",
            "PixelIntensityRelationship": "LIN",
            "SamplesPerPixel": 1,
            "Rows": pixels.shape[-2],
            "Columns": pixels.shape[-1],
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 0,
            "PixelData": pixels.astype("<u2").tobytes(),
        }
        if pixels.ndim == 3:
            defaults["NumberOfFrames"] = len(pixels)
        for keyword, value in {**defaults, **fields}.items():
            if value is not None:
                setattr(dataset, keyword, value)
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
