from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsreg.training.encoder_pictures import SHOWN, SIDE_PX, write_pictures


def test_rows_of_any_size_become_a_grid_on_scales_of_their_own(tmp_path: Path) -> None:
    ramp = torch.linspace(-3.0, 5.0, 16).expand(2, 16, 16)
    flat = torch.ones(SHOWN + 3, 8, 8)
    write_pictures(tmp_path / "a.png", [ramp.repeat(SHOWN, 1, 1), flat])
    grid = np.asarray(Image.open(tmp_path / "a.png"))
    assert grid.shape == (2 * SIDE_PX, SHOWN * SIDE_PX)
    assert grid[0, 0] == grid[0, SIDE_PX] == 0
    assert grid[0, SIDE_PX - 1] == 255
    assert not grid[SIDE_PX:].any()
