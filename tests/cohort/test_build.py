from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import wsreg.cohort.build as build
from wsreg.cli.main import main
from wsreg.cohort.presets import PRESETS, Preset
from wsreg.datasets.inspection import inspect_deepfluoro
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError
from wsreg.specimens.specimen import Detail

TINIEST = Preset(
    name="tiniest",
    xrays={"17-1882": 2, "18-1109": 1},
    ct_mm=6.0,
    image_px=48,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)


def make(path: Path, workers: int = 1, **options: object) -> None:
    names = ["17-1882", "18-1109"]
    build.build_cohort(path, TINIEST, 0, names, workers=workers, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort") / "cohort.h5"
    make(path, workers=2)
    return path


def test_a_cohort_has_the_whole_layout_and_leaves_nothing_else(cohort: Path) -> None:
    report = inspect_deepfluoro(cohort)
    assert report.problems == ()
    assert report.virtual
    assert [s.projections for s in report.specimens] == [2, 1]
    assert [path.name for path in cohort.parent.iterdir()] == ["cohort.h5"]


def test_landmarks_are_where_the_pose_puts_them(cohort: Path) -> None:
    with DeepFluoroFile(cohort) as file:
        for sample in file.samples():
            for name, point in sample.landmarks_mm.items():
                moved = sample.camera_from_ct[:3, :3] @ point + sample.camera_from_ct[:3, 3]
                error = sample.camera.project(moved) - sample.landmarks_px[name]
                assert error.abs().max() < 1e-3  # poses are stored in single precision


def test_a_stopped_run_goes_on_without_what_is_damaged_and_gives_the_same_file(
    cohort: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "again.h5"
    done = []

    def stop(stage: str, count: int, total: int) -> None:
        done.append(count)
        if count >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(path, progress=stop)
    assert not path.exists()
    assert (tmp_path / "again.h5.parts" / "plan.json").exists()
    pieces = sorted((tmp_path / "again.h5.parts").rglob("*.npz"))
    pieces[0].write_bytes(pieces[0].read_bytes()[:-40])
    np.savez(pieces[1], image=np.zeros(3))  # whole, but no piece of a cohort
    seen: list[int] = []
    make(path, progress=lambda stage, count, total: seen.append(count))
    assert seen[0] == len(pieces) - 2  # what was there is not made again
    for piece in pieces[:2]:
        assert f"{piece} is damaged and made again" in caplog.text
    with DeepFluoroFile(cohort) as first, DeepFluoroFile(path) as second:
        for a, b in zip(first.samples(), second.samples(), strict=True):
            assert a.radiograph.image.equal(b.radiograph.image)
            assert a.camera_from_ct.equal(b.camera_from_ct)


def test_more_xrays_keep_the_first_ones(cohort: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.h5"
    build.build_cohort(path, TINIEST, 0, ["18-1109"], xrays=2, workers=1)
    with DeepFluoroFile(cohort) as first, DeepFluoroFile(path) as second:
        assert second.projections("18-1109") == ("000", "001")
        a, b = first.sample("18-1109", "000"), second.sample("18-1109", "000")
    assert a.radiograph.image.equal(b.radiograph.image)


def test_pieces_of_another_cohort_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "cohort.h5"
    parts = tmp_path / "cohort.h5.parts"
    parts.mkdir()
    (parts / "plan.json").write_text(json.dumps({"seed": 99}))
    with pytest.raises(InputError, match="pieces of another cohort"):
        make(path)


def test_the_command_refuses_what_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.h5"
    there.write_text("x")
    cases = {
        ("--out", str(there)): "is there already",
        ("--out", str(tmp_path / "x.hdf")): "must end in .h5",
        ("--out", str(tmp_path / "x.h5"), "--specimens", "nobody"): "one of 17-1882",
        ("--out", str(tmp_path / "x.h5"), "--xrays", "0"): "at least 1",
    }
    for words, message in cases.items():
        assert main(["simulate", "cohort", *words]) == 2
        assert message in capsys.readouterr().err
    assert sorted(PRESETS) == ["paper", "small", "tiny"]
