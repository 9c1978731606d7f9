"""CTs small enough to reason about, and the files they are written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

OBLIQUE = Rotation.from_euler("xyz", [20, -15, 40], degrees=True).as_matrix()


@pytest.fixture
def oblique_affine() -> NDArray[np.float64]:
    """Voxel (x,y,z) -> LPS mm: turned about all axes, 0.7 x 0.9 x 2.5 mm, off the origin."""
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE * (0.7, 0.9, 2.5)
    affine[:3, 3] = (-31.0, 12.5, 207.25)
    return affine


@pytest.fixture
def patient_affine(oblique_affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with voxels of 14 x 18 x 50 mm, so that a few make a patient."""
    return oblique_affine @ np.diag([20.0, 20.0, 20.0, 1.0])


@pytest.fixture
def marked_ct() -> NDArray[np.int16]:
    """[5,6,7] air with water inside and one voxel of metal at (x,y,z) = (5,1,3)."""
    voxels = np.full((5, 6, 7), -1000, dtype=np.int16)
    voxels[1:-1, 1:-1, 1:-1] = 0
    voxels[3, 1, 5] = 3000
    return voxels


@pytest.fixture
def write_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write [D,H,W] voxels with an affine to LPS as NIfTI."""
    import nibabel

    def write(
        voxels: NDArray[np.generic], lps_affine: NDArray[np.float64], name: str = "ct.nii.gz"
    ) -> Path:
        ras_affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_affine
        nibabel.save(nibabel.Nifti1Image(voxels.T, ras_affine), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def write_itk(tmp_path: Path) -> Callable[..., Path]:
    """Write [D,H,W] voxels with an affine to LPS through SimpleITK, uncompressed."""
    import SimpleITK

    def write(voxels: NDArray[np.generic], lps_affine: NDArray[np.float64], name: str) -> Path:
        image = SimpleITK.GetImageFromArray(voxels)
        spacing = np.linalg.norm(lps_affine[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps_affine[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps_affine[:3, 3].tolist())
        SimpleITK.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return write
