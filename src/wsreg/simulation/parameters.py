"""What makes one simulated X-ray different from another, drawn first and applied afterwards.

A record of the parameters (plain JSON) and a seed give back the same image.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera

CollimatorShape = Literal["none", "circle", "rectangle"]


@dataclass(frozen=True, kw_only=True)
class Collimator:
    """The exposed field.

    Args:
        shape: ``none`` exposes the whole detector.
        centre: (column, row) of the field as a share of the image, (0.5, 0.5) is its middle.
        half_size: (column, row) half extent as a share of the image's shorter side.
        edge_px: width over which the edge falls off.
        leakage: share of the signal left outside the field.
    """

    shape: CollimatorShape = "none"
    centre: tuple[float, float] = (0.5, 0.5)
    half_size: tuple[float, float] = (0.5, 0.5)
    edge_px: float = 2.0
    leakage: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Tool:
    """The shadow of a round steel rod, straight or bent, with round ends.

    Args:
        points_px: the (column, row) corners of its middle line, at least two.
        radius_px: half the width of the shadow.
        thickness_mm: steel on the middle line; 1 mm lets a third through, 10 mm is opaque.
    """

    points_px: tuple[tuple[float, float], ...]
    radius_px: float
    thickness_mm: float


@dataclass(frozen=True, kw_only=True)
class XrayParameters:
    """How an X-ray departs from a clean line integral.

    Args:
        scatter_fraction: median share of scatter in the signal behind the patient, in [0, 1).
        scatter_sigma_mm: standard deviation of the scatter's spread on the detector.
        photons: quanta for each pixel in the open beam.
        electronic_noise: standard deviation of the read-out noise, in quanta.
        focal_blur_px: blur before the quantum noise (focal spot), standard deviation.
        detector_blur_px: blur after it (scintillator), standard deviation.
        gain: signal of the open beam.
        saturation: share of the open beam above which the detector saturates.
        collimator: the exposed field.
        tools: rods between patient and detector.
    """

    scatter_fraction: float = 0.4
    scatter_sigma_mm: float = 40.0
    photons: float = 50_000.0
    electronic_noise: float = 10.0
    focal_blur_px: float = 0.5
    detector_blur_px: float = 0.5
    gain: float = 1.0
    saturation: float = 1.0
    collimator: Collimator = Collimator()
    tools: tuple[Tool, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.scatter_fraction < 1.0:
            raise InputError(f"scatter_fraction must be in [0, 1), got {self.scatter_fraction}")
        for name in ("photons", "gain", "saturation"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")


def sample_parameters(
    generator: np.random.Generator,
    camera: Camera,
    *,
    collimator: CollimatorShape = "none",
    tools: int = 0,
) -> XrayParameters:
    """Draw the parameters of one X-ray.

    Args:
        generator: source of randomness.
        camera: image size and pixel spacing, which the tools and the blur are drawn for.
        collimator: shape of the exposed field.
        tools: number of tools across the image.
    """
    pixel_mm = math.sqrt(camera.pixel_spacing_mm[0] * camera.pixel_spacing_mm[1])
    return XrayParameters(
        scatter_fraction=generator.uniform(0.2, 0.6),
        scatter_sigma_mm=generator.uniform(25.0, 60.0),
        photons=_log_uniform(generator, 3e4, 3e5),
        electronic_noise=generator.uniform(5.0, 15.0),
        focal_blur_px=generator.uniform(0.2, 0.5) / pixel_mm,
        detector_blur_px=generator.uniform(0.2, 0.6) / pixel_mm,
        gain=_log_uniform(generator, 0.5, 2.0),
        saturation=generator.uniform(0.5, 1.2),
        collimator=_sample_collimator(generator, collimator),
        tools=tuple(_sample_tool(generator, camera, pixel_mm) for _ in range(tools)),
    )


def parameters_to_record(parameters: XrayParameters) -> dict[str, Any]:
    """The parameters as plain values that JSON can hold."""
    return dataclasses.asdict(parameters)


def parameters_from_record(record: Mapping[str, Any]) -> XrayParameters:
    """The parameters of a record, also after a way through JSON."""
    collimator = dict(record["collimator"])
    for name in ("centre", "half_size"):
        collimator[name] = tuple(collimator[name])
    tools = (
        {**tool, "points_px": tuple(tuple(point) for point in tool["points_px"])}
        for tool in record["tools"]
    )
    return XrayParameters(
        **{
            **record,
            "collimator": Collimator(**collimator),
            "tools": tuple(Tool(**tool) for tool in tools),
        }
    )


def _sample_collimator(generator: np.random.Generator, shape: CollimatorShape) -> Collimator:
    half_size = generator.uniform(0.4, 0.48, size=2).tolist()
    if shape == "circle":
        half_size[1] = half_size[0]
    column, row = generator.uniform(0.47, 0.53, size=2).tolist()
    return Collimator(
        shape=shape,
        centre=(column, row),
        half_size=(half_size[0], half_size[1]),
        edge_px=generator.uniform(1.0, 4.0),
        leakage=generator.uniform(0.0, 0.02),
    )


def _sample_tool(generator: np.random.Generator, camera: Camera, pixel_mm: float) -> Tool:
    """A rod through the middle part of the image: straight or bent, opaque or half transparent."""
    size = np.array([camera.columns, camera.rows])
    middle = size * generator.uniform(0.25, 0.75, size=2)
    half_length = size.min() * generator.uniform(0.15, 0.6)
    angles = generator.uniform(0.0, 2.0 * math.pi) + np.array([0.0, math.pi])
    angles[1] += generator.choice([0.0, generator.uniform(-1.0, 1.0)])
    ends = middle + half_length * np.stack((np.cos(angles), np.sin(angles)), axis=-1)
    opaque = generator.random() < 0.5
    return Tool(
        points_px=tuple((float(x), float(y)) for x, y in (ends[0], middle, ends[1])),
        radius_px=generator.uniform(2.0, 7.0) / pixel_mm,
        thickness_mm=generator.uniform(5.0, 15.0) if opaque else generator.uniform(0.3, 2.0),
    )


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return math.exp(generator.uniform(math.log(low), math.log(high)))
