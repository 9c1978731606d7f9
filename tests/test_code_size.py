"""Functions and files stay short enough to read in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import wsreg

MAX_FUNCTION_LINES = 50
MAX_FILE_LINES = 400
PACKAGE = Path(wsreg.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def function_lines(source: str) -> Iterator[tuple[str, int]]:
    """Yield the name of each function and the lines of its body without the docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            end = node.end_lineno or node.lineno
            yield node.name, end - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("def f():\n    return 1\n", 1),
        ('def f():\n    """Say\n\n    much."""\n    a = 1\n\n    return (\n        a)\n', 4),
        ('def f():\n    """Say much."""\n', 0),
        ("class A:\n    async def f(\n        self,\n    ):\n        pass\n", 1),
    ],
)
def test_what_counts_as_a_line(source: str, lines: int) -> None:
    assert list(function_lines(source)) == [("f", lines)]


def test_functions_are_short() -> None:
    """Kernels are not held to it: one loop, all that happens at a sample."""
    assert len(FILES) > 100
    long = {
        f"{path.relative_to(PACKAGE)}: {name}": lines
        for path in FILES
        if path.parent.name != "kernels"
        for name, lines in function_lines(path.read_text(encoding="utf-8"))
        if lines > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in FILES
        if path.parent.name != "kernels"
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert long == {}
