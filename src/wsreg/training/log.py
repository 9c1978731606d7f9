"""What a training has reached so far, as a table and for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from wsreg.files.whole import staged_file

LOG_FILE = "log.csv"


def append_log(folder: Path, step: int, metrics: Mapping[str, float]) -> None:
    """Add a row to log.csv and to TensorBoard's events; what later steps had written is dropped.

    Raises:
        InputError: the table cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    path = folder / LOG_FILE
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if int(row["step"]) < step]
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
