"""What a killed run or a bad disk left damaged is made again, and that is said."""

from __future__ import annotations

import logging


def say_damaged(what: str) -> None:
    """Say on standard error, or wherever a program sends its log, what is damaged and made again.

    Args:
        what: a sentence without its full stop.
    """
    logging.getLogger("wsreg").warning("wsreg: warning: %s", what)
