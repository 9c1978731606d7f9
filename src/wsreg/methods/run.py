"""Run a method on the specimens of a data set: train what is missing, register, keep each trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError
from wsreg.evaluation.journal import Journal, open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.trial import Trial
from wsreg.files.hashes import sha256_of
from wsreg.methods.artefact import Artefact, data_sha256, is_made, with_needs
from wsreg.methods.method import Method
from wsreg.methods.preset import Preset
from wsreg.networks.checkpoint import WEIGHTS_FILE
from wsreg.rendering.loading import load_kernels

_NOT_LEARNT = "methods that learn from no others (wsreg evaluate --method ours, diffpose ...)"


def artefacts_of(method: Method, specimens: Sequence[str]) -> tuple[Artefact, ...]:
    """Return all that a method needs for some specimens, in an order in which it can be made."""
    return with_needs([one for name in specimens for one in method.artefacts(name)])


def missing_artefacts(
    artefacts: Sequence[Artefact], data: Path, folders: Mapping[str, Path], preset: Preset
) -> tuple[Artefact, ...]:
    """Return those of the artefacts that are not finished.

    Raises:
        InputError: a folder holds one of other data or settings.
    """
    return tuple(
        one for one in artefacts if not is_made(one, data, folders[one.name], folders, preset)
    )


def run_specimen(
    method: Method,
    data: Path,
    specimen: str,
    folders: Mapping[str, Path],
    preset: Preset,
    journal_path: Path,
    *,
    xrays: int | None = None,
    progress: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Register the X-rays of a specimen, those that a journal does not hold.

    Args:
        method: how.
        data: DeepFluoro's file or a cohort.
        specimen: whose.
        folders: of the artefacts, by their names; all that the method needs are there.
        preset: how finely.
        journal_path: file that keeps the trials; a stopped run goes on with it.
        xrays: at most so many, the first ones; None for all.
        progress: called with each trial.

    Raises:
        InputError: the journal is of another run, or the data lack a part.
        WsregError: an artefact is missing or damaged.
    """
    journal = _journal(method, data, specimen, folders, preset, journal_path)
    with DeepFluoroFile(data) as file:
        keys = xrays_of(file, specimen, xrays)
        if all(key in journal.trials for key in keys):
            for key in keys:
                progress(journal.trials[key])
            return [journal.trials[key] for key in keys]
        load_kernels()  # which is no X-ray's time
        samples = (file.sample(*key) for key in keys)
        registrar = method.registrar(folders, preset)
        return score(registrar, samples, journal=journal, progress=progress)


def held_trials(
    method: Method,
    data: Path,
    specimen: str,
    folders: Mapping[str, Path],
    preset: Preset,
    journal_path: Path,
) -> Mapping[tuple[str, str], Trial]:
    """Return what a journal holds before :func:`run_specimen` goes on, by its key.

    Raises:
        InputError: the journal is of another run.
    """
    return _journal(method, data, specimen, folders, preset, journal_path).trials


def _journal(
    method: Method,
    data: Path,
    specimen: str,
    folders: Mapping[str, Path],
    preset: Preset,
    path: Path,
) -> Journal:
    needed = artefacts_of(method, (specimen,))
    setup = {
        "method": method.name,
        "wsreg": version("wsreg"),
        "preset": preset.record(),
        "data": data_sha256(data),
        "artefacts": {one.name: sha256_of(folders[one.name] / WEIGHTS_FILE) for one in needed},
    }
    return open_journal(path, setup)


def xrays_of(file: DeepFluoroFile, specimen: str, most: int | None) -> list[tuple[str, str]]:
    """Return (specimen, projection) of the first ``most`` X-rays; of all if None."""
    return [(specimen, name) for name in file.projections(specimen)[:most]]


def check_specimens(
    file: DeepFluoroFile, specimens: Sequence[str], learnt: bool
) -> tuple[str, ...]:
    """Return the specimens to register, all of the file if none are named.

    They come once each and in the file's order, in whichever they were named: results are the same.

    Args:
        file: the data set.
        specimens: those that are named.
        learnt: whether something is learnt from the others, too.

    Raises:
        InputError: one does not exist, or lacks a part; it tells what can still be run.
    """
    unknown = [name for name in specimens if name not in file.specimens]
    if unknown:
        file.check(unknown[0])  # which says what there is
    wanted = tuple(name for name in file.specimens if not specimens or name in specimens)
    broken = {name: why for name in file.specimens if (why := _problem(file, name, name in wanted))}
    if not wanted:
        raise InputError(f"data set {file.path.name} must have specimens, it has none")
    if learnt and len(file.specimens) < 2:
        raise InputError(
            f"data set {file.path.name} must have at least 2 specimens, one left out and others "
            f"to learn from, got {wanted[0]} alone; {_NOT_LEARNT} can still be run"
        )
    for name in file.specimens if learnt else wanted:
        if name in broken:
            whole = [one for one in file.specimens if one not in broken]
            rest = f"--specimen {' '.join(whole)} can still be run" if whole else "none is whole"
            if learnt:
                by = f" by {_NOT_LEARNT}" if whole else ""
                rest = f"a method that learns from all others needs it; {rest}{by}"
            raise InputError(f"specimen {name} cannot be used: {broken[name]}; {rest}")
    return wanted


def _problem(file: DeepFluoroFile, specimen: str, registered: bool) -> str:
    """Return what a specimen lacks, "" if nothing; errors are measured at its landmarks."""
    try:
        file.check(specimen)
    except InputError as error:
        return str(error)
    lacking = registered and not file.landmarks_mm(specimen)
    return "it must have landmarks to measure errors at, it has none" if lacking else ""
