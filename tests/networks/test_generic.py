from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from wsreg.errors import InputError
from wsreg.networks.checkpoint import read_card
from wsreg.networks.generic import GENERIC, encoder_folder, segmenter_folder

BONES = (
    "left-hemipelvis", "right-hemipelvis", "vertebrae", "upper-sacrum", "left-femur", "right-femur",
)  # fmt: skip


def test_other_names_are_folders(tmp_path: Path) -> None:
    assert encoder_folder(tmp_path) == tmp_path
    assert segmenter_folder(tmp_path) == tmp_path


@pytest.mark.parametrize("kind", ["unet", "medsam"])
def test_generic_is_the_package_s_network_of_this_kind(kind: Literal["unet", "medsam"]) -> None:
    folder = segmenter_folder(Path(GENERIC), kind)
    card = read_card(folder)
    assert card.kind == kind
    assert card.roi_names == BONES
    assert card.people >= 16
    assert (folder / "model.safetensors").stat().st_size < 5e6


def test_a_folder_of_that_name_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(GENERIC).mkdir()
    with pytest.raises(InputError, match="is the U-Net that comes with wsreg, and a folder here"):
        segmenter_folder(Path(GENERIC))
    with pytest.raises(InputError, match="is the MedSAM that comes with wsreg"):
        segmenter_folder(Path(GENERIC), "medsam")
