from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.radiographs.frame_files import frames_of_views, in_natural_order, read_frames
from wsreg.radiographs.reading import read_radiograph

Expose = Callable[..., NDArray[Any]]


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["frame-10.png", "frame-2.png", "frame-1.png", "a.png", "frame-02b.png"]
    found = [path.name for path in in_natural_order([Path(name) for name in names])]
    assert found == ["a.png", "frame-1.png", "frame-2.png", "frame-02b.png", "frame-10.png"]


def test_frames_of_a_cine_are_read_as_its_first_that_shows_something(
    trunk: NDArray[Any], expose: Expose, write_dicom: Callable[..., Path]
) -> None:
    counts = expose(trunk)
    dark = np.full(counts.shape, 50.0) + np.random.default_rng(0).normal(0, 5, counts.shape)
    path = write_dicom(np.stack((dark, counts, 0.5 * counts)).round())
    frames = read_frames(path)
    assert len(frames) == 3
    assert [frame.name for frame in frames] == ["xray-0", "xray-1", "xray-2"]
    alone = read_radiograph(path, frame=1)
    torch.testing.assert_close(frames[1].image, alone.image)
    assert torch.equal(frames[1].mask, alone.mask)
    assert torch.equal(frames[2].mask, alone.mask), "the field of one camera is that of all"
    torch.testing.assert_close(frames[2].image, alone.image, atol=0.02, rtol=0)
    assert frames[-1] is not None
    assert len(frames[:2]) == 2


def test_a_frame_of_a_cine_that_cannot_be_read_is_told_with_its_file(
    trunk: NDArray[Any], expose: Expose, write_dicom: Callable[..., Path]
) -> None:
    counts = expose(trunk)
    path = write_dicom(np.stack((counts, np.full_like(counts, 7.0))).round())
    frames = read_frames(path)
    with pytest.raises(InputError, match=rf"{path.name}: X-ray {path.stem}-1 is constant"):
        frames[1]


def test_a_folder_and_a_frame_that_cannot_be_read(tmp_path: Path, trunk: NDArray[Any]) -> None:
    for number in (1, 2, 10):
        np.save(tmp_path / f"f{number}.npy", np.exp(-trunk) * (1000 + number))
    np.save(tmp_path / "f3.npy", np.ones((256, 240)))
    (tmp_path / "notes.txt").write_text("not a frame")
    frames = read_frames(tmp_path)
    assert frames.source.names == ("f1", "f2", "f3", "f10")
    with pytest.raises(InputError, match="f3 is constant"):
        frames[2]
    assert frames[3].name == "f10"


def test_frames_are_read_ahead_and_let_go(tmp_path: Path, trunk: NDArray[Any]) -> None:
    for number in range(6):
        np.save(tmp_path / f"f{number}.npy", np.exp(-trunk))
    frames = read_frames(tmp_path)
    frames[0]
    deadline = time.monotonic() + 20.0
    while not all(one.done() for one in frames._read.values()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(frames._read) == [0, 1, 2]
    frames[4]
    assert sorted(frames._read) == [4, 5]


def test_what_holds_no_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold X-rays, it holds none"):
        read_frames(tmp_path)
    with pytest.raises(InputError, match="at least one X-ray, got none"):
        read_frames([])
    with pytest.raises(InputError, match="no frame can be read: X-ray"):
        read_frames([tmp_path / "absent.png", tmp_path / "gone.png"])


def test_views_must_have_as_many_frames(tmp_path: Path, trunk: NDArray[Any]) -> None:
    views = []
    for name, count in (("left", 2), ("right", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            np.save(tmp_path / name / f"{number}.npy", np.exp(-trunk))
        views.append(read_frames(tmp_path / name))
    with pytest.raises(InputError, match="as many frames as each other, got 2, 3"):
        frames_of_views(views)
    both = frames_of_views([views[0], views[0]])
    assert len(both) == 2
    assert [one.name for one in both[1]] == ["1", "1"]
    assert len(both[:]) == 2


def test_the_order_of_a_shell_is_put_right_and_any_other_kept(
    tmp_path: Path, trunk: NDArray[Any]
) -> None:
    paths = [tmp_path / f"f{number}.npy" for number in (1, 10, 2)]
    for path in paths:
        np.save(path, np.exp(-trunk))
    assert read_frames(paths).names == ("f1", "f2", "f10")
    assert read_frames(paths[::-1]).names == ("f2", "f10", "f1")


def test_several_files_of_which_one_is_a_cine_are_refused(
    trunk: NDArray[Any], expose: Expose, write_dicom: Callable[..., Path]
) -> None:
    counts = expose(trunk).round()
    one = write_dicom(counts, "a.dcm")
    several = write_dicom(np.stack((counts, counts)), "b.dcm")
    with pytest.raises(InputError, match=r"b.dcm holds 2 frames"):
        read_frames([one, several])


def test_what_lies_in_the_beam_of_the_first_frame_takes_no_field_from_the_others(
    trunk: NDArray[Any], expose: Expose, write_dicom: Callable[..., Path]
) -> None:
    counts = expose(trunk)
    blocked = counts.copy()
    blocked[:, 60:] = 30.0
    frames = read_frames(write_dicom(np.stack((blocked, counts, counts)).round()))
    assert torch.equal(frames.first.mask, read_radiograph(frames.source.files[0], frame=1).mask)
