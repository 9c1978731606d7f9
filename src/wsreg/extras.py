"""Libraries that are installed for some work only, ``pip install "wsreg[...]"``."""

from __future__ import annotations

import importlib.util

from wsreg.errors import InputError


def check_extra(extra: str, *modules: str) -> None:
    """Refuse work whose libraries are not installed, before it begins.

    Args:
        extra: of pyproject.toml, which has them.
        modules: as they are imported.

    Raises:
        InputError: one is missing; with the command that installs it.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f'this needs {module}, which is not installed: pip install "wsreg[{extra}]"'
            )
