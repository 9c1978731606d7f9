"""The one door through which libraries read files: whatever they throw becomes one sentence."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsreg.errors import InputError

FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError,
    RuntimeError, SyntaxError, SystemError, TypeError, ValueError, struct.error,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What readers of other packages raise at content that makes no sense.

A mistake of this package's raises the same: only the call of the library belongs into the block.
"""

LONGEST_REASON = 200
"""Letters of what a library says."""

MOST_TEXT = 1 << 24
"""Bytes of a text that a person or a program writes about cameras, poses or names."""


@contextmanager
def reading_from(path: object, rule: str, *more: type[Exception], hint: str = "") -> Iterator[None]:
    """Turn what a library throws at a damaged file into one sentence: path, rule, reason, hint.

    Args:
        path: of the file.
        rule: what the file breaks, such as ``is not a readable NIfTI file``.
        more: errors of the library's own, beside :data:`FOREIGN_ERRORS`.
        hint: what to do about it, after a semicolon.

    Raises:
        InputError: the block raised one of these; one that it raised itself passes as it is.
    """
    try:
        yield
    except InputError:
        raise
    except (*FOREIGN_ERRORS, *more) as error:
        after = f"; {hint}" if hint else ""
        raise InputError(f"{path} {rule}: {reason_of(error)}{after}") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors of what a file holds, a frame or a specimen, name the file as well.

    Raises:
        InputError: the block raised one.
    """
    try:
        yield
    except InputError as error:
        if path.name in str(error):
            raise
        raise InputError(f"{path}: {error}") from error


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line that is not too long."""
    if isinstance(error, MemoryError):
        return "it does not fit into the memory of this machine"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # ITK says where in its sources it was before it says what went wrong
    return (lines[-1] if "ITK" in str(error) else lines[0])[:LONGEST_REASON]


def read_text(path: Path, rule: str = "cannot be read", most_bytes: int = MOST_TEXT) -> str:
    """Return the UTF-8 text of a file.

    Raises:
        InputError: as :func:`read_bytes`, or it is no such text.
    """
    try:
        return read_bytes(path, rule, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} {rule}: {error}") from None


def read_bytes(path: Path, rule: str, most_bytes: int) -> bytes:
    """Return the content of a file, which may be a pipe.

    Args:
        path: of the file.
        rule: what a file breaks that cannot be read.
        most_bytes: that a file of its kind has; endless ones are never read whole.

    Raises:
        InputError: it is missing, cannot be read, or is longer.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(most_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} {rule}: {reason_of(error)}") from None
    if len(content) > most_bytes:
        raise InputError(f"{path} {rule}: it is longer than {most_bytes >> 20} MiB")
    return content
