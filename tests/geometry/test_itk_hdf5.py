from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK

from wsreg.errors import InputError
from wsreg.geometry.itk_hdf5 import itk_text_of
from wsreg.geometry.itk_transform import read_itk_transform


def test_a_transform_is_the_text_that_itk_writes(tmp_path: Path) -> None:
    transform = SimpleITK.Euler3DTransform((1.0, 2.0, 3.0), 0.1, 0.2, 0.3, (4.0, 5.0, 1 / 3))
    SimpleITK.WriteTransform(transform, str(tmp_path / "a.h5"))
    lines = itk_text_of(tmp_path / "a.h5").splitlines()
    assert lines == [
        "#Insight Transform File V1.0",
        "#Transform",
        "Transform: Euler3DTransform_double_3_3",
        f"Parameters: 0.1 0.2 0.3 4.0 5.0 {1 / 3!r}",
        "FixedParameters: 1.0 2.0 3.0 0.0",
    ]


def test_a_composite_of_one_is_read_as_itk_reads_it(tmp_path: Path) -> None:
    transform = SimpleITK.AffineTransform(3)
    transform.SetParameters([0, -1, 0, 1, 0, 0, 0, 0, 1, 1, 2, 3.3])
    SimpleITK.WriteTransform(SimpleITK.CompositeTransform([transform]), str(tmp_path / "a.h5"))
    motion, direction = read_itk_transform(tmp_path / "a.h5")
    assert motion.tolist() == [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3.3], [0, 0, 0, 1]]
    assert direction is None


@pytest.mark.parametrize(
    ("numbers", "kind", "said"),
    [
        (np.zeros(1001), b"AffineTransform_double_3_3", "rigid transform, got 1001 numbers"),
        (np.zeros(12), b"no such\n", "must be an ITK transform in HDF5: a transform of kind"),
        (np.zeros(12), b"NoSuchTransform_double_3_3", "must be an ITK transform file, got"),
        (None, b"AffineTransform_double_3_3", "it lacks TransformParameters"),
    ],
)
def test_what_is_no_linear_transform_is_one_sentence(
    numbers: np.ndarray[tuple[int], np.dtype[np.float64]] | None,
    kind: bytes,
    said: str,
    tmp_path: Path,
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        one = file.create_group("TransformGroup/0")
        one["TransformType"] = [kind]
        if numbers is not None:
            one["TransformParameters"] = numbers
            one["TransformFixedParameters"] = np.zeros(3)
    with pytest.raises(InputError) as raised:
        read_itk_transform(tmp_path / "a.h5")
    assert said in str(raised.value)
    assert str(tmp_path / "a.h5") in str(raised.value)


def test_links_into_other_files_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["TransformGroup"] = h5py.ExternalLink("b.h5", "/TransformGroup")
    with pytest.raises(InputError, match="it lacks TransformGroup"):
        read_itk_transform(tmp_path / "a.h5")
