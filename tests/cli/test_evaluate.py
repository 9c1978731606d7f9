"""``wsreg evaluate`` from a file to tables."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from wsreg.cli.main import main
from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset
from wsreg.specimens.specimen import Detail

COARSE = Preset(
    name="coarse",
    xrays={"17-1882": 2},
    ct_mm=6.0,
    image_px=48,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort") / "cohort.h5"
    build_cohort(path, COARSE, 0, ("17-1882",), workers=1)
    return path


def evaluate(cohort: Path, method: str, out: Path, *more: object) -> int:
    words = ["--data", cohort, "--method", method, "--preset", "tiny", "--out", out, *more]
    return main(["evaluate", *map(str, words)])


def test_every_x_ray_has_a_row(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(cohort, "psss", tmp_path, "--xrays", 2) == 0
    said = capsys.readouterr().out
    assert "# PSSS on cohort.h5" in said
    assert "| `mtre_3d_mm` | all |" in said
    assert "mrpe_mm" not in said
    assert "`mrpe_mm`" in (tmp_path / "summary.md").read_text()
    with (tmp_path / "xrays.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["specimen"], row["projection"]) for row in rows] == [
        ("17-1882", "000"),
        ("17-1882", "001"),
    ]
    assert all(float(row["mtre_3d_mm"]) > 0 and row["verdict"] for row in rows)
    with (tmp_path / "summary.csv").open(newline="") as stream:
        assert {row["group"] for row in csv.DictReader(stream)} == {"17-1882", "all"}
    artefact = tmp_path / "artefacts" / "encoder-geo-17-1882"
    written = (artefact / "model.safetensors").stat().st_mtime_ns
    table = (tmp_path / "xrays.csv").read_text()
    assert evaluate(cohort, "psss", tmp_path, "--xrays", 2, "--no-training", "--quiet") == 0
    assert (artefact / "model.safetensors").stat().st_mtime_ns == written
    assert (tmp_path / "xrays.csv").read_text() == table
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("psss", ("--no-training",), "has not, encoder-geo-17-1882; without --no-training"),
        ("ours", ("--specimen", "18-2800"), "no specimen '18-2800', it has 17-1882"),
        ("ours", ("--xrays", "0"), "--xrays must be at least 1, got 0"),
        ("wsreg-unet", (), "must have at least 2 specimens, one left out"),
    ],
)
def test_bad_input_in_a_sentence(
    cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    method: str,
    more: tuple[str, ...],
    message: str,
) -> None:
    assert evaluate(cohort, method, tmp_path, *more, "--quiet") == 2
    assert message in capsys.readouterr().err


def test_an_unknown_method_is_misuse(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate(cohort, "magic", tmp_path)
    assert stopped.value.code == 2
