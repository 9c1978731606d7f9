"""Metal in the way: rods, wires and screws, as shadows on the detector."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.materials import METAL_DENSITY_G_PER_CM3

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

ToolKind = Literal["rod", "wire", "screw"]
Metal = Literal["steel", "titanium"]

CM_PER_MM = 0.1

MAGNIFICATION = 1.4
"""Of tools in the patient, on the detector."""

WIRE_POINTS = 9
"""Corners of a bent wire."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """The shadow of a round metal bar, straight or bent, with round ends.

    Args:
        points_px: the (column, row) corners of its middle line, at least two.
        radius_px: half the width of the shadow, at the first point.
        thickness_mm: metal on the middle line there; 1 mm of steel lets a third through, 10 mm is
            opaque.
        kind: what it stands for.
        metal: what it is made of.
        tip_fraction: radius and thickness at the last point, as fractions of those at the first.
        thread_pitch_px: distance between the crests of a thread.
        thread_depth: depth of the thread's grooves as a fraction of the radius; 0 is smooth.
    """

    points_px: tuple[tuple[float, float], ...]
    radius_px: float
    thickness_mm: float
    kind: ToolKind = "rod"
    metal: Metal = "steel"
    tip_fraction: float = 1.0
    thread_pitch_px: float = 1.0
    thread_depth: float = 0.0

    def __post_init__(self) -> None:
        points = np.asarray(self.points_px, dtype=np.float64)
        if points.ndim != 2 or points.shape[0] < 2 or points.shape[1] != 2:
            raise InputError(
                f"tool points_px must be at least two (column, row), got {self.points_px}"
            )
        if not np.isfinite(points).all():
            raise InputError(f"tool points_px must be finite, got {self.points_px}")
        for name, choices in (("kind", get_args(ToolKind)), ("metal", get_args(Metal))):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"tool {name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
        for name in ("radius_px", "thickness_mm", "tip_fraction", "thread_pitch_px"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"tool {name} must be positive, got {getattr(self, name)}")
        if not 0.0 <= self.thread_depth < 1.0:
            raise InputError(f"tool thread_depth must be in [0, 1), got {self.thread_depth}")


def metal_density(
    tools: Sequence[Tool], metal: Metal, rows: int, columns: int, parts: int
) -> Float32Array:
    """Return [rows*parts, columns*parts] g/cm2 of one metal in the way of each part of a pixel.

    Args:
        tools: in pixels of the image of ``rows`` x ``columns``; where they cross they add up.
        metal: the others are left out.
        rows, columns: of the image.
        parts: of a pixel along each side.
    """
    density = np.zeros((rows * parts, columns * parts), dtype=np.float32)
    for tool in tools:
        if tool.metal == metal:
            _add_shadow(tool, parts, density)
    density *= np.float32(CM_PER_MM * METAL_DENSITY_G_PER_CM3[metal])
    return density


def _add_shadow(tool: Tool, parts: int, thickness_mm: Float32Array) -> None:
    """Add the metal of one tool, looking only at the pixels around it."""
    corners = np.asarray(tool.points_px)
    reach = tool.radius_px * max(1.0, tool.tip_fraction) + 1.0
    windows = []
    for axis, size in ((1, thickness_mm.shape[0]), (0, thickness_mm.shape[1])):
        low = (corners[:, axis].min() - reach + 0.5) * parts
        high = (corners[:, axis].max() + reach + 0.5) * parts
        windows.append(slice(*(int(np.clip(end, 0, size)) for end in (low, high))))
    row, column = ((np.arange(window.start, window.stop) + 0.5) / parts - 0.5 for window in windows)
    if row.size and column.size:
        across, along, side = _off_middle_line(corners, row[:, None], column[None, :])
        length = max(float(np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()), 1e-9)
        fraction = 1.0 + (tool.tip_fraction - 1.0) * along / length
        # the crests of a helix on one side lie between those on the other
        turn = along / tool.thread_pitch_px + 0.5 * side
        groove = tool.thread_depth * np.abs(2.0 * (turn % 1.0) - 1.0)
        radius = tool.radius_px * fraction * (1.0 - groove)
        chord = np.sqrt(np.clip(1.0 - (across / radius) ** 2, 0.0, None))
        thickness_mm[windows[0], windows[1]] += (
            tool.thickness_mm * chord * radius / tool.radius_px
        ).astype(np.float32)


def _off_middle_line(
    corners: FloatArray, row: FloatArray, column: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Locate pixels relative to a line through corners [N,2], by its nearest segment.

    Returns:
        distance to the line, distance along it, and on which side, each [rows,columns].
    """
    shape = np.broadcast_shapes(row.shape, column.shape)
    across, along = np.full(shape, np.inf), np.zeros(shape)
    side = np.zeros(shape, dtype=np.bool_)
    passed = 0.0
    for start, end in itertools.pairwise(corners):
        length = max(float(np.linalg.norm(end - start)), 1e-9)
        direction = (end - start) / length
        x, y = column - start[0], row - start[1]
        ahead = np.clip(x * direction[0] + y * direction[1], 0.0, length)
        distance = np.hypot(x - ahead * direction[0], y - ahead * direction[1])
        nearer = distance < across
        across = np.where(nearer, distance, across)
        along = np.where(nearer, passed + ahead, along)
        side = np.where(nearer, x * direction[1] - y * direction[0] > 0.0, side)
        passed += length
    return across, along, side


def sample_tool(generator: np.random.Generator, camera: Camera, kind: ToolKind) -> Tool:
    """Draw a tool through the middle part of the image.

    Rods are straight or bent, opaque or half transparent; wires long, thin and hardly bent; screws
    short, threaded and tapered.
    """
    pixel_mm = math.sqrt(camera.pixel_spacing_mm[0] * camera.pixel_spacing_mm[1])
    size = np.array([camera.columns, camera.rows])
    middle = size * generator.uniform(0.25, 0.75, size=2)
    if kind == "rod":
        return _sample_rod(generator, middle, float(size.min()), pixel_mm)
    if kind == "wire":
        return _sample_wire(generator, middle, float(size.min()), pixel_mm)
    return _sample_screw(generator, middle, pixel_mm)


def _sample_rod(
    generator: np.random.Generator, middle: FloatArray, side_px: float, pixel_mm: float
) -> Tool:
    half_length = side_px * generator.uniform(0.15, 0.6)
    angles = generator.uniform(0.0, 2.0 * math.pi) + np.array([0.0, math.pi])
    angles[1] += generator.choice([0.0, generator.uniform(-1.0, 1.0)])
    ends = middle + half_length * np.stack((np.cos(angles), np.sin(angles)), axis=-1)
    opaque = generator.random() < 0.5
    return Tool(
        points_px=_as_points(np.stack((ends[0], middle, ends[1]))),
        radius_px=generator.uniform(2.0, 7.0) / pixel_mm,
        thickness_mm=generator.uniform(5.0, 15.0) if opaque else generator.uniform(0.3, 2.0),
    )


def _sample_wire(
    generator: np.random.Generator, middle: FloatArray, side_px: float, pixel_mm: float
) -> Tool:
    """Draw a K-wire or guide wire: an arc of a parabola."""
    half_length = side_px * generator.uniform(0.25, 0.7)
    curvature_px = half_length * generator.uniform(-0.08, 0.08)
    angle = generator.uniform(0.0, 2.0 * math.pi)
    radius_mm = generator.uniform(0.8, 1.6)
    t = np.linspace(-1.0, 1.0, WIRE_POINTS)[:, None]
    along, across = _directions(angle)
    return Tool(
        kind="wire",
        points_px=_as_points(
            middle + half_length * t * along + curvature_px * (1.0 - t**2) * across
        ),
        radius_px=radius_mm * MAGNIFICATION / pixel_mm,
        thickness_mm=2.0 * radius_mm,
    )


def _sample_screw(generator: np.random.Generator, middle: FloatArray, pixel_mm: float) -> Tool:
    half_length = 0.5 * generator.uniform(25.0, 80.0) * MAGNIFICATION / pixel_mm
    along, _ = _directions(generator.uniform(0.0, 2.0 * math.pi))
    radius_mm = generator.uniform(1.8, 4.0)
    return Tool(
        kind="screw",
        metal="titanium" if generator.random() < 0.5 else "steel",
        points_px=_as_points(
            np.stack((middle - half_length * along, middle + half_length * along))
        ),
        radius_px=radius_mm * MAGNIFICATION / pixel_mm,
        thickness_mm=2.0 * radius_mm,
        tip_fraction=generator.uniform(0.5, 0.9),
        thread_pitch_px=generator.uniform(1.2, 3.0) * MAGNIFICATION / pixel_mm,
        thread_depth=generator.uniform(0.15, 0.35),
    )


def _directions(angle: float) -> tuple[FloatArray, FloatArray]:
    """Return unit vectors at an angle, and across it."""
    return np.array([math.cos(angle), math.sin(angle)]), np.array(
        [-math.sin(angle), math.cos(angle)]
    )


def _as_points(points: FloatArray) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)
