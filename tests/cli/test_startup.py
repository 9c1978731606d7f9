"""What a registration must not load: each of these takes a tenth of a second or more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

NEEDLESS = (
    "SimpleITK",
    "h5py",
    "lightning_fabric",
    "matplotlib",
    "monai",
    "roma",
    "safetensors",
    "scipy.optimize",
    "scipy.stats",
    "sympy",
    "torch._dynamo",
    "torch._inductor",
    "transformers",
)

LIBRARY = "import wsreg; [getattr(wsreg, name) for name in wsreg.__all__]"
COMMAND = "import sys; from wsreg.cli.main import main; status = main(sys.argv[1:])"


def loaded_needlessly(code: str, *words: object) -> str:
    """Names of needless modules that a fresh process has loaded after some code."""
    code = f"{code}\nimport sys\nprint(*(set({NEEDLESS!r}) & sys.modules.keys()))"
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_the_library_loads_nothing_needless() -> None:
    assert loaded_needlessly(LIBRARY) == ""


def test_registering_with_a_nifti_ct_loads_nothing_needless(case: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("register", case.xray, "--ct", case.ct, "--camera", case.camera)
    assert loaded_needlessly(COMMAND, *words, "--out", out, "--quiet") == ""
    assert (out / "overlay.png").is_file()
