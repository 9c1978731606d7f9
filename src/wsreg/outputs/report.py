"""Reports: one HTML file that needs nothing besides itself.  Sections are made of blocks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

from wsreg import __version__
from wsreg.errors import InputError
from wsreg.files.whole import write_text
from wsreg.outputs.pictures import VERDICT_COLOURS

TEMPLATE = "report.html.jinja"
GENERATOR = "wsreg report"
"""By which a file is known to be a report."""
HEAD_CHARACTERS = 400
"""Within so many characters a report says that it is one."""

_MEDIA = {".png": "image/png", ".gif": "image/gif", ".jpg": "image/jpeg"}


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A verdict (``pass``, ``check``, ``fail``) or another word in a table."""

    status: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """The title of another section in a table, by its anchor."""

    text: str
    anchor: str


@dataclass(frozen=True, kw_only=True)
class Strong:
    """Text in bold in a table, such as the best value of a column."""

    strong: str


Cell = str | Badge | Link | Strong


@dataclass(frozen=True, kw_only=True)
class VerdictBlock:
    """A verdict with its reasons, a sentence each."""

    kind: ClassVar[str] = "verdict"

    status: str
    reasons: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture that becomes part of the report."""

    kind: ClassVar[str] = "picture"

    path: Path
    caption: str

    @property
    def source(self) -> str:
        """Return the picture itself as an address.

        Raises:
            InputError: it cannot be read, or is none of PNG, GIF and JPEG.
        """
        media = _MEDIA.get(self.path.suffix.lower())
        if media is None:
            raise InputError(f"a picture must end in one of {', '.join(_MEDIA)}, got {self.path}")
        try:
            content = base64.b64encode(self.path.read_bytes()).decode("ascii")
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from error
        return f"data:{media};base64,{content}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells under columns; those whose index is among ``numbers`` are set to the right."""

    kind: ClassVar[str] = "table"

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names with values."""

    kind: ClassVar[str] = "facts"

    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """A list of sentences."""

    kind: ClassVar[str] = "sentences"

    items: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Text under a title, which shows when it is opened."""

    kind: ClassVar[str] = "folded"

    title: str
    text: str


Block = VerdictBlock | Picture | Table | Facts | Sentences | Folded


@dataclass(frozen=True, kw_only=True)
class Part:
    """Blocks under a small title."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Parts under a title; ``anchor`` is where links lead."""

    title: str
    anchor: str
    parts: Sequence[Part]


def report_html(title: str, sections: Sequence[Section]) -> str:
    """Return a report; all text in it is escaped.

    Raises:
        InputError: a picture that cannot be read.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("wsreg.outputs").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=title,
        sections=sections,
        colours=VERDICT_COLOURS,
        generator=GENERATOR,
        version=__version__,
    )


def write_report(title: str, sections: Sequence[Section], path: str | Path) -> None:
    """Write a report, whole or not at all.

    Raises:
        InputError: the file cannot be written, or a picture cannot be read.
    """
    write_text(path, report_html(title, sections))


def is_report(path: str | Path) -> bool:
    """Return whether a file is a report of ours."""
    try:
        with Path(path).open(encoding="utf-8") as stream:
            return f'content="{GENERATOR}' in stream.read(HEAD_CHARACTERS)
    except (OSError, UnicodeDecodeError):
        return False
