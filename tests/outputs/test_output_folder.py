from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.outputs.output_folder import RESULT_FILES, prepare_output_folder


def test_prepare_makes_nothing(tmp_path: Path) -> None:
    assert prepare_output_folder(tmp_path / "a" / "b", force=False) == tmp_path / "a" / "b"
    assert os.listdir(tmp_path) == []


def test_prepare_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="must be a folder"):
        prepare_output_folder(tmp_path / "out", force=True)
    with pytest.raises(InputError, match="writable"):
        prepare_output_folder(tmp_path / "out" / "below", force=True)


@pytest.mark.parametrize("name", RESULT_FILES)
def test_prepare_refuses_results_without_force(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    prepare_output_folder(tmp_path, force=False)
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=f"holds results.*{name}.*--force"):
        prepare_output_folder(tmp_path, force=False)
    prepare_output_folder(tmp_path, force=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_prepare_refuses_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="writable"):
        prepare_output_folder(tmp_path, force=False)
