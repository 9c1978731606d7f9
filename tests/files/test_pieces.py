from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from wsreg.errors import InputError
from wsreg.files.pieces import open_pieces

PLAN = {"seed": 0, "preset": "tiny"}


def test_a_piece_comes_back_and_survives_reopening(tmp_path: Path) -> None:
    parts = open_pieces(tmp_path / "x.parts", PLAN)
    assert not parts.has("a/001")
    parts.save("a/001", {"image": np.arange(6).reshape(2, 3)})
    again = open_pieces(tmp_path / "x.parts", PLAN)
    assert again.has("a/001")
    np.testing.assert_array_equal(again.load("a/001")["image"], [[0, 1, 2], [3, 4, 5]])


def test_pieces_of_another_plan_are_refused(tmp_path: Path) -> None:
    open_pieces(tmp_path / "x.parts", PLAN)
    with pytest.raises(InputError, match=r"another run \(seed differ\)"):
        open_pieces(tmp_path / "x.parts", {**PLAN, "seed": 1})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot write"):
        open_pieces(tmp_path / "x.parts", PLAN)


def test_a_full_disk_leaves_no_half_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = open_pieces(tmp_path / "x.parts", PLAN)

    def full(stream: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(InputError, match="No space left"):
        parts.save("a", {"image": np.zeros(3)})
    assert not parts.has("a")
    assert sorted(p.name for p in parts.path.iterdir()) == ["plan.json"]


def test_damaged_pieces_are_dropped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = open_pieces(tmp_path, PLAN)
    for name in ("a", "b/c", "other"):
        parts.save(name, {"image": np.arange(30.0)})
    file = tmp_path / "b" / "c.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)
    wanted = {"a": ("image",), "b/c": ("image",), "d": ("image",), "other": ("image", "labels")}
    parts.drop_damaged(wanted)
    assert [parts.has(name) for name in ("a", "b/c", "other")] == [True, False, False]
    assert "c.npz is damaged and made again" in caplog.text
    assert "other.npz is damaged and made again" in caplog.text


@pytest.mark.parametrize("content", [b"{", b"", None])
def test_pieces_without_a_plan_are_made_again(tmp_path: Path, content: bytes | None) -> None:
    open_pieces(tmp_path, PLAN).save("a/001", {"image": np.zeros(3)})
    (tmp_path / "plan.json").unlink()
    if content is not None:
        (tmp_path / "plan.json").write_bytes(content)
    assert not open_pieces(tmp_path, PLAN).has("a/001")
    open_pieces(tmp_path, PLAN)


def test_a_damaged_piece_is_named(tmp_path: Path) -> None:
    parts = open_pieces(tmp_path / "x.parts", PLAN)
    parts.save("a", {"image": np.zeros(3)})
    file = tmp_path / "x.parts" / "a.npz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"a\.npz cannot be read: .*; delete it"):
        parts.load("a")
    with pytest.raises(InputError, match=r"b\.npz cannot be read"):
        parts.load("b")


def test_flipped_bits_and_missing_ends_are_said_in_a_sentence(tmp_path: Path) -> None:
    pieces = open_pieces(tmp_path / "pieces", {})
    pieces.save("one", {"values": np.arange(40)})
    (file,) = (tmp_path / "pieces").glob("*.npz")
    whole = file.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(150):
        damaged = bytearray(whole[: generator.integers(len(whole))] if trial % 3 == 0 else whole)
        for at in generator.integers(max(len(damaged), 1), size=3 * bool(damaged)):
            damaged[at] ^= 1 << int(generator.integers(8))
        file.write_bytes(damaged)
        try:
            pieces.load("one")
        except InputError as error:
            assert "cannot be read" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 100
