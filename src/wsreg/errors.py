"""Errors a user can act on.

WsregError
├── InputError      an argument, file or setting breaks a rule; the message is one sentence
│                   naming the argument, the rule and what came (also a ``ValueError``)
└── BackendError    an explicitly chosen backend or device is not usable here
"""


class WsregError(Exception):
    """Base of every error that wsreg raises on purpose."""


class InputError(WsregError, ValueError):
    """An argument, file or setting breaks a rule."""


class BackendError(WsregError, RuntimeError):
    """An explicitly chosen backend or device is not usable here."""
