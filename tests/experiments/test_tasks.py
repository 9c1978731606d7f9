"""Tasks of trainings, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsreg.experiments import tasks
from wsreg.jobs.task import Place


def names_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_what_was_trained_is_not_lost_by_a_kill_before_the_result_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(artefact: Any, data: Path, folder: Path, made: Any, preset: Any) -> None:
        (folder / "tensorboard").mkdir(parents=True, exist_ok=True)
        for name in ("model.safetensors", "tensorboard/events"):
            (folder / name).write_text(name)

    monkeypatch.setattr(tasks, "make_artefact", trained)
    for begun in ("first", "again"):
        place = Place(out=tmp_path / begun, work=tmp_path, made={}, files={"data": tmp_path})
        place.out.mkdir()
        unet = {"kind": "unet", "specimen": "A"}
        tasks.train(place, artefact=unet, preset="tiny", settings={})
        assert names_in(place.out) == {"model.safetensors", "tensorboard/events"}
        assert names_in(tmp_path / "artefact") == names_in(place.out)
    assert (tmp_path / "again" / "tensorboard" / "events").read_text() == "tensorboard/events"
