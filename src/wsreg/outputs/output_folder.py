"""Where results may be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from wsreg.errors import InputError

SUMMARY_FILE = "summary.csv"
BATCH_JOURNAL, SEQUENCE_JOURNAL = "register.journal", "sequence.journal"
"""What a run has finished of a batch and of a sequence."""

RESULT_FILES = (
    "result.json", "pose.json", "pose.tfm", "overlay.png", SUMMARY_FILE, "poses.csv",
    "sequence.json",
)  # fmt: skip
"""Names that mark a folder as already holding results."""


def prepare_output_folder(path: str | Path, *, force: bool) -> Path:
    """Check, before any long work, that results may be written to a folder; nothing is made yet.

    Raises:
        InputError: it is a file, cannot be written, or holds results and ``force`` is not set.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output folder must be a folder, got the file {folder}")
    held = [name for name in RESULT_FILES if (folder / name).exists()]
    if held and not force:
        raise InputError(
            f"output folder {folder} already holds results ({held[0]}); "
            "name another or pass --force to replace them"
        )
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise InputError(
            f"output folder {folder} must be writable: {error.strerror or error}"
        ) from error
    return folder
