"""Masks from files: which regions they stand for, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from wsreg.errors import InputError
from wsreg.segmentation.masks import read_rois, target_of_probabilities
from wsreg.volumes.volume import Volume

SHAPE = (4, 6)
MakeVolume = Callable[[dict[int, str]], Volume]


@pytest.fixture(name="volume_with")
def _volume_with() -> MakeVolume:
    def make(names: dict[int, str]) -> Volume:
        return Volume(
            hu=torch.zeros(1, 1, len(names) + 1),
            ct_from_voxel=torch.eye(4),
            labels=torch.tensor([[[0, *names]]], dtype=torch.int16),
            label_names=names,
        )

    return make


@pytest.fixture(name="pelvis")
def _pelvis(volume_with: MakeVolume) -> Volume:
    return volume_with(
        {50: "liver", 27: "vertebrae_L5", 28: "vertebrae_L4", 75: "femur_left", 77: "hip_left"}
    )


def label_png(path: Path, values: dict[tuple[int, int], int]) -> Path:
    labels = np.zeros(SHAPE, np.uint8)
    for at, value in values.items():
        labels[at] = value
    Image.fromarray(labels).save(path)
    return path


def test_numbers_of_the_pelvis_become_its_labels(pelvis: Volume, tmp_path: Path) -> None:
    path = label_png(tmp_path / "mask.png", {(0, 0): 1, (0, 1): 3, (3, 5): 3})
    rois = read_rois(path, SHAPE, pelvis)
    assert rois.names == ("left-hemipelvis", "vertebrae")
    assert rois.labels == ((77,), (27, 28))
    assert rois.masks[1].nonzero().tolist() == [[0, 1], [3, 5]]
    assert rois.known is not None
    assert not bool(rois.known[0, 0, 1])  # behind a vertebra the hip may go on
    assert bool(rois.known[0, 0, 0])
    assert int(rois.known[1].sum()) == rois.known[1].numel() - 1


def test_any_number_of_labels_of_the_cts_own(volume_with: MakeVolume, tmp_path: Path) -> None:
    names = {value: f"rib_left_{value}" for value in range(90, 102)}
    path = label_png(tmp_path / "ribs.png", {(1, 2): 92, (2, 2): 101})
    rois = read_rois(path, SHAPE, volume_with(names))
    assert rois.names == ("rib_left_92", "rib_left_101")
    assert rois.labels == ((92,), (101,))


def test_names_of_ones_own(pelvis: Volume, tmp_path: Path) -> None:
    path = label_png(tmp_path / "mask.png", {(1, 2): 8, (2, 2): 9})
    rois = read_rois(path, SHAPE, pelvis, {8: "vertebrae_L4", 9: "hip_left", 10: "skull"})
    assert rois.names == ("vertebrae_L4", "hip_left")
    assert rois.labels == ((28,), (77,))


def test_nifti_and_npy(pelvis: Volume, tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 1] = 5
    np.save(tmp_path / "mask.npy", labels.astype(np.float32))
    nibabel.save(nibabel.Nifti1Image(labels.T[..., None], np.eye(4)), tmp_path / "mask.nii.gz")
    for name in ("mask.npy", "mask.nii.gz"):
        rois = read_rois(tmp_path / name, SHAPE, pelvis)
        assert rois.names == ("left-femur",)
        assert rois.masks[0].nonzero().tolist() == [[3, 1]]


def test_only_background_is_no_region(pelvis: Volume, tmp_path: Path) -> None:
    rois = read_rois(label_png(tmp_path / "mask.png", {}), SHAPE, pelvis)
    assert rois.names == ()
    assert rois.masks.shape == (0, *SHAPE)


def test_probabilities_overlap_and_regions_that_the_ct_lacks_are_left_out(
    pelvis: Volume, tmp_path: Path
) -> None:
    names = np.array(["right-femur", "left-femur", "left-hemipelvis"])
    values = np.full((3, *SHAPE), 0.75, np.float16)
    path = tmp_path / "probabilities.npz"
    np.savez(path, probabilities=values, roi_names=names)
    rois = read_rois(path, SHAPE, pelvis)
    assert rois.names == ("left-femur", "left-hemipelvis")
    assert rois.labels == ((75,), (77,))
    assert rois.known is None
    assert bool((rois.masks == 1.0).all())  # more likely than not
    with pytest.raises(InputError, match=r"which are 27 .*50 \(liver\).* .*it has right-femur"):
        target_of_probabilities(("right-femur",), torch.zeros(1, *SHAPE), pelvis, "here")


def test_one_name_of_several_numbers_is_one_region(pelvis: Volume, tmp_path: Path) -> None:
    path = label_png(tmp_path / "both.png", {(0, 0): 8, (1, 0): 9, (1, 1): 4})
    rois = read_rois(path, SHAPE, pelvis, {8: "hip_left", 9: "hip_left", 4: "left-femur"})
    assert rois.names == ("left-femur", "hip_left")
    assert rois.labels == ((75,), (77,))
    assert rois.masks[1].nonzero().tolist() == [[0, 0], [1, 0]]
    assert rois.known is not None
    assert bool(rois.known[1, 1, 0])
    assert not bool(rois.known[1, 1, 1])  # the femur may lie before the hip there


def test_what_cannot_be_is_one_sentence(pelvis: Volume, tmp_path: Path) -> None:
    path = label_png(tmp_path / "mask.png", {(0, 0): 1})
    with pytest.raises(InputError, match=r"mask\.png must have the X-ray's rows x columns, 9 x 9"):
        read_rois(path, (9, 9), pelvis)
    unknown = label_png(tmp_path / "unknown.png", {(0, 0): 2, (1, 1): 1})
    with pytest.raises(InputError, match=r"77 \(hip_left\); it has 2 \(right-hemipelvis\)"):
        read_rois(unknown, SHAPE, pelvis)
    with pytest.raises(InputError, match=r"it has 44 \(44\)"):
        read_rois(label_png(tmp_path / "other.png", {(0, 0): 44}), SHAPE, pelvis)
    np.save(tmp_path / "fractions.npy", np.full(SHAPE, 0.5))
    with pytest.raises(InputError, match="whole-number labels, got fractions"):
        read_rois(tmp_path / "fractions.npy", SHAPE, pelvis)
    np.save(tmp_path / "negative.npy", np.full(SHAPE, -1))
    with pytest.raises(InputError, match=r"labels in 0\.\.32767, got -1\.\.-1"):
        read_rois(tmp_path / "negative.npy", SHAPE, pelvis)
    with pytest.raises(InputError, match=r"absent\.png is not a file"):
        read_rois(tmp_path / "absent.png", SHAPE, pelvis)
    (tmp_path / "mask.txt").write_text("1")
    with pytest.raises(InputError, match=r"must end in \.npz or \.png"):
        read_rois(tmp_path / "mask.txt", SHAPE, pelvis)
    (tmp_path / "broken.npz").write_text("1")
    with pytest.raises(InputError, match="must hold probabilities and roi_names"):
        read_rois(tmp_path / "broken.npz", SHAPE, pelvis)


def test_numbers_that_may_mean_two_things_need_names(
    volume_with: MakeVolume, tmp_path: Path
) -> None:
    volume = volume_with({1: "femur_left", 2: "hip_left", 3: "sacrum"})
    path = label_png(tmp_path / "mask.png", {(0, 0): 1})
    with pytest.raises(
        InputError, match=r"DeepFluoro's, 1 \(left-hemipelvis\), or the CT's own, 1"
    ):
        read_rois(path, SHAPE, volume)
    assert read_rois(path, SHAPE, volume, volume.label_names).labels == ((1,),)
    same = volume_with({1: "left-hemipelvis", 2: "right-hemipelvis"})
    assert read_rois(path, SHAPE, same).labels == ((1,),)


def test_label_images_of_wsreg_segment_have_their_names_beside_them(
    volume_with: MakeVolume, tmp_path: Path
) -> None:
    volume = volume_with({1: "femur_left", 2: "hip_left"})
    (tmp_path / "label_names.json").write_text('{"1": "left-femur"}')
    rois = read_rois(label_png(tmp_path / "labels.png", {(0, 0): 1}), SHAPE, volume)
    assert rois.labels == ((1,),)
    assert rois.names == ("left-femur",)


def test_a_palette_holds_numbers_not_colours(pelvis: Volume, tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 3] = 77
    picture = Image.fromarray(labels)
    picture.putpalette(bytes(range(255, -1, -1)) * 3)
    picture.save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as written:
        assert written.mode == "P"
    rois = read_rois(tmp_path / "mask.png", SHAPE, pelvis)
    assert rois.names == ("hip_left",)
    assert rois.masks[0].nonzero().tolist() == [[2, 3]]


def test_as_many_probabilities_as_names(pelvis: Volume, tmp_path: Path) -> None:
    path = tmp_path / "probabilities.npz"
    np.savez(path, probabilities=np.zeros((1, *SHAPE)), roi_names=np.array(["a", "b"]))
    with pytest.raises(InputError, match=r"each of its 2 roi_names, got \[1, 4, 6\]"):
        read_rois(path, SHAPE, pelvis)
