"""What makes one simulated X-ray different from another, drawn first and applied afterwards.

A record of the parameters (plain JSON) and a seed give back the same image.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.simulation.beam import FILTRATIONS, Filtration, energy_weights
from wsreg.simulation.collimator import Collimator, sample_collimator
from wsreg.simulation.tools import Tool, ToolKind, sample_tool
from wsreg.vocabulary import CollimatorShape

Range = tuple[float, float]
Choice = TypeVar("Choice")


@dataclass(frozen=True, kw_only=True)
class XrayParameters:
    """How an X-ray departs from a clean line integral.

    Args:
        tube_voltage_kv: from 60 to 110.
        filtration: of the beam, a key of ``FILTRATIONS``.
        scatter_fraction: median fraction of scatter in the signal behind the patient, in [0, 1).
        scatter_sigma_mm: standard deviation of the scatter's spread on the detector.
        photons: quanta for each pixel in the open beam.
        electronic_noise: standard deviation of the read-out noise, in quanta.
        focal_blur_px: blur before the quantum noise (focal spot), standard deviation.
        detector_blur_px: blur after it (scintillator), standard deviation.
        gain: signal of the open beam.
        saturation: fraction of the open beam above which the detector saturates.
        collimator: the exposed field.
        tools: metal between source and detector.
    """

    tube_voltage_kv: float = 90.0
    filtration: Filtration = "4Al+0.1Cu"
    scatter_fraction: float = 0.4
    scatter_sigma_mm: float = 40.0
    photons: float = 50_000.0
    electronic_noise: float = 10.0
    focal_blur_px: float = 0.5
    detector_blur_px: float = 0.5
    gain: float = 1.0
    saturation: float = 1.0
    collimator: Collimator = field(default_factory=Collimator)
    tools: tuple[Tool, ...] = ()

    def __post_init__(self) -> None:
        energy_weights(self.tube_voltage_kv, self.filtration)
        if not 0.0 <= self.scatter_fraction < 1.0:
            raise InputError(f"scatter_fraction must be in [0, 1), got {self.scatter_fraction}")
        for name in ("scatter_sigma_mm", "photons", "gain", "saturation"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("electronic_noise", "focal_blur_px", "detector_blur_px"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class SamplingRanges:
    """What :func:`sample_parameters` draws from: pairs are the ends of a range.

    Args:
        collimators: fraction of X-rays with each shape of the exposed field.
        field_half_size: half extent of the field, as a fraction of the image's shorter side.
        tool_counts: fraction of X-rays with each number of tools.
        tool_kinds: fraction of tools of each kind.
        filtrations: fraction of X-rays with each filtration of the beam.
        voltage_spread_kv: how far the tube voltage is from what the body's thickness calls for.
        photons_per_mm2: quanta in the open beam for each mm2 of the detector; logarithmic.
        electronic_noise_per_mm: read-out noise (quanta) of 1 mm of pixel side: it adds up over
            an area in quadrature.
        scatter_fraction, scatter_sigma_mm, gain (logarithmic), saturation: as in
            :class:`XrayParameters`.
        focal_blur_mm, detector_blur_mm: on the detector.
    """

    collimators: Mapping[CollimatorShape, float] = field(default_factory=lambda: {"none": 1.0})
    field_half_size: Range = (0.4, 0.48)
    tool_counts: Mapping[int, float] = field(default_factory=lambda: {0: 1.0})
    tool_kinds: Mapping[ToolKind, float] = field(default_factory=lambda: {"rod": 1.0})
    filtrations: Mapping[Filtration, float] = field(
        default_factory=lambda: dict.fromkeys(FILTRATIONS, 1.0)
    )
    voltage_spread_kv: Range = (-5.0, 5.0)
    photons_per_mm2: Range = (5e4, 5e5)
    electronic_noise_per_mm: Range = (6.4, 19.2)
    scatter_fraction: Range = (0.2, 0.6)
    scatter_sigma_mm: Range = (25.0, 60.0)
    focal_blur_mm: Range = (0.2, 0.5)
    detector_blur_mm: Range = (0.2, 0.6)
    gain: Range = (0.5, 2.0)
    saturation: Range = (0.5, 1.2)


C_ARM = SamplingRanges(
    collimators={"none": 0.2, "circle": 0.4, "rectangle": 0.4},
    field_half_size=(0.43, 0.485),
    tool_counts={0: 0.7, 1: 0.15, 2: 0.1, 3: 0.05},
    tool_kinds={"rod": 0.25, "wire": 0.4, "screw": 0.35},
    photons_per_mm2=(2e5, 2e6),
    gain=(0.9, 1.0),
    saturation=(0.6, 1.0),
)
"""Single shots of a C-arm during an operation: some metal, mostly collimated, of good exposure
(after a pelvis, which lets a hundredth through, a tenth of the quanta of a film), read so that the
open beam fits the detector's range."""

VOLTAGE_AT_150_MM_KV, VOLTAGE_PER_MM_KV = 70.0, 0.2
"""An exposure control raises the tube voltage with the thickness of the body."""
LOWEST_VOLTAGE_KV, HIGHEST_VOLTAGE_KV = 60.0, 110.0


def sample_parameters(
    generator: np.random.Generator,
    camera: Camera,
    ranges: SamplingRanges | None = None,
    *,
    body_thickness_mm: float = 220.0,
) -> XrayParameters:
    """Draw the parameters of one X-ray.

    Args:
        generator: source of randomness.
        camera: image size and pixel spacing, which tools, blur and exposure are drawn for.
        ranges: what to draw from; no collimator and no tools if left out.
        body_thickness_mm: along the beam; the tube voltage rises with it.
    """
    r = ranges or SamplingRanges()
    pixel_mm = math.sqrt(camera.pixel_spacing_mm[0] * camera.pixel_spacing_mm[1])
    uniform = generator.uniform
    return XrayParameters(
        scatter_fraction=uniform(*r.scatter_fraction),
        scatter_sigma_mm=uniform(*r.scatter_sigma_mm),
        photons=_log_uniform(generator, r.photons_per_mm2) * pixel_mm**2,
        electronic_noise=uniform(*r.electronic_noise_per_mm) * pixel_mm,
        focal_blur_px=uniform(*r.focal_blur_mm) / pixel_mm,
        detector_blur_px=uniform(*r.detector_blur_mm) / pixel_mm,
        gain=_log_uniform(generator, r.gain),
        saturation=uniform(*r.saturation),
        collimator=sample_collimator(
            generator, _choose(generator, r.collimators), r.field_half_size
        ),
        tools=tuple(
            sample_tool(generator, camera, _choose(generator, r.tool_kinds))
            for _ in range(_choose(generator, r.tool_counts))
        ),
        filtration=_choose(generator, r.filtrations),
        tube_voltage_kv=_voltage_kv(body_thickness_mm, uniform(*r.voltage_spread_kv)),
    )


OLD_TOOL_KEYS: Mapping[str, str] = {"tip_share": "tip_fraction"}
"""What records of older files call it, and its name."""


def parameters_to_record(parameters: XrayParameters) -> dict[str, Any]:
    """Return the parameters as plain values that JSON can hold."""
    return dataclasses.asdict(parameters)


def parameters_from_record(record: Mapping[str, Any]) -> XrayParameters:
    """Return the parameters of a record, also after a way through JSON; gaps are defaults.

    Raises:
        InputError: for fields that are unknown or of the wrong kind.
    """
    try:
        collimator = dict(record.get("collimator", {}))
        for name in {"centre", "half_size"} & set(collimator):
            collimator[name] = tuple(collimator[name])
        tools = (
            {
                **{OLD_TOOL_KEYS.get(key, key): value for key, value in tool.items()},
                "points_px": tuple(tuple(point) for point in tool["points_px"]),
            }
            for tool in record.get("tools", ())
        )
        return XrayParameters(
            **{
                **record,
                "collimator": Collimator(**collimator),
                "tools": tuple(Tool(**tool) for tool in tools),
            }
        )
    except (AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"the record must hold the parameters of an X-ray: {error}") from None


def _voltage_kv(thickness_mm: float, deviation_kv: float) -> float:
    wanted = VOLTAGE_AT_150_MM_KV + VOLTAGE_PER_MM_KV * (thickness_mm - 150.0) + deviation_kv
    return min(max(wanted, LOWEST_VOLTAGE_KV), HIGHEST_VOLTAGE_KV)


def _choose(generator: np.random.Generator, fractions: Mapping[Choice, float]) -> Choice:
    """Draw one of the keys, as often as its fraction; nothing is drawn where there is one only."""
    keys = list(fractions)
    if len(keys) == 1:
        return keys[0]
    weights = np.array(list(fractions.values()), dtype=np.float64)
    return keys[int(generator.choice(len(keys), p=weights / weights.sum()))]


def _log_uniform(generator: np.random.Generator, ends: Range) -> float:
    low, high = ends
    return math.exp(generator.uniform(math.log(low), math.log(high)))
