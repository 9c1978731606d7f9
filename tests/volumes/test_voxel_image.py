from __future__ import annotations

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.volumes.voxel_image import VoxelImage, check_patient_size


def _of_edges(x_mm: float, y_mm: float, z_mm: float) -> VoxelImage:
    """Return 10 x 20 x 30 voxels with these edges."""
    return VoxelImage(np.zeros((30, 20, 10), np.int8), np.diag([x_mm, y_mm, z_mm, 1.0]))


@pytest.mark.parametrize(
    "edges",
    [
        (2, 1, 1), (2, 1, 0.7), (300, 150, 100), (40, 20, 10),
        (10, 5, 0.04), (0.11, 5, 4),  # few slices, 100 mm wide
    ],
)  # fmt: skip
def test_patients(edges: tuple[float, float, float]) -> None:
    check_patient_size(_of_edges(*edges), "ct.nii")


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ((0.03, 0.02, 0.01), r"got 0\.3 x 0\.4 x 0\.3 mm \(metres\? 300 x 400 x 300 mm"),
        ((3.0, 2.0, 0.5), r"got 30 x 40 x 15 mm \(centimetres\? 300 x 400 x 150 mm"),
        ((3e4, 2e4, 1e4), r"got 3e\+05 x 4e\+05 x 3e\+05 mm \(micrometres\? 300 x 400 x 300 mm"),
        ((0.09, 5, 4), r"got 0\.9 x 100 x 120 mm"),
        ((0.11, 4.9, 4), r"got 1\.1 x 98 x 120 mm \(centimetres\?"),
        ((310, 1, 1), r"got 3\.1e\+03 x 20 x 30 mm$"),
        ((1e-9, 1, 1), r"got 1e-08 x 20 x 30 mm$"),
    ],
)
def test_sizes_that_no_patient_has(edges: tuple[float, float, float], message: str) -> None:
    with pytest.raises(
        InputError, match=rf"ct\.nii must be of a size that a patient has.*{message}"
    ):
        check_patient_size(_of_edges(*edges), "ct.nii")


def test_the_axes_need_not_be_the_patients() -> None:
    affine = np.eye(4)
    affine[:3, 0] = (0, -1.2, 1.6)  # 2 mm long
    affine[:3, 2] = (0.6, 0, 0.8)
    check_patient_size(VoxelImage(np.zeros((30, 20, 10), np.int8), affine), "ct.nii")
