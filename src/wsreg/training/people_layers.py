"""Layers of many virtual people, for a network of regions that knows bones and no patient."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.geometry.rigid import perturb
from wsreg.jobs.process_pool import ProcessPool
from wsreg.registration.bodies import make_bodies, middle_of
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.rendering.render import render
from wsreg.specimens.ct import LABELS
from wsreg.specimens.specimen import Detail
from wsreg.threads import usable_cores
from wsreg.training.encoder_data import HELD_OUT_PEOPLE
from wsreg.training.layers import COVERED_MM, FEMUR_SD_DEG, Layers, cached_layers
from wsreg.training.people import check_people, person_ct
from wsreg.training.pose_sampling import POSE_RANGES, sample_numbers
from wsreg.training.segmentation_config import SegmentationConfig
from wsreg.training.segmentation_data import Progress, SegmentationData, Truth
from wsreg.volumes.volume import Volume

VIEW, POSES = "PA", POSE_RANGES["wide"]
"""What C-arms over a pelvis see; mirrored images stand for those from the other side."""
DETAIL, CT_MM = Detail(bone_mm=1.0, body_mm=4.0), 2.0
"""Finer than for encoders: the borders of the regions are what is learnt."""
LOOKED_AT = 8
"""So many images of each person who is held out."""


def people_data(
    count: int,
    config: SegmentationConfig,
    camera: Camera,
    cache: Path,
    workers: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> SegmentationData:
    """Render people, women and men in turn, none of whom is in a cohort; some are held out.

    Args:
        count: how many people.
        config: settings; its seed is of the people and of the poses.
        camera: geometry of the images, of any size.
        cache: folder for layers; what is there is used again.
        workers: processes that make them; one for each usable core if None.
        progress: called with (stage, done, total).

    Raises:
        InputError: too few people.
    """
    check_people(count)
    resized = camera.resized(config.size_px, config.size_px)
    make = functools.partial(
        _layers_of, config.fit.seed, resized, config.rendered_per_specimen, cache
    )
    made: list[tuple[Layers, str]] = []
    with ProcessPool(workers or usable_cores()) as pool:
        for path, source in pool.map(make, range(count)):
            made.append((cached_layers(path, source, _nothing), source))
            progress("people", len(made), count)
    of, which = HELD_OUT_PEOPLE
    aside = [layers for index, (layers, _) in enumerate(made) if index % of in which]
    held_out = [_plain(layers) for layers in aside]
    images, masks, valid = (torch.cat(parts) for parts in zip(*held_out, strict=True))
    return SegmentationData(
        roi_names=tuple(LABELS),
        labels=tuple(LABELS.values()),
        xrays=images[:0],
        xray_masks=masks[:0],
        xray_valid=valid[:0],
        layers=tuple(one for index, (one, _) in enumerate(made) if index % of not in which),
        held_out=(images, masks, valid),
        held_out_names=(),
        sha256=hashlib.sha256("".join(source for _, source in made).encode()).hexdigest(),
        people=count,
    )


def person_layers(
    ct: Volume, labels: Sequence[int], camera: Camera, images: int, seed: tuple[int, ...]
) -> Layers:
    """Render layers of a CT at poses around a view, femurs turned about their heads.

    Args:
        ct: with labels.
        labels: one for each region.
        camera: geometry of the images, of their size.
        images: how many.
        seed: of the poses.
    """
    generator = np.random.default_rng(seed)
    frame = _frame(ct, labels, camera)
    numbers = sample_numbers(POSES, int(generator.integers(2**31)), 0, images)
    poses, pivots_mm = frame.pose(numbers), _joints_mm(ct)
    assert ct.labels is not None
    inside = torch.isin(ct.labels, torch.tensor(labels, dtype=ct.labels.dtype))
    rest = dataclasses.replace(ct, hu=torch.where(inside, -1000, ct.hu))
    attenuation = [render(rest, camera, poses, any_pose=True)[:, 0]]
    masks = []
    for label in labels:
        own = _turned(poses, pivots_mm.get(label), generator)
        part = ct.restricted_to((label,))
        image, path_mm = render(part, camera, own, rois=[(label,)], any_pose=True).unbind(1)
        attenuation.append(image)
        masks.append(path_mm > COVERED_MM)
    return Layers(attenuation=torch.stack(attenuation, dim=1).half(), masks=torch.stack(masks, 1))


def _layers_of(seed: int, camera: Camera, images: int, cache: Path, index: int) -> tuple[Path, str]:
    """Make one person's layers, unless they are there; return their file and its source."""
    path = cache / f"person-{index:04d}-{camera.rows}-{images}.safetensors"
    source = f"person {index} of {seed}, {DETAIL}, {CT_MM}, {camera}, {POSES}, {images}"

    def make() -> Layers:
        ct = person_ct(seed, index, DETAIL, CT_MM)
        return person_layers(ct, tuple(LABELS.values()), camera, images, (seed, index))

    cached_layers(path, source, make)
    return path, source


def _plain(layers: Layers) -> Truth:
    """Return some images as they are, to be looked at."""
    image = layers.attenuation[:LOOKED_AT].float().sum(dim=1)
    masks = layers.masks[:LOOKED_AT]
    return image, masks, torch.ones_like(masks)


def _nothing() -> Layers:
    raise AssertionError("layers have just been written")


def _frame(ct: Volume, labels: Sequence[int], camera: Camera) -> PoseFrame:
    x, y, z = middle_of(ct, labels).tolist()
    return PoseFrame(
        camera=camera,
        view=VIEW,
        pivot_mm=(x, y, z),
        depth_mm=POSES.depth_fraction * camera.source_to_detector_mm,
        scale=POSES.scale,
    )


def _joints_mm(ct: Volume) -> dict[int, Tensor]:
    """Return the middle of the joint of each label that turns about one (CT, LPS mm)."""
    bodies = make_bodies(
        PreparedCt(volume=ct), "auto", pivot_mm=None, joints_mm={}, ties=TieConfig()
    )
    jointed = (body for body in bodies if body.joint is not None)
    return {label: body.pivot_mm for body in jointed for label in body.labels}


def _turned(poses: Tensor, pivot_mm: Tensor | None, generator: np.random.Generator) -> Tensor:
    if pivot_mm is None:
        return poses
    turns = np.radians(generator.normal(0.0, FEMUR_SD_DEG, (len(poses), 3)))
    twists = torch.from_numpy(np.concatenate((turns, np.zeros_like(turns)), axis=1))
    return perturb(poses, twists, pivot_mm)
