"""What a training has reached so far, as a table and for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from wsreg.files.whole import staged_file, writing_to

LOG_FILE = "log.csv"


def append_log(folder: Path, step: int, metrics: Mapping[str, float]) -> None:
    """Add a row to log.csv and to TensorBoard's events; what later steps had written is dropped.

    Raises:
        InputError: the table cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    path = folder / LOG_FILE
    rows = [found for found in _rows(path) if int(found["step"]) < step]
    row = {"step": str(step), **{name: f"{value:.5f}" for name, value in metrics.items()}}
    with (
        staged_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, fieldnames=list(row), extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*rows, row])
    with SummaryWriter(str(folder / "tensorboard"), purge_step=step) as events:
        for name, value in metrics.items():
            events.add_scalar(name.replace(" ", "/"), value, step)


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a log; lines of a damaged one that are none are left out."""
    if not path.exists():
        return []
    with writing_to(path), path.open(newline="", encoding="utf-8", errors="replace") as stream:
        rows = list(csv.DictReader(line.replace("\0", "") for line in stream))
    return [row for row in rows if (row.get("step") or "").isdecimal()]
