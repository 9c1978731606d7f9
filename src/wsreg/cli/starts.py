"""What ``--init`` says of where to begin, and the files behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsreg.errors import InputError
from wsreg.vocabulary import ENCODER_PREFIX, LANDMARKS_PREFIX, PoseConvention

if TYPE_CHECKING:
    from wsreg.rendering.prepared import PreparedCt

StartOf = Callable[[str], Any]
"""The start of an X-ray, by its name, as ``wsreg.register`` takes it as ``init``."""


@dataclass(frozen=True, kw_only=True)
class ReadStart:
    """A start as far as it is known before there is a CT.

    Args:
        for_ct: what it is for a CT.
        notes: sentences on what was mended in its file.
    """

    for_ct: Callable[[PreparedCt], StartOf]
    notes: tuple[str, ...] = ()


def read_start(
    init: Path | str,
    *,
    convention: PoseConvention | None = None,
    other_patient: bool = False,
    ct_landmarks: Path | None = None,
    several: bool = False,
) -> ReadStart:
    """Read what ``--init`` names, all but the landmarks of each X-ray, which may be several.

    Raises:
        InputError: a file that cannot be read, or options that are for another start.
    """
    encoder, landmarks = named_after(ENCODER_PREFIX, init), named_after(LANDMARKS_PREFIX, init)
    is_pose = isinstance(init, Path) and encoder is None and landmarks is None
    for given, wanted, text in (
        (convention is not None, is_pose, "--pose-convention is for a pose file"),
        (other_patient, encoder is not None, "--other-patient is for an encoder"),
        (ct_landmarks is not None, landmarks is not None, "--ct-landmarks is for landmarks"),
    ):
        if given and not wanted:
            raise InputError(f"{text}, got --init {init}")
    if encoder is not None:
        return _of_encoder(encoder, other_patient=other_patient)
    if landmarks is not None:
        return _of_landmarks(landmarks, ct_landmarks, several=several)
    if is_pose:
        from wsreg.geometry.pose_file import read_pose_with_notes

        reading = read_pose_with_notes(Path(init), convention=convention)
        return ReadStart(
            for_ct=lambda ct: _always(reading.for_ct(ct.volume.centre_mm)), notes=reading.notes
        )
    return ReadStart(for_ct=lambda ct: _always(str(init)))


def _always(start: Any) -> StartOf:
    return lambda name: start


def _of_encoder(folder: Path, *, other_patient: bool) -> ReadStart:
    from wsreg.registration.starts.pose_estimator import load_pose_estimator

    estimator = load_pose_estimator(folder)
    return ReadStart(for_ct=lambda ct: _always(estimator.for_ct(ct, other_patient=other_patient)))


def _of_landmarks(file: Path, ct_landmarks: Path | None, *, several: bool) -> ReadStart:
    from wsreg.files.json_files import read_json
    from wsreg.geometry.landmarks import read_ct_landmarks, read_landmarks

    read_json(file)  # what cannot be read is told before the CT is
    if ct_landmarks is not None:
        read_ct_landmarks(ct_landmarks)
    return ReadStart(
        for_ct=lambda ct: lambda name: read_landmarks(file, name, ct_landmarks, several=several)
    )


def named_after(prefix: str, init: Path | str) -> Path | None:
    """Return the path after a prefix such as ``encoder:``; None for any other start.

    Raises:
        InputError: there is nothing after it.
    """
    text = str(init)
    if text == prefix:
        raise InputError(f"--init must name a file or folder after {prefix}, got nothing")
    return Path(text.removeprefix(prefix)) if text.startswith(prefix) else None


def file_of_start(init: Path | str) -> Path | None:
    """Return the file that a start comes from, if it does."""
    from wsreg.networks.checkpoint import WEIGHTS_FILE
    from wsreg.networks.generic import encoder_folder

    folder = named_after(ENCODER_PREFIX, init)
    if folder is not None:
        return encoder_folder(folder) / WEIGHTS_FILE
    landmarks = named_after(LANDMARKS_PREFIX, init)
    if landmarks is not None:
        return landmarks
    return init if isinstance(init, Path) else None
