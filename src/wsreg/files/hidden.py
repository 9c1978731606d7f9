"""Names of what is being written, which tell whose it is: what a killed run left is known by them.

``.wsreg-HOST-PROCESS-RUN-NUMBER-ENDING``: while the process lives nobody else touches such a file.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
import time
import uuid
from pathlib import Path

PREFIX = ".wsreg-"
LONGEST_ENDING = 24
"""Letters of the target's name: libraries go by the extension, and a name has at most 255 bytes."""
SECONDS_UNTOUCHED = 24 * 3600.0
"""After which something of another machine, or of an older wsreg, is taken for left behind."""

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_RUN = uuid.uuid4().hex[:8]
"""Numbers of processes come again, in containers at once."""
_OWNED = re.compile(r"\.wsreg-([0-9a-f]{6})-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}-.*", re.DOTALL)
_OLDER = re.compile(r"\.wsreg-[0-9a-f]{12}-.*", re.DOTALL)


def hidden_name(ending: str) -> str:
    """Return a name of its own for each writer: two that write the same file do not meet."""
    number = uuid.uuid4().hex[:8]
    return f"{PREFIX}{_HOST}-{os.getpid()}-{_RUN}-{number}-{ending[-LONGEST_ENDING:]}"


def left_behind(path: Path) -> bool:
    """Tell whether something is of a run that lives no more, by its name."""
    owned = _OWNED.fullmatch(path.name)
    if owned is None and _OLDER.fullmatch(path.name) is None:
        return False
    if owned is None or owned[1] != _HOST:
        return _untouched(path)
    process, run = int(owned[2]), owned[3]
    return run != _RUN if process == os.getpid() else not _lives(process)


def _untouched(path: Path) -> bool:
    try:
        return time.time() - path.stat(follow_symlinks=False).st_mtime > SECONDS_UNTOUCHED
    except OSError:
        return False  # somebody else has taken it away


def _lives(process: int) -> bool:
    if sys.platform == "win32":
        return True  # where a signal 0 would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # of another user
        return True
    return True
