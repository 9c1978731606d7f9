"""Make a cohort: people, their CTs, their X-rays, and the file that holds them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsreg.cohort.exposure import (
    FEMORAL_HEADS,
    Acquisition,
    acquisition_from_record,
    acquisition_to_record,
    expose,
    sample_acquisition,
)
from wsreg.cohort.presets import SPECIMENS, Preset, person_of
from wsreg.datasets.writer import CohortWriter, Projection
from wsreg.errors import InputError
from wsreg.files.lock import held_file
from wsreg.files.pieces import Pieces, open_pieces
from wsreg.jobs.crew import Crew, call_crew
from wsreg.simulation.detector import digitise
from wsreg.specimens.ct import LABELS, scan
from wsreg.specimens.person import person_to_record
from wsreg.specimens.specimen import Detail, Specimen, build_specimen
from wsreg.volumes.volume import Volume

Progress = Callable[[str, int, int], None]

SECONDS_BETWEEN_NEWS = 0.5
CT_ARRAYS = ("hu", "labels", "ct_from_voxel")
XRAY_ARRAYS = ("image", "labels", "good_fov", "record")
XRAYS_PER_TASK = 24
"""A task builds its specimen (a minute) and makes up to this many X-rays of it."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """Work for one process: a specimen's CT, or some of its X-rays."""

    specimen: str
    seed: int
    preset: Preset
    parts: Pieces
    projections: tuple[int, ...]
    with_ct: bool


def build_cohort(
    path: Path,
    preset: Preset,
    seed: int,
    specimens: Iterable[str] = (),
    *,
    xrays: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> None:
    """Make a cohort and write it as one file in DeepFluoro's layout.

    Pieces are kept in ``<path>.parts`` until the file is whole: a run that was stopped goes on
    from there.

    Args:
        path: of the HDF5 file.
        preset: how many and how fine.
        seed: of the people, the poses and the noise; the same seed gives the same file.
        specimens: names; all six if empty.
        xrays: how many of each specimen, instead of the preset's; the first ones are the same.
        workers: processes; one for each core if None.
        scheduler: address of a Dask scheduler whose workers make it instead; they must see the
            folder of the file.
        progress: called with (stage, done, total).

    Raises:
        InputError: for an unknown specimen, pieces of another cohort, or a disk that is full.
        WsregError: processes died again and again; run again, the rest is made.
    """
    names = tuple(specimens) or tuple(SPECIMENS)
    for name in names:
        person_of(name, seed)
    if xrays is not None and xrays < 1:
        raise InputError(f"xrays must be at least 1, got {xrays}")
    counts = {name: xrays or preset.xrays[name] for name in names}
    plan = {
        "wsreg": version("wsreg"), "preset": preset.name, "seed": seed, "xrays": counts,
    }  # fmt: skip
    with held_file(path):
        parts = open_pieces(path.with_name(path.name + ".parts"), plan, of="cohort")
        parts.drop_damaged(dict(_arrays_of_parts(counts)))
        tasks = list(_tasks(parts, preset, seed, counts))
        total = sum(counts.values()) + len(counts)
        missing = sum(len(task.projections) + task.with_ct for task in tasks)
        progress("simulating", total - missing, total)
        if not tasks or (workers == 1 and scheduler is None):
            _run_here(tasks, progress, total - missing, total)
        else:
            with call_crew(scheduler, workers) as crew:
                _run(tasks, crew, progress, total - missing, total)
        progress("writing", 0, len(counts))
        _assemble(path, preset, plan, parts, counts, progress)
        shutil.rmtree(parts.path, ignore_errors=True)


def _arrays_of_parts(counts: Mapping[str, int]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the name of each piece, and those of the arrays without which it cannot be read."""
    for name, count in counts.items():
        yield _ct_part(name), CT_ARRAYS
        yield from ((_xray_part(name, number), XRAY_ARRAYS) for number in range(count))


def _tasks(parts: Pieces, preset: Preset, seed: int, counts: Mapping[str, int]) -> Iterator[_Task]:
    """Yield what is still to be done, in pieces that are worth a process."""
    for name, count in counts.items():
        missing = [n for n in range(count) if not parts.has(_xray_part(name, n))]
        with_ct = not parts.has(_ct_part(name))
        for start in range(0, max(len(missing), int(with_ct)), XRAYS_PER_TASK):
            yield _Task(
                specimen=name,
                seed=seed,
                preset=preset,
                parts=parts,
                projections=tuple(missing[start : start + XRAYS_PER_TASK]),
                with_ct=with_ct and start == 0,
            )


def _run_here(tasks: list[_Task], progress: Progress, done: int, total: int) -> None:
    """Run tasks one after the other, counting the pieces as they are finished."""
    for task in tasks:
        for _ in _make(task):
            progress("simulating", done := done + 1, total)


def _run(tasks: list[_Task], crew: Crew, progress: Progress, done: int, total: int) -> None:
    """Run tasks by workers, counting the pieces as they are finished."""
    futures = {crew.executor.submit(_make_all, task) for task in tasks}
    try:
        while futures:
            finished, futures = wait(futures, SECONDS_BETWEEN_NEWS, FIRST_COMPLETED)
            for future in finished:
                future.result()
            progress("simulating", done + sum(map(_finished, tasks)), total)
    finally:
        for future in futures:
            future.cancel()


def _finished(task: _Task) -> int:
    """Count the pieces of a task that are there, whoever made them."""
    xrays = sum(task.parts.has(_xray_part(task.specimen, n)) for n in task.projections)
    return xrays + (task.with_ct and task.parts.has(_ct_part(task.specimen)))


def _make_all(task: _Task) -> None:
    for _ in _make(task):
        pass


def _make(task: _Task) -> Iterator[None]:
    """Make the missing pieces of one specimen, and yield as each is finished."""
    specimen = _specimen(task.specimen, task.seed, task.preset.detail)
    if task.with_ct:
        volume = scan(specimen, task.preset.ct_mm)
        assert volume.labels is not None
        task.parts.save(
            _ct_part(task.specimen),
            {
                "hu": volume.hu.numpy(),
                "labels": volume.labels.numpy(),
                "ct_from_voxel": volume.ct_from_voxel.numpy(),
                **{f"landmark {k}": v for k, v in specimen.anatomy.landmarks_mm.items()},
            },
        )
        yield
    for number in task.projections:
        if task.parts.has(_xray_part(task.specimen, number)):  # by a process that died later
            continue
        acquisition = acquisition_of(specimen, task.preset, task.specimen, task.seed, number)
        task.parts.save(
            _xray_part(task.specimen, number), _exposed(specimen, task.preset, acquisition)
        )
        yield


@lru_cache(maxsize=1)
def _specimen(name: str, seed: int, detail: Detail) -> Specimen:
    return build_specimen(person_of(name, seed), detail)


def acquisition_of(
    specimen: Specimen, preset: Preset, name: str, seed: int, projection: int
) -> Acquisition:
    """Draw the acquisition of one X-ray of a cohort; it does not depend on any other X-ray."""
    key = (seed, list(SPECIMENS).index(name), 1000 + projection)
    return sample_acquisition(specimen, preset.camera, np.random.default_rng(key))


def _exposed(specimen: Specimen, preset: Preset, acquisition: Acquisition) -> dict[str, np.ndarray]:
    exposure = expose(specimen, preset.camera, acquisition)
    return {
        "image": digitise(exposure.transmission.numpy()),
        "labels": exposure.labels.numpy(),
        "good_fov": np.array([exposure.valid[femur] for femur in FEMORAL_HEADS]),
        "record": np.array(json.dumps(acquisition_to_record(acquisition))),
        **{f"landmark {name}": point.numpy() for name, point in exposure.landmarks_px.items()},
    }


def _assemble(
    path: Path,
    preset: Preset,
    plan: Mapping[str, Any],
    parts: Pieces,
    counts: Mapping[str, int],
    progress: Progress,
) -> None:
    with CohortWriter(path, preset.camera, record=plan) as writer:
        for done, (name, count) in enumerate(counts.items(), start=1):
            person = person_to_record(person_of(name, int(plan["seed"])))
            volume, landmarks = _read_ct(parts.load(_ct_part(name)))
            writer.write_specimen(name, volume, landmarks, record=person)
            for number in range(count):
                projection = _read_xray(parts.load(_xray_part(name, number)))
                writer.write_projection(name, f"{number:03d}", projection)
            progress("writing", done, len(counts))


def _read_ct(arrays: Mapping[str, np.ndarray]) -> tuple[Volume, dict[str, torch.Tensor]]:
    volume = Volume(
        hu=torch.from_numpy(arrays["hu"]),
        ct_from_voxel=torch.from_numpy(arrays["ct_from_voxel"]),
        labels=torch.from_numpy(arrays["labels"]),
        label_names={value: name for name, value in LABELS.items()},
    )
    return volume, _landmarks(arrays)


def _read_xray(arrays: Mapping[str, np.ndarray]) -> Projection:
    record = json.loads(str(arrays["record"]))
    acquisition = acquisition_from_record(record)
    return Projection(
        image=torch.from_numpy(arrays["image"].astype(np.float32)),
        labels=torch.from_numpy(arrays["labels"]),
        landmarks_px=_landmarks(arrays),
        poses=acquisition.poses,
        valid=dict(zip(FEMORAL_HEADS, arrays["good_fov"].tolist(), strict=True)),
        rot_180_for_up=acquisition.rot_180_for_up,
        record=record,
    )


def _landmarks(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    prefix = "landmark "
    return {
        name.removeprefix(prefix): torch.from_numpy(point)
        for name, point in arrays.items()
        if name.startswith(prefix)
    }


def _ct_part(specimen: str) -> str:
    return f"{specimen}/ct"


def _xray_part(specimen: str, projection: int) -> str:
    return f"{specimen}/{projection:03d}"
