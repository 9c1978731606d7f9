"""What the machine refuses where nobody else has found a word for it: files, and memory."""

from __future__ import annotations

import sys

from wsreg.errors import InputError

NO_MEMORY = (
    "failed to map segment", "cannot allocate memory", "can't allocate memory", "not enough memory",
    "out of memory",
)  # fmt: skip
"""In what libraries say, of any case, where memory is not enough."""
LEAST_BYTES = 1.2e9
"""Of addresses: with less, libraries end the process while they are loaded."""


def check_memory_limit() -> None:
    """Check that a limit on this process's memory (ulimit -v) leaves enough to begin with.

    Raises:
        InputError: it does not.
    """
    if sys.platform == "win32":
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_BYTES:
        raise InputError(
            f"memory of this process must not be limited to less than {LEAST_BYTES / 1e9:.1f} GB "
            f"(ulimit -v), got {limit / 1e9:.1f} GB"
        )


def refused_by_the_machine(error: OSError | MemoryError | ImportError | RuntimeError) -> str:
    """Return a sentence on what the system refused; empty for any other mistake."""
    if isinstance(error, OSError):
        where = "" if error.filename is None else f" ({error.filename})"
        return f"the system refused: {error.strerror or error}{where}"
    text = str(error)
    told = isinstance(error, MemoryError) or any(sign in text.lower() for sign in NO_MEMORY)
    return f"memory is not enough{f': {text}' if text else ''}" if told else ""
