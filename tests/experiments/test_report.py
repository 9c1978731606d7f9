"""The report of an experiment, from its blocks and as HTML."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from wsreg.experiments.hardware import hardware, processor, versions
from wsreg.experiments.report import (
    Chapter,
    Run,
    experiment_sections,
    table_parts,
    write_experiment_report,
)
from wsreg.experiments.table import Block, Cell, Column, ResultTable
from wsreg.outputs.report import Facts, Picture, Sentences, Strong, Table

TABLE = ResultTable(
    name="t",
    title="Methods",
    columns=[Column(key="method", title="Method"), Column(key="mtre", title="mTRE (mm)")],
    blocks=[
        Block(source="measured", title="", rows=[[Cell(text="<Ours>"), Cell(text="0.1", best=True)],
                                                 [Cell(text="Theirs"), Cell(text="0.2")]]),
        Block(source="quoted", title="Quoted", rows=[[Cell(text="DiffPose"), Cell(text="1.01")]]),
    ],
    notes=["A note."],
)  # fmt: skip
RUN = Run(
    configuration={"preset": "small"},
    seconds={"train unet": 60.25, "register": 30.0},
    inputs={"data": {"name": "cohort.h5", "sha256": "abc"}},
    notes=["MedSAM was left out."],
)


def test_measured_and_quoted_are_tables_of_their_own() -> None:
    first, second = table_parts(TABLE)
    assert (first.title, second.title) == ("Methods", "Quoted")
    (table,) = first.blocks
    assert isinstance(table, Table)
    assert table.columns == ["Method", "mTRE (mm)"]
    assert table.rows == [["<Ours>", Strong(strong="0.1")], ["Theirs", "0.2"]]
    assert table.numbers == {1}
    assert isinstance(second.blocks[1], Sentences)


def test_the_run_says_on_what_and_how_long() -> None:
    sections = experiment_sections([], RUN)
    parts = {part.title: part.blocks for part in sections[-1].parts}
    assert list(parts) == ["Notes", "Hardware", "Inputs and versions", "Seconds", "Details"]
    total, tasks = parts["Seconds"]
    assert isinstance(total, Facts)
    assert total.values["All tasks"].startswith("90 s")
    assert isinstance(tasks, Table)
    assert tasks.rows[0] == ("train unet", "60.2")
    assert [part.title for part in experiment_sections([], Run())[-1].parts] == [
        "Hardware", "Inputs and versions",
    ]  # fmt: skip


def test_one_file_that_needs_no_other(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), "red").save(tmp_path / "figure.png")
    chapter = Chapter(
        title="Table 1",
        tables=[TABLE],
        figures=[Picture(path=tmp_path / "figure.png", caption="Errors.")],
        notes=["Made of four trials."],
    )
    path = tmp_path / "report.html"
    write_experiment_report("Reproduction", [chapter], RUN, path)
    html = path.read_text(encoding="utf-8")
    assert "<strong>0.1</strong>" in html
    assert "&lt;Ours&gt;" in html
    assert "data:image/png;base64," in html
    assert 'src="http' not in html
    for words in ("Reproduction", "Made of four trials.", "MedSAM was left out.", "cohort.h5",
                  "A note.", "Errors.", processor()):  # fmt: skip
        assert words in html


def test_hardware_and_versions() -> None:
    assert list(hardware()) == ["Processor", "Cores", "Memory", "Graphics card", "System"]
    assert hardware()["Processor"]
    found = versions(["numpy", "no-such-package-there"])
    assert list(found) == ["wsreg", "Python", "numpy"]
