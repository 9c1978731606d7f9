"""Cameras written in the formats of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wsreg.files.whole import write_text
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import log_so3

Matrices = Sequence[tuple[str, Tensor]]
Scalars = Sequence[tuple[str, float | int | str]]


def write_opencv_camera(
    camera: Camera, camera_from_world: Tensor | None, path: Path, *, nominal: bool = False
) -> None:
    """Write K, image size, the distance unless nominal, and R, t (mm), if there, for OpenCV."""
    scalars: list[tuple[str, float | int | str]] = [
        ("image_width", camera.columns),
        ("image_height", camera.rows),
    ]
    if not nominal:
        scalars.append(("source_to_detector_mm", camera.source_to_detector_mm))
    matrices = [
        ("camera_matrix", camera.intrinsic_matrix),
        ("distortion_coefficients", torch.zeros(1, 5)),
    ]
    if camera_from_world is not None:
        scalars.append(("units", "mm"))
        matrices += [("R", camera_from_world[:3, :3]), ("t", camera_from_world[:3, 3:])]
    write_opencv_storage(scalars, matrices, path)


def write_opencv_pose(camera_from_ct: Tensor, path: Path) -> None:
    """Write rvec (rad) and tvec (mm) of a pose [4,4] as OpenCV's FileStorage."""
    rvec = log_so3(camera_from_ct[:3, :3])[:, None]
    matrices = [("rvec", rvec), ("tvec", camera_from_ct[:3, 3:])]
    write_opencv_storage((("units", "mm"), ("convention", "camera_from_ct")), matrices, path)


def write_opencv_storage(scalars: Scalars, matrices: Matrices, path: Path) -> None:
    """Write numbers, texts and matrices [R,C] as XML, if the file is called so, else as YAML."""
    as_xml = path.suffix.lower() == ".xml"
    lines = ['<?xml version="1.0"?>', "<opencv_storage>"] if as_xml else ["%YAML:1.0", "---"]
    for name, value in scalars:
        quoted = f'"{value}"' if isinstance(value, str) else repr(value)
        lines.append(f"<{name}>{quoted}</{name}>" if as_xml else f"{name}: {quoted}")
    for name, matrix in matrices:
        rows, columns = matrix.shape
        data = [repr(number) for number in matrix.to(torch.float64).flatten().tolist()]
        if as_xml:
            lines += [
                f'<{name} type_id="opencv-matrix">', f"  <rows>{rows}</rows>",
                f"  <cols>{columns}</cols>", "  <dt>d</dt>",
                f"  <data>{' '.join(data)}</data></{name}>",
            ]  # fmt: skip
        else:
            lines += [
                f"{name}: !!opencv-matrix", f"   rows: {rows}", f"   cols: {columns}",
                "   dt: d", f"   data: [ {', '.join(data)} ]",
            ]  # fmt: skip
    lines += ["</opencv_storage>"] if as_xml else []
    write_text(path, "\n".join(lines) + "\n")
