"""Errors a user can act on.

WsregError
├── InputError      an argument, file or setting breaks a rule; the message is one sentence
│                   naming the argument, the rule and what came (also a ``ValueError``)
└── BackendError    an explicitly chosen backend or device is not usable here
"""

from __future__ import annotations

from types import UnionType


class WsregError(Exception):
    """Base of every error that wsreg raises on purpose."""


class InputError(WsregError, ValueError):
    """An argument, file or setting breaks a rule."""


class BackendError(WsregError, RuntimeError):
    """An explicitly chosen backend or device is not usable here."""


def check_is(value: object, kind: type | UnionType, name: str, how: str = "") -> None:
    """Raise InputError unless a value is of a kind; ``how`` says where such a value comes from."""
    if not isinstance(value, kind):
        words = str(kind).split(" | ") if isinstance(kind, UnionType) else [kind.__name__]
        wanted = " or ".join(word.rsplit(".", 1)[-1] for word in words)
        hint = f" ({how})" if how else ""
        raise InputError(f"{name} must be a {wanted}{hint}, got {type(value).__name__}")
