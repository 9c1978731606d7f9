"""parameters.json: what a simulated X-ray was made with, to make it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsreg.errors import InputError
from wsreg.files.json_files import read_json_object
from wsreg.simulation.parameters import (
    XrayParameters,
    parameters_from_record,
    parameters_to_record,
)


def xray_record(parameters: XrayParameters, seed: int) -> dict[str, Any]:
    """Return the fields of parameters.json."""
    return {"seed": seed, "parameters": parameters_to_record(parameters)}


def read_xray_record(path: str | Path) -> tuple[XrayParameters, int]:
    """Read parameters and seed from a parameters.json.

    Raises:
        InputError: for a missing or invalid file, and parameters that cannot be.
    """
    fields = read_json_object(path, ("seed", "parameters"))
    seed, parameters = fields["seed"], fields["parameters"]
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"{path}: seed must be a whole number of at least 0, got {seed!r}")
    if not isinstance(parameters, dict):
        raise InputError(f"{path}: parameters must be a JSON object, got {parameters!r}")
    try:
        return parameters_from_record(parameters), seed
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
