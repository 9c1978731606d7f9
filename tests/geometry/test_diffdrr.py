from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.diffdrr import (
    camera_from_centred_ct,
    diffdrr_from_camera_from_centred_ct,
    is_mirrored,
)
from wsreg.geometry.rigid import exp_so3, rigid, transform_points

SDD, HEIGHT, WIDTH, DELX, DELY = 1000.0, 6, 8, 2.0, 3.0
CAMERA = Camera(
    source_to_detector_mm=SDD, rows=HEIGHT, columns=WIDTH, pixel_spacing_mm=(DELY, DELX)
)
RAS_FROM_LPS = torch.diag(torch.tensor([-1.0, -1, 1, 1], dtype=torch.float64))
REORIENT = {
    "AP": [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    "PA": [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    None: torch.eye(4).tolist(),
}
POSE = rigid(
    exp_so3(torch.tensor([0.2, -0.4, 0.7], dtype=torch.float64)),
    torch.tensor([10.0, 650.0, -20.0], dtype=torch.float64),
)
EVERY = pytest.mark.parametrize(
    ("orientation", "reverse"), [(o, r) for o in REORIENT for r in (False, True)]
)


def diffdrr_rays(orientation: str | None, reverse: bool) -> tuple[Tensor, Tensor]:
    """Source [3] and detector points [H,W,3] in DiffDRR's world, as its Detector makes them."""
    t = torch.arange(-(HEIGHT // 2), HEIGHT // 2, dtype=torch.float64) + 0.5
    s = torch.arange(-(WIDTH // 2), WIDTH // 2, dtype=torch.float64) + 0.5
    t = -t
    s = -s if reverse else s
    grid = torch.stack(torch.meshgrid(t, s, indexing="ij"), dim=-1)
    target = torch.stack(
        (grid[..., 1] * DELX, grid[..., 0] * DELY, torch.full((HEIGHT, WIDTH), SDD)), dim=-1
    )
    to_world = POSE @ torch.tensor(REORIENT[orientation], dtype=torch.float64)
    moved = transform_points(to_world, target.reshape(-1, 3)).reshape(HEIGHT, WIDTH, 3)
    return to_world[:3, 3], moved


@EVERY
def test_every_pixel_of_diffdrr_is_seen_where_its_ray_ends(
    orientation: str | None, reverse: bool
) -> None:
    source, target = diffdrr_rays(orientation, reverse)
    pose = camera_from_centred_ct(POSE, orientation=orientation, reverse_x_axis=reverse)
    assert float(torch.linalg.det(pose[:3, :3])) == pytest.approx(1.0)
    between = source + 0.6 * (target - source)  # RAS, counted from the centre
    seen = transform_points(pose @ RAS_FROM_LPS, between.reshape(-1, 3))
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    if is_mirrored(orientation=orientation, reverse_x_axis=reverse):
        columns = WIDTH - 1 - columns
    expected = torch.stack((columns, rows), dim=-1).reshape(-1, 2).to(torch.float64)
    torch.testing.assert_close(CAMERA.project(seen), expected, rtol=0, atol=1e-9)


def test_radiologic_ap_and_plain_pa_are_not_mirrored() -> None:
    assert not is_mirrored(orientation="AP", reverse_x_axis=True)
    assert not is_mirrored(orientation="PA", reverse_x_axis=False)
    assert not is_mirrored(orientation=None, reverse_x_axis=True)
    assert is_mirrored(orientation="AP", reverse_x_axis=False)


@EVERY
def test_the_way_back(orientation: str | None, reverse: bool) -> None:
    how = {"orientation": orientation, "reverse_x_axis": reverse}
    pose = camera_from_centred_ct(POSE, **how)  # type: ignore[arg-type]
    back = diffdrr_from_camera_from_centred_ct(pose, **how)  # type: ignore[arg-type]
    torch.testing.assert_close(back, POSE, rtol=0, atol=1e-9)


def test_an_unknown_orientation_is_refused() -> None:
    with pytest.raises(InputError, match="orientation must be AP, PA or null"):
        camera_from_centred_ct(POSE, orientation="LAT", reverse_x_axis=True)
