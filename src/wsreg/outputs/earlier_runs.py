"""What earlier runs put into a folder, which would not fit to the result of another."""

from __future__ import annotations

from pathlib import Path

from wsreg.files.whole import staged_folder
from wsreg.outputs.output_folder import BATCH_JOURNAL, SEQUENCE_JOURNAL, SUMMARY_FILE
from wsreg.outputs.report import is_report
from wsreg.outputs.result_files import RESULT_NAMES, outdated_files
from wsreg.outputs.run_report import REPORT_FILE
from wsreg.outputs.sequence_files import SEQUENCE_FILES
from wsreg.outputs.slicer_scene import SCENE_FOLDER, scene_files


def earlier_files(folder: Path) -> set[str]:
    """Return the names of what runs of ``wsreg register`` of any kind put into a folder.

    A result of an X-ray, the table of a batch, a sequence, a scene, a report, and journals.  The
    results of a batch lie in folders below, and are not among them.
    """
    names = {SUMMARY_FILE, *SEQUENCE_FILES, BATCH_JOURNAL, SEQUENCE_JOURNAL}
    names |= {*RESULT_NAMES, *outdated_files(folder)}
    names |= {f"{SCENE_FOLDER}/{name}" for name in scene_files(folder / SCENE_FOLDER)}
    if is_report(folder / REPORT_FILE):
        names.add(REPORT_FILE)
    return {name for name in names if (folder / name).is_file()}


def remove_earlier_files(folder: Path, kept: str = "") -> None:
    """Take away what earlier runs put into a folder, but for one file.

    Raises:
        InputError: the folder cannot be written.
    """
    names = earlier_files(folder) - {kept}
    if names:
        with staged_folder(folder, names):
            pass
