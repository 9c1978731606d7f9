"""Reports: every block, whole by themselves, all text escaped."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from wsreg.errors import InputError
from wsreg.outputs.report import (
    Badge,
    Block,
    Facts,
    Folded,
    Link,
    Part,
    Picture,
    Section,
    Sentences,
    Strong,
    Table,
    VerdictBlock,
    is_report,
    report_html,
    write_report,
)

NASTY = '<b onload="x">&\'</b>'
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """The tags of a page, their attributes, and its text; unbalanced tags are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def section(*blocks: Block, title: str = "One") -> Section:
    return Section(title=title, anchor=title.lower(), parts=[Part(title="Part", blocks=blocks)])


@pytest.fixture(name="picture")
def _picture(tmp_path: Path) -> Path:
    Image.new("RGB", (2, 2), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def every_block(picture: Path, text: str) -> list[Block]:
    return [
        VerdictBlock(status="check", reasons=[text]),
        Picture(path=picture, caption=text),
        Table(
            columns=[text, "B"],
            rows=[
                [Link(text=text, anchor="two"), Badge(status="fail")],
                [text, Strong(strong=text)],
            ],
            numbers=frozenset({1}),
        ),
        Facts(values={text: text}),
        Sentences(items=[text]),
        Folded(title=text, text=text),
    ]


def test_all_text_is_escaped(picture: Path) -> None:
    page = Page(report_html(NASTY, [section(*every_block(picture, NASTY), title=NASTY)]))
    assert not [tag for tag, _ in page.tags if tag in ("b", "script")]
    assert page.text.count(NASTY) == 13  # twice the title; a title of one section is not shown
    (alt,) = (attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert alt == NASTY


def test_it_needs_nothing_but_itself(picture: Path) -> None:
    html = report_html("A run", [section(*every_block(picture, "text"))])
    page = Page(html)
    assert "http" not in html
    assert "url(" not in html
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    (source,) = (attributes["src"] for tag, attributes in page.tags if tag == "img")
    assert source is not None
    head, content = source.split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content) == picture.read_bytes()


def test_verdicts_have_words_signs_and_colours() -> None:
    html = report_html("A run", [section(VerdictBlock(status="fail", reasons=["Lost."]))])
    page = Page(html)
    assert "✗ fail" in page.text
    assert ("span", {"class": "badge fail"}) in page.tags
    assert ".badge.fail { background: #d64545" in html


def test_an_unknown_status_is_a_word_only() -> None:
    page = Page(report_html("A run", [section(Table(columns=["A"], rows=[[Badge(status="odd")]]))]))
    assert ("span", {"class": "badge"}) in page.tags
    assert "odd" in page.text


def test_links_lead_to_sections(picture: Path) -> None:
    page = Page(report_html("A run", [section(*every_block(picture, "x")), section(title="Two")]))
    assert ("a", {"href": "#two"}) in page.tags
    assert ("section", {"id": "two"}) in page.tags
    assert [tag for tag, _ in page.tags].count("h2") == 2


def test_a_picture_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        report_html("A", [section(Picture(path=tmp_path / "no.png", caption=""))])
    with pytest.raises(InputError, match="must end in one of"):
        report_html("A", [section(Picture(path=tmp_path / "no.svg", caption=""))])


def test_a_report_is_known_by_its_head(tmp_path: Path) -> None:
    write_report("A run", [section()], tmp_path / "report.html")
    assert is_report(tmp_path / "report.html")
    (tmp_path / "mine.html").write_text("<html></html>")
    (tmp_path / "odd.html").write_bytes(b"\xff\xfe\xff")
    assert not any(is_report(tmp_path / name) for name in ("mine.html", "odd.html", "none.html"))
