from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

import wsreg
from wsreg.geometry.views import VIEWS
from wsreg.vocabulary import ViewName

PUBLIC_NAMES = {
    "BackendError",
    "CArmAngles",
    "Camera",
    "GlobalNcc",
    "InputError",
    "Landmarks",
    "LevelConfig",
    "LocalNcc",
    "MultiscaleNcc",
    "PreparedCt",
    "Radiograph",
    "RegistrationConfig",
    "RegistrationResult",
    "Rig",
    "RigView",
    "RoiTarget",
    "SequenceResult",
    "Tie",
    "TieConfig",
    "Volume",
    "WsregError",
    "__version__",
    "prepare",
    "read_camera",
    "read_frames",
    "read_landmarks",
    "read_pose",
    "read_radiograph",
    "read_result",
    "read_rig",
    "read_volume",
    "register",
    "register_sequence",
    "render",
    "render_with_jacobian",
    "smoothed_poses",
    "view_pose",
    "write_result",
}


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(wsreg.__all__) == PUBLIC_NAMES
    assert dir(wsreg) == sorted(PUBLIC_NAMES)


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
def test_each_public_name_resolves_to_what_bears_it(name: str) -> None:
    value = getattr(wsreg, name)
    assert name == "__version__" or value.__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'registre'"):
        wsreg.registre  # noqa: B018


def test_importing_the_package_and_its_vocabulary_loads_no_other_package() -> None:
    code = "import sys, wsreg.vocabulary; print({'torch', 'numpy'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_the_vocabulary_names_the_views_that_there_are() -> None:
    assert get_args(ViewName) == tuple(VIEWS)
