"""What a method is: what must be trained for a specimen, and how its X-rays are registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from wsreg.datasets.sample import Sample
from wsreg.methods.artefact import Artefact
from wsreg.methods.preset import Preset
from wsreg.registration.result import RegistrationResult

Registrar = Callable[[Sample], RegistrationResult]
"""Registers one sample; an ``InputError`` is a refusal, and counts as a failure."""


class Method(Protocol):
    """A way to register, in two verbs: fit (its artefacts) and register."""

    @property
    def name(self) -> str:
        """Return the name by which it is asked for."""

    @property
    def title(self) -> str:
        """Return the name in tables."""

    def artefacts(self, specimen: str) -> tuple[Artefact, ...]:
        """Return what is trained before the X-rays of a specimen come."""

    def registrar(self, folders: Mapping[str, Path], preset: Preset) -> Registrar:
        """Return what registers samples.

        Args:
            folders: of the artefacts of all specimens that are to come, by their names.
            preset: how finely.
        """
