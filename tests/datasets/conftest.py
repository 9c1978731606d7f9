"""A tiny file written with plain h5py from the published layout alone, float32 like that file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

ROWS, COLUMNS = 40, 60
FOCAL_PX = 500.0
EXTRINSIC = np.array([[0.0, -1, 0, 3], [1, 0, 0, -5], [0, 0, 1, 11], [0, 0, 0, 1]])
"""A world frame that is not the projective one: turned a quarter about the axis, and moved."""
LANDMARKS = [f"{n}-{s}" for n in ("ASIS", "FH", "GSN", "IOF", "MOF", "SPS", "IPS") for s in "lr"]


def put_image(group: h5py.Group, pixels: np.ndarray, origin: list[float], spacing: float) -> None:
    n = pixels.ndim
    group["dir-mat"] = np.eye(n)
    group["origin"] = np.array(origin, dtype=np.float64)[:, None]
    group["spacing"] = np.full((n, 1), spacing)
    group["pixels"] = pixels


def write_published(path: Path) -> None:
    """One specimen, two projections: camera 1000 mm from the CT's origin, looking at it.

    The projective frame is x right, y down, z to the source.  The CT's frame is LPS; projection
    000 sees it by the matrix below; 001 is stored head down.
    """
    with h5py.File(path, "w") as f:
        g = f.create_group("proj-params")
        g["extrinsic"] = EXTRINSIC.astype(np.float32)
        g["intrinsic"] = np.array(
            [[-FOCAL_PX, 0, (COLUMNS - 1) / 2], [0, -FOCAL_PX, (ROWS - 1) / 2], [0, 0, 1]],
            dtype=np.float32,
        )
        g["num-cols"], g["num-rows"] = COLUMNS, ROWS
        g["pixel-col-spacing"], g["pixel-row-spacing"] = 2.0, 2.0
        s = f.create_group("17-1882")
        hu = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
        put_image(s.create_group("vol"), hu, [10.0, 20.0, 30.0], 1.0)
        labels = (hu % 7).astype(np.uint8)
        put_image(s.create_group("vol-seg/image"), labels, [10.0, 20.0, 30.0], 1.0)
        for n, name in enumerate(
            ("left-hemipelvis", "right-hemipelvis", "vertebrae", "upper-sacrum", "left-femur",
             "right-femur"), start=1,
        ):  # fmt: skip
            s[f"vol-seg/labels-def/{n}"] = name
        points = {name: np.array([3.0 * i - 20, 2.0 * i, 15.0 - i]) for i, name in
                  enumerate(LANDMARKS)}  # fmt: skip
        for name, point in points.items():
            s[f"vol-landmarks/{name}"] = point[:, None].astype(np.float32)
        for number, turned in (("000", 0), ("001", 1)):
            p = s.create_group(f"projections/{number}")
            pixels = np.full((ROWS, COLUMNS), 20000.0, dtype=np.float32)
            pixels[3, 5] = 1000.0
            put_image(p.create_group("image"), pixels, [0.0, 0.0], 2.0)
            seg = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
            seg[3, 5] = 4
            put_image(p.create_group("gt-seg"), seg, [0.0, 0.0], 2.0)
            projective_from_ct = projective_pose(turned)
            volume_from_world = (np.linalg.inv(projective_from_ct) @ EXTRINSIC).astype(np.float32)
            p["gt-poses/cam-to-pelvis-vol"] = volume_from_world
            p["gt-poses/cam-to-left-femur-vol"] = volume_from_world
            p["gt-poses/cam-to-right-femur-vol"] = volume_from_world
            p["gt-poses/left-femur-good-fov"] = 1
            p["gt-poses/right-femur-good-fov"] = 0
            p["rot-180-for-up"] = turned
            for name, point in points.items():
                x, y, z = (projective_from_ct @ [*point, 1.0])[:3]
                p[f"gt-landmarks/{name}"] = np.array(
                    [-FOCAL_PX * x / z + (COLUMNS - 1) / 2, -FOCAL_PX * y / z + (ROWS - 1) / 2],
                    dtype=np.float32,
                )[:, None]


def projective_pose(turned: int) -> np.ndarray:
    """Seen facing the patient: left (x) on the right of the image, head (z) up; 700 mm away."""
    pose = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, -700.0], [0, 0, 0, 1.0]])
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    return half_turn @ pose if turned else pose


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.h5"
    write_published(path)
    return path


@pytest.fixture
def changed(published: Path) -> Callable[[Callable[[h5py.File], None]], Path]:
    """The published file after a change."""

    def change(edit: Callable[[h5py.File], None]) -> Path:
        with h5py.File(published, "r+") as file:
            edit(file)
        return published

    return change
