from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.extras import check_extra
from wsreg.jobs.crew import INSTALL
from wsreg.networks.medsam import FROM_SCRATCH, MedSam
from wsreg.networks.unet import UNet, UNetConfig
from wsreg.training.fit import _fabric


def test_what_is_missing_is_named_with_the_command_that_installs_it() -> None:
    check_extra("networks", "torch")
    with pytest.raises(
        InputError,
        match=r'this needs abacus_of_old, which is not installed: pip install "wsreg\[networks\]"$',
    ):
        check_extra("networks", "torch", "abacus_of_old")


@pytest.mark.parametrize(
    ("module", "work"),
    [
        ("monai", lambda: UNet(UNetConfig(rois=1))),
        ("transformers", lambda: MedSam(FROM_SCRATCH)),
        ("lightning_fabric", lambda: _fabric("cpu", 1, "32-true")),
        ("tensorboard", lambda: _fabric("cpu", 1, "32-true")),
    ],
)
def test_networks_say_so_before_they_are_made(
    module: str, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == module else find(name, *a)
    )
    with pytest.raises(InputError, match=rf'needs {module}, .* pip install "wsreg\[networks\]"'):
        work()


def test_the_extras_that_are_named_are_there() -> None:
    project = Path(sys.modules[__name__].__file__ or "").parent.parent / "pyproject.toml"
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = [line.split(">=")[0].replace("-", "_") for line in extras["networks"]]
    assert set(named) == {"lightning_fabric", "monai", "tensorboard", "transformers"}
    assert INSTALL == 'pip install "wsreg[cluster]"'
