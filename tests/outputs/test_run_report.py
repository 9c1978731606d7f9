"""Reports on folders as registrations leave them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from wsreg.errors import InputError
from wsreg.outputs.result_files import write_result
from wsreg.outputs.run_report import remove_run_report, run_sections, write_run_report
from wsreg.outputs.summary import failed_row, result_row, write_summary
from wsreg.registration.result import RegistrationResult
from wsreg.registration.trace_step import TraceStep

MakeResult = Callable[..., RegistrationResult]
Traced = Callable[..., tuple[TraceStep, ...]]


@pytest.fixture(name="xray")
def _xray(tmp_path: Path) -> Path:
    path = tmp_path / "x<ray>.png"
    path.write_text("abc")
    return path


def text_of(folder: Path) -> str:
    return write_run_report(folder).read_text(encoding="utf-8")


def test_one_result_with_its_trace(
    two_of_each: RegistrationResult, make_trace: Traced, xray: Path, tmp_path: Path
) -> None:
    result = dataclasses.replace(two_of_each, trace=make_trace(bodies=2, views=2))
    write_result(result, tmp_path / "out", inputs={"xray": xray}, notes=("A note & more.",))
    html = text_of(tmp_path / "out")
    assert html.count("data:image/png") == 2
    assert html.count("data:image/gif") == 1
    for said in (
        "The starts agree.", "It rose by 0.5.", "left-femur", "The X-ray shows 10% of it.",
        "10%", "frontal", "lateral", "0.400", "0.900", "1.00 / 2.00 / 3.00", "0.10 / 0.20", "2.50",
        "not known / not known", "A note &amp; more.", "x&lt;ray&gt;.png",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "gauss-newton", "0.50 (refine 0.40)", "&#34;damping&#34;: 0.001", "torch",
    ):  # fmt: skip
        assert said in html, said
    assert "<ray>" not in html
    assert "<h2>" not in html  # one section


def test_one_body_has_no_column_of_reasons(make_result: MakeResult, tmp_path: Path) -> None:
    write_result(make_result(), tmp_path / "out", inputs={})
    html = text_of(tmp_path / "out")
    assert "<th>Reasons</th>" not in html
    assert html.count("data:image") == 1  # no trace
    assert "Way to the answer" not in html


def test_a_batch_is_a_table_and_a_section_each(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result()
    for name in ("a", "b"):
        write_result(result, tmp_path / name, inputs={})
    rows = [
        result_row("a", result), result_row("b", result), failed_row("c<", "c< is no image at all"),
    ]  # fmt: skip
    write_summary(rows, tmp_path / "summary.csv")
    html = text_of(tmp_path)
    assert [section.title for section in run_sections(tmp_path)] == ["All X-rays", "a", "b"]
    assert "3: 2 pass, 1 failed" in html
    assert '<a href="#result-1">a</a>' in html
    assert "c&lt; is no image at all" in html


def test_an_old_result_of_an_x_ray_that_failed_now_is_not_shown(
    make_result: MakeResult, tmp_path: Path
) -> None:
    write_result(make_result(), tmp_path / "a", inputs={})
    write_summary([failed_row("a", "It is gone.")], tmp_path / "summary.csv")
    assert [section.title for section in run_sections(tmp_path)] == ["All X-rays"]


def test_folders_of_results_without_a_table_are_a_batch(
    make_result: MakeResult, tmp_path: Path
) -> None:
    for name in ("b", "a"):
        write_result(make_result(), tmp_path / name, inputs={})
    titles = [section.title for section in run_sections(tmp_path)]
    assert titles == ["All X-rays", "a", "b"]


def test_the_newest_run_in_a_folder_is_told(make_result: MakeResult, tmp_path: Path) -> None:
    write_result(make_result(), tmp_path, inputs={})
    write_summary([failed_row("a", "It is gone.")], tmp_path / "summary.csv")
    for first, title in (("result.json", "All X-rays"), ("summary.csv", "xray")):
        now = (tmp_path / first).stat().st_mtime
        for name in ("result.json", "summary.csv"):
            os.utime(tmp_path / name, (now, now - 100 * (name == first)))
        assert run_sections(tmp_path)[0].title == title


def test_a_sequence_is_told_by_its_table_pictures_and_record(tmp_path: Path) -> None:
    (tmp_path / "poses.csv").write_text(
        "frame,body,camera_from_ct_00,verdict,reason,found_by\n0,pelvis,1.0,pass,,search\n"
        "1,pelvis,1.0,check,Odd <.,tracking\n2,pelvis,,fail,The frame is blank.,nothing\n"
    )
    for name in ("sequence.png", "motion.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    record = {
        "schema": "9", "frames_per_second": 8.5, "verdicts": {"pass": 1, "fail": 2}, "lost": [2],
        "camera": {"rows": 5}, "bodies": {"pelvis": {"labels": [1, [2]]}},
        "notes": ["Two frames are lost."],
        "inputs": {"frames": {"name": "cine.dcm", "sha256": "ab12"}},
        "versions": {"wsreg": "1"},
    }  # fmt: skip
    (tmp_path / "sequence.json").write_text(json.dumps(record))
    html = text_of(tmp_path)
    assert html.count("data:image/png") == 2
    counts = [f'<td class="number">{n}</td>' for n in (1, 1, 1)]
    assert "<td>pelvis</td>" + "".join(counts) in html
    for said in (
        "The frame is blank.", "Odd &lt;.", "<td>tracking</td>", "cine.dcm", "ab12",
        "Two frames are lost.", "<dt>Frames per second</dt><dd>8.5</dd>", "<dd>pass 1, fail 2</dd>",
        "<dt>Lost</dt><dd>2</dd>", "<summary>Camera</summary>", "&#34;rows&#34;: 5",
    ):  # fmt: skip
        assert said in html, said
    assert "Schema" not in html
    (tmp_path / "sequence.json").unlink()
    assert "The frame is blank." in text_of(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="report needs a folder with results"):
        write_run_report(tmp_path)
    with pytest.raises(InputError, match="report needs a folder with results"):
        write_run_report(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_only_a_report_of_ours_is_removed(make_result: MakeResult, tmp_path: Path) -> None:
    write_result(make_result(), tmp_path, inputs={})
    path = write_run_report(tmp_path)
    remove_run_report(tmp_path)
    assert not path.exists()
    path.write_text("<html>mine</html>")
    remove_run_report(tmp_path)
    assert path.exists()
