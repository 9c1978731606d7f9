"""docs/results.md, where every benchmark keeps a section of its own."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results.md"


def write_section(name: str, text: str) -> None:
    """Replace what stands between the markers of a section, or append the section."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    content = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Results\n"
    if begin in content and end in content:
        before, rest = content.split(begin, 1)
        content = before + section + rest.split(end, 1)[1]
    else:
        content = content.rstrip() + "\n\n" + section + "\n"
    RESULTS.write_text(content, encoding="utf-8")
