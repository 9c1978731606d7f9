"""Trials of the verdict: what is registered to what, from where, and how the X-ray is spoilt."""

from __future__ import annotations

import dataclasses
import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from verdict_xrays import Half, Xray, load_xrays
from wsreg import Camera, Volume
from wsreg.evaluation.starts import perturbed_start
from wsreg.geometry.rigid import inverse_rigid, perturb
from wsreg.simulation.collimator import Collimator, exposed_field
from wsreg.simulation.tools import Tool, metal_density, sample_tool

Image = NDArray[np.float32]
NEAR_MM = 20.0
FAR_MM = (40.0, 120.0)
FAR_TURN_DEG = (30.0, 60.0)
VERTEBRA_MM = 35.0
SLAB_MM = (80.0, 160.0)
STEEL_CM2_PER_G = 1.0
"""Mass attenuation of steel near 65 keV."""
OPAQUE_FLOOR = 0.01
"""What scatter leaves behind metal, as a fraction of the open beam."""
TOLERANCE = (10.0, 0.005, 2.0)
"""One sigma of distance (mm), pixel spacing (fraction) and principal point (mm)."""
GROUPS = (
    "near", "searched", "far", "turned far", "another person", "another person, near",
    "wrong view", "mirrored", "half-turned", "a vertebra off", "rods", "implant", "narrow field",
    "saturated", "noisy", "blurred", "cropped CT", "wrong and spoilt", "calibration",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One registration.

    Args:
        name: of its row.
        group: what it is for.
        xray: which X-ray.
        subject: whose CT it is registered to.
        init: a start [4,4], or ``search``.
        view: around which a search looks.
        edits: what is done to the X-ray before it is registered, in this order.
        camera: with which it is registered.
        slab_mm: thickness of what is left of the CT; None for all of it.
        possible: whether there is a right answer.
    """

    name: str
    group: str
    xray: Xray
    subject: str
    init: Tensor | str
    view: str
    edits: tuple[str, ...] = ()
    camera: Camera
    slab_mm: float | None = None
    possible: bool = True

    @property
    def truth(self) -> Tensor:
        """Return the true pose [4,4] of the X-ray as it is registered."""
        if "half-turned" not in self.edits:
            return self.xray.camera_from_ct
        return torch.diag(torch.tensor([-1.0, -1, 1, 1]).double()) @ self.xray.camera_from_ct


def trials(half: Half) -> list[Trial]:
    """Return all trials of a half, those with the same CT together."""
    xrays = load_xrays(half)
    every = [
        dataclasses.replace(trial, name=f"{trial.group}/{trial.name}")
        for number, xray in enumerate(xrays)
        for trial in _trials_of(number, xray, xrays)
    ]
    return sorted(every, key=lambda trial: trial.subject)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Maker:
    """Makes the trials of one X-ray, the ``number``-th of its half.

    Args:
        number, xray: which.
        stranger: an X-ray of somebody else, whose CT is the wrong one.
        near, far, turned, neighbour, beside: starts; the last puts the wrong CT's bones near.
        camera: the X-ray's, as wrong as its tolerance says.
        slab_mm: of a cropped CT.
    """

    number: int
    xray: Xray
    stranger: Xray
    near: Tensor
    far: Tensor
    turned: Tensor
    neighbour: Tensor
    beside: Tensor
    camera: Camera
    slab_mm: float

    @property
    def either(self) -> Tensor | str:
        return self.near if self.number % 4 < 2 else "search"

    def trial(self, group: str, init: Tensor | str, *edits: str, view: str = "") -> Trial:
        xray = self.xray
        return Trial(
            name=xray.name, group=group, xray=xray, subject=xray.subject, init=init,
            view=view or xray.view, edits=edits, camera=xray.camera,
        )  # fmt: skip

    def mirrored(self, group: str, *edits: str) -> Trial:
        trial = self.trial(group, self.either, "mirrored", *edits)
        return dataclasses.replace(trial, possible=False)

    def another(self, group: str, init: Tensor | str, *edits: str) -> Trial:
        trial = self.trial(group, init, *edits)
        return dataclasses.replace(trial, possible=False, subject=self.stranger.subject)

    def of_all(self) -> Iterator[Trial]:
        yield self.trial("near", self.near)
        yield dataclasses.replace(self.trial("calibration", self.near), camera=self.camera)
        if self.number % 3:
            metal = ("", "rods", "implant")[self.number % 3]
            yield self.trial(metal, self.near, metal)

    def of_odd(self) -> Iterator[Trial]:
        yield self.trial("searched", "search")
        yield self.mirrored("mirrored")
        yield self.trial("a vertebra off", self.neighbour)
        yield self.another("another person, near", self.beside)
        yield self.trial("narrow field", self.near, "narrow")

    def of_even(self) -> Iterator[Trial]:
        yield self.trial("far", self.far)
        yield self.another("another person", "search")
        group, half = "wrong and spoilt", self.number // 2
        spoilt = ("narrow", "rods", "saturated", "noisy", "implant")[half % 5]
        yield (
            self.another(group, self.beside, spoilt),
            self.mirrored(group, spoilt),
            self.trial(group, self.neighbour, spoilt),
        )[half % 3]

    def of_fourths(self) -> Iterator[Trial]:
        fourth, frontal = self.number % 4, self.xray.view == "PA"
        if fourth == 0 or not frontal:
            wrong = ("AP", "LAT", "RLAT")[self.number // 4 % 3] if frontal else "PA"
            yield self.trial("wrong view", "search", view=wrong)
        if fourth == 1:
            yield self.trial("half-turned", "search", "half-turned")
            yield self.trial("saturated", self.near, "saturated")
        elif fourth == 2:
            yield self.trial("turned far", self.turned)
            yield self.trial("noisy", self.near, "noisy")
        elif fourth == 3:
            cropped = self.trial("cropped CT", self.near)
            yield dataclasses.replace(cropped, slab_mm=self.slab_mm)
            yield self.trial("blurred", self.near, "blurred")


def _trials_of(number: int, xray: Xray, xrays: Sequence[Xray]) -> Iterator[Trial]:
    """Yield an X-ray's trials: not every one takes part in every group."""
    generator = np.random.default_rng([1, zlib.crc32(xray.name.encode())])
    stranger = _stranger(number, xray, xrays)
    near = _start(xray, NEAR_MM, generator)
    turn = generator.uniform(*np.deg2rad(FAR_TURN_DEG))
    far = _start(xray, generator.uniform(*FAR_MM), generator)
    maker = _Maker(
        number=number,
        xray=xray,
        stranger=stranger,
        near=near,
        far=far,
        turned=perturb(xray.camera_from_ct, _about(generator, turn), xray.centre_mm),
        neighbour=xray.camera_from_ct @ _shift(0.0, 0.0, VERTEBRA_MM * (-1) ** (number // 2)),
        beside=near @ _shift(*(xray.landmarks_mm.mean(0) - stranger.landmarks_mm.mean(0)).tolist()),
        camera=_miscalibrated(xray, generator),
        slab_mm=float(generator.uniform(*SLAB_MM)),
    )
    yield from maker.of_all()
    yield from maker.of_odd() if number % 2 else maker.of_even()
    yield from maker.of_fourths()


def _shift(*millimetres: float) -> Tensor:
    motion = torch.eye(4, dtype=torch.float64)
    motion[:3, 3] = torch.tensor(millimetres)
    return motion


def _start(xray: Xray, distance_mm: float, generator: np.random.Generator) -> Tensor:
    return perturbed_start(
        xray.camera_from_ct, xray.landmarks_mm, xray.centre_mm, distance_mm, generator
    )


def _about(generator: np.random.Generator, angle: float) -> Tensor:
    axis = generator.normal(size=3)
    return torch.from_numpy(np.concatenate((angle * axis / np.linalg.norm(axis), np.zeros(3))))


def _stranger(number: int, xray: Xray, xrays: Sequence[Xray]) -> Xray:
    """Return an X-ray of somebody else in the same half, each of them in turn."""
    others = {other.subject: other for other in xrays if other.subject != xray.subject}
    return list(others.values())[number // 2 % len(others)]


def _miscalibrated(xray: Xray, generator: np.random.Generator) -> Camera:
    """Return the camera as wrong as its tolerance says."""
    camera = xray.camera
    distance, spacing, *point = generator.normal(size=4)
    rows_mm, columns_mm = camera.pixel_spacing_mm
    return dataclasses.replace(
        camera,
        source_to_detector_mm=camera.source_to_detector_mm + TOLERANCE[0] * distance,
        pixel_spacing_mm=tuple(
            mm * (1.0 + TOLERANCE[1] * spacing) for mm in camera.pixel_spacing_mm
        ),
        principal_point_px=(
            camera.centre_px[0] + TOLERANCE[2] * point[0] / columns_mm,
            camera.centre_px[1] + TOLERANCE[2] * point[1] / rows_mm,
        ),
    )


def slab(volume: Volume, trial: Trial) -> Volume:
    """Return what is left of a CT about the middle of the X-ray: slices across its third axis."""
    if trial.slab_mm is None:
        return volume
    depth_mm = float((trial.truth @ torch.cat((volume.centre_mm, torch.ones(1))))[2])
    seen = torch.tensor([0.0, 0.0, depth_mm, 1.0], dtype=torch.float64)
    voxel_from_camera = torch.linalg.inv(volume.ct_from_voxel) @ inverse_rigid(trial.truth)
    middle, half = float((voxel_from_camera @ seen)[2]), trial.slab_mm / volume.spacing_mm[2] / 2
    slices = volume.hu.shape[0]
    middle = min(max(middle, 0.0), slices - 1.0)
    first, last = max(0, math.floor(middle - half)), min(slices, math.ceil(middle + half))
    affine = volume.ct_from_voxel.clone()
    affine[:3, 3] += first * affine[:3, 2]
    return Volume(hu=volume.hu[first:last].clone(), ct_from_voxel=affine)


def edited(trial: Trial, image: Image) -> Image:
    """Return the X-ray, transmission [rows,columns], as the trial wants it."""
    generator = np.random.default_rng([2, zlib.crc32(trial.name.encode())])
    for edit in trial.edits:
        image = _EDITS[edit](image, trial.xray.camera, generator)
    return np.ascontiguousarray(image, dtype=np.float32)


def _narrow(image: Image, camera: Camera, generator: np.random.Generator) -> Image:
    """A round or rectangular field of 30 to 60 % of the width."""
    half = generator.uniform(0.15, 0.3, size=2)
    round_one = bool(generator.random() < 0.5)
    x, y = generator.uniform(0.4, 0.6, size=2)
    collimator = Collimator(
        shape="circle" if round_one else "rectangle",
        centre=(float(x), float(y)),
        half_size=(float(half[0]), float(half[0] if round_one else half[1])),
    )
    return image * exposed_field(collimator, *image.shape)


def _saturated(image: Image, camera: Camera, generator: np.random.Generator) -> Image:
    """10 to 40 % of the exposed pixels at the detector's limit."""
    exposed = image[image > 0.02 * image.max()]
    clipped: Image = np.minimum(image, np.quantile(exposed, 1.0 - generator.uniform(0.1, 0.4)))
    return clipped


def _noisy(image: Image, camera: Camera, generator: np.random.Generator) -> Image:
    """Behind the patient 10 to 100 quanta for each pixel."""
    quanta = np.exp(generator.uniform(np.log(10.0), np.log(100.0))) / np.median(image)
    noisy: Image = (generator.poisson(image * quanta) / quanta).astype(np.float32)
    return noisy


def _blurred(image: Image, camera: Camera, generator: np.random.Generator) -> Image:
    """1 to 3 mm on the detector."""
    sigma = generator.uniform(1.0, 3.0) / camera.pixel_spacing_mm[0]
    blurred: Image = gaussian_filter(image, sigma)
    return blurred


def _behind(image: Image, tools: Sequence[Tool]) -> Image:
    density = metal_density(tools, "steel", image.shape[0], image.shape[1], 1)
    floor = OPAQUE_FLOOR * float(np.quantile(image, 0.999))
    left: Image = np.maximum(image * np.exp(-STEEL_CM2_PER_G * density), np.minimum(image, floor))
    return left


def _rods(image: Image, camera: Camera, generator: np.random.Generator) -> Image:
    """One to three opaque rods."""
    drawn = (sample_tool(generator, camera, "rod") for _ in itertools.count())
    opaque = (tool for tool in drawn if tool.thickness_mm > 3.0)
    return _behind(image, list(itertools.islice(opaque, int(generator.integers(1, 4)))))


def _implant(image: Image, camera: Camera, generator: np.random.Generator) -> Image:
    """The head and the tapered stem of an artificial hip: 5 to 15 % of the image."""
    side = float(camera.columns)
    head = side * generator.uniform(0.3, 0.7, size=2)
    angle, radius = generator.uniform(0, 2 * np.pi), side * generator.uniform(0.09, 0.14)
    along = np.array([np.cos(angle), np.sin(angle)])
    ends = [head, head + 0.01 * along, head + along * side * generator.uniform(0.4, 0.55)]
    points = [(float(x), float(y)) for x, y in ends]
    ball = Tool(points_px=tuple(points[:2]), radius_px=radius, thickness_mm=30.0)
    stem = Tool(
        points_px=(points[0], points[2]), radius_px=0.55 * radius, thickness_mm=20.0,
        tip_fraction=0.4,
    )  # fmt: skip
    return _behind(image, [ball, stem])


_EDITS: Mapping[str, Callable[[Image, Camera, np.random.Generator], Image]] = {
    "mirrored": lambda image, camera, generator: image[:, ::-1],
    "half-turned": lambda image, camera, generator: image[::-1, ::-1],
    "narrow": _narrow,
    "saturated": _saturated,
    "noisy": _noisy,
    "blurred": _blurred,
    "rods": _rods,
    "implant": _implant,
}
