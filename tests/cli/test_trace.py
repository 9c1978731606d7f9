"""wsreg register --trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsreg.outputs.result_files import read_result
from wsreg.outputs.trace_files import TRACE_FILES


def test_a_trace_is_written_named_and_gone_with_the_next_result(
    case: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert case.register("--trace", out=out) == 0
    assert set(TRACE_FILES) <= {path.name for path in out.iterdir()}
    assert read_result(out)["files"][-3:] == list(TRACE_FILES)
    assert "overlay.gif" in capsys.readouterr().out
    assert case.register("--force", "--quiet", out=out) == 0
    assert not set(TRACE_FILES) & {path.name for path in out.iterdir()}
