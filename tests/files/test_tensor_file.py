from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from wsreg.errors import InputError
from wsreg.files.tensor_file import read_tensors, write_tensors

SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from safetensors.torch import save_file

from wsreg.errors import InputError
from wsreg.files.tensor_file import write_tensors

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_tensors(Path(sys.argv[1]), {"a": torch.zeros(10_000)}, {})
except InputError as error:
    print(error)
"""


def test_tensors_and_note_come_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": shared, "tied": shared, "turned": shared.T, "b": torch.tensor([True])}
    write_tensors(tmp_path / "new" / "a.safetensors", tensors, {"step": "7"})
    found, note = read_tensors(tmp_path / "new" / "a.safetensors")
    assert note == {"step": "7"}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_what_is_no_tensor_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match=r"a\.safetensors cannot be read"):
        read_tensors(path)
    write_tensors(path, {"a": torch.zeros(3)}, {})
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"a\.safetensors cannot be read"):
        read_tensors(path)


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"old": torch.ones(2)}, {})
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"cannot write to {path}: ")
    assert "File too large" in done.stdout
    assert list(read_tensors(path)[0]) == ["old"]
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_the_same_tensors_and_note_are_the_same_bytes(tmp_path: Path) -> None:
    note = {name: name * 3 for name in "abcdefgh"}
    for number in range(6):
        write_tensors(tmp_path / str(number), {"x": torch.ones(2)}, note)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert read_tensors(tmp_path / "0")[1] == note


def test_a_note_that_was_written_entry_by_entry_is_read(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "a", metadata={"step": "3", "signature": "{}"})
    assert read_tensors(tmp_path / "a")[1] == {"step": "3", "signature": "{}"}


@pytest.mark.parametrize("bit", [0, 7])
def test_a_changed_bit_is_seen(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "weights": torch.ones(3, dtype=torch.bfloat16), "step": torch.tensor(7.0),
        "none": torch.zeros(0), "mask": torch.tensor([True, False]),
    }  # fmt: skip
    write_tensors(path, tensors, {})
    whole = path.read_bytes()
    for place in (-1, -4, -9):
        harmed = bytearray(whole)
        harmed[place] ^= 1 << bit
        path.write_bytes(harmed)
        with pytest.raises(InputError, match=r"a\.safetensors cannot be read: it is garbled"):
            read_tensors(path)
    path.write_bytes(whole)
    assert read_tensors(path)[1] == {}
