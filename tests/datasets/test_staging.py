from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from wsreg.datasets.staging import staged_hdf5
from wsreg.errors import InputError

SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from wsreg.datasets.staging import staged_hdf5
from wsreg.errors import InputError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
noise = np.random.default_rng(0).random(20_000)
for limit in (*range(0, 4000, 500), 50_000, 200_000, 330_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with staged_hdf5(path) as (file, check_disk):
            for name in ("a", "b"):
                file[name] = noise
                file.create_group(name + "-group")["x"] = 1.0
                file.flush()
                check_disk()
        print("written")
    except InputError as error:
        print(error)
"""


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.h5"
    with staged_hdf5(path) as (file, check_disk):
        file["x"] = np.arange(5)
        file.flush()
        check_disk()
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ["a.h5"]
    with h5py.File(path) as file:
        assert file["x"][:].tolist() == [0, 1, 2, 3, 4]


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with staged_hdf5(path) as (file, _):
        file["x"] = 1

    def stopped() -> None:
        with staged_hdf5(path) as (file, _):
            file["x"] = 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    with h5py.File(path) as file:
        assert file["x"][()] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
def test_a_full_disk_is_one_sentence_wherever_it_strikes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == 11
    assert said[-1] == "written"
    assert set(said[:-1]) == {f"cannot write to {path}: File too large"}
    assert done.stderr == ""
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"cannot write to .*: (Not a directory|File exists)"),
        staged_hdf5(tmp_path / "file" / "a.h5"),
    ):
        pass
