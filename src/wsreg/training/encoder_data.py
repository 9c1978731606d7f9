"""What a pose encoder learns from: a CT, or those of many people, rendered anew for every batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.pose_frame import PoseFrame
from wsreg.geometry.rigid import transform_points
from wsreg.rendering.prepared import PreparedCt, PreparedVolume
from wsreg.rendering.render import render
from wsreg.segmentation.rendered import sharpness_per_mm
from wsreg.training.body_layers import BodyLayers, body_layers
from wsreg.training.encoder_config import EncoderConfig
from wsreg.training.pose_sampling import empty_fraction, sample_numbers
from wsreg.training.randomisation import (
    augment_intensity,
    mix_layers,
    open_field,
    sample_randomisation,
)
from wsreg.volumes.identity import ct_sha256
from wsreg.volumes.region_names import find_labels, region_name
from wsreg.volumes.volume import Volume

BONE_HU = 250
"""What is bone in a CT without labels."""
POINTS = 500
"""So many points of the bones stand for them."""
PROBED = 512
"""So many poses tell how much of a range shows the bones."""
HELD_OUT = 2**40
"""Batches of numbers from here on are not learnt from."""
TILTS_AND_SHIFTS = [0, 1, 3, 4]
"""Of the six pose parameters; roll and depth are the others."""
KNOWN_FIELD_FRACTION = 0.7
"""Of the images with a collimator, those in which it is known where it is."""
IMAGES_OF_ONE = 8
"""So many images of a batch are of the same one of many people."""
HELD_OUT_PEOPLE = (16, (7, 14))
"""Of so many people these, a man and a woman, are not learnt from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderData:
    """A patient's CT, ready to be learnt from.

    Args:
        frame: what the encoder's numbers mean; its camera has the size that the encoder sees.
        layers: what moves by itself, for the images.
        compared: the CT as images of estimated and true poses are compared.
        regions: name of each region of interest and its labels; none if they weigh nothing.
        points_mm: [N,3] float64 of the bone whose pose it is (CT, LPS mm).
        sha256: of the CT.
        empty: fraction of the poses that show hardly anything.
    """

    frame: PoseFrame
    layers: BodyLayers
    compared: PreparedVolume
    regions: tuple[tuple[str, tuple[int, ...]], ...]
    points_mm: Tensor
    sha256: str
    empty: float

    @property
    def sharpness_per_mm(self) -> float:
        """Return how rays through a region become probabilities."""
        return sharpness_per_mm(self.compared.volume)


def load_encoder_data(
    ct: PreparedCt, camera: Camera, config: EncoderConfig, rois: tuple[str, ...] | None = ()
) -> EncoderData:
    """Take a CT apart and see what the poses show of it.

    Args:
        ct: with labels, if regions of interest are to weigh anything.
        camera: of the X-rays to come.
        config: settings.
        rois: names of the regions of interest; all that are labelled if none are named, and None
            where they are not rendered.

    Raises:
        InputError: labels that are missing, or a range of poses that leaves the detector empty.
    """
    rendered = rois is not None and config.roi_weight > 0
    regions = _regions(ct.volume, rois or ()) if rendered else ()
    layers = body_layers(ct, config.voxel_mm)
    first = layers.bodies[min(1, len(layers.bodies) - 1)]
    points_mm = _points_of(ct.volume, first.labels)
    x, y, z = points_mm.mean(dim=0).tolist()
    frame = PoseFrame(
        camera=camera.resized(config.size_px, config.size_px),
        view=config.view,
        pivot_mm=(x, y, z),
        depth_mm=config.poses.depth_fraction * camera.source_to_detector_mm,
        scale=config.poses.scale,
    )
    probed = frame.pose(sample_numbers(config.poses, config.fit.seed, HELD_OUT, PROBED))
    return EncoderData(
        frame=frame,
        layers=layers,
        compared=ct.levels((config.loss_voxel_mm,))[0],
        regions=regions,
        points_mm=points_mm,
        sha256=ct_sha256(ct.volume),
        empty=empty_fraction(points_mm, frame.camera, probed),
    )


class EncoderBatch(NamedTuple):
    """Images to learn from.

    Args:
        images: [B,1,S,S] float32.
        valid: [B,1,S,S] bool, where they tell something.
        numbers: [B,6] float64 of their poses.
        who: [B] int64, whose CT each shows, the same ones side by side.
        compared: [B,1+R,h,w] the CT and its regions at their poses, as poses are compared.
    """

    images: Tensor
    valid: Tensor
    numbers: Tensor
    who: Tensor
    compared: Tensor


def encoder_batch(
    patients: Sequence[EncoderData],
    config: EncoderConfig,
    number: int,
    augmented_fraction: float,
    reach: float = 1.0,
) -> EncoderBatch:
    """Return images of one patient or of some of many people.

    Nothing is drawn but from (seed, number).

    Args:
        patients: whom to render.
        config: settings.
        number: of the batch; from ``HELD_OUT`` on the images are not learnt from, nor the people.
        augmented_fraction: fraction of the images whose intensities are changed.
        reach: how much of the range of tilts and shifts is drawn from.
    """
    generator = np.random.default_rng((config.fit.seed, number, 1))
    numbers = sample_numbers(config.poses, config.fit.seed, number, config.fit.batch)
    numbers[:, TILTS_AND_SHIFTS] *= reach
    who = _sample_people(len(patients), number, len(numbers), generator)
    images, valids, compared = [], [], []
    for index in who.unique_consecutive().tolist():
        data = patients[index]
        poses = data.frame.pose(numbers[who == index])
        for own in data.layers.render(data.frame.camera, poses, generator):
            r = sample_randomisation(generator, len(own), augmented_fraction)
            images.append(augment_intensity(mix_layers(own, r), r))
            known = generator.random() < KNOWN_FIELD_FRACTION
            field = open_field(r, config.size_px)
            valids.append(field if known else torch.ones_like(field))
        compared.append(render_compared(data, config, poses))
    return EncoderBatch(
        images=torch.stack(images)[:, None],
        valid=torch.stack(valids)[:, None],
        numbers=numbers,
        who=who,
        compared=torch.cat(compared),
    )


def render_compared(data: EncoderData, config: EncoderConfig, poses: Tensor) -> Tensor:
    """Return [B,1+R,h,w] of a CT at poses [B,4,4] on the CPU, as poses are compared.

    Differentiable; [B,0,h,w] where the loss compares no images.
    """
    if not config.image_weight and not config.roi_weight:
        return torch.zeros(len(poses), 0, config.loss_px, config.loss_px)
    camera = data.frame.camera.resized(config.loss_px, config.loss_px)
    return render(data.compared, camera, poses, rois=[labels for _, labels in data.regions])


def _sample_people(people: int, number: int, count: int, generator: np.random.Generator) -> Tensor:
    """Return [count] int64: whom the images of a batch show, each person's side by side."""
    if people == 1:
        return torch.zeros(count, dtype=torch.int64)
    everyone, (of, which) = np.arange(people), HELD_OUT_PEOPLE
    held_out = np.isin(everyone % of, which)
    chosen = everyone[held_out if number >= HELD_OUT else ~held_out]
    groups = -(-count // IMAGES_OF_ONE)
    drawn = np.sort(generator.choice(chosen, groups, replace=groups > len(chosen)))
    return torch.from_numpy(np.repeat(drawn, IMAGES_OF_ONE)[:count])


def _regions(volume: Volume, wanted: tuple[str, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    if not volume.label_values:
        raise InputError(
            "the loss compares regions of interest, which need the label map of the CT "
            "(--labels); without one, --roi-weight 0 leaves them out"
        )
    if wanted:
        return tuple((name, find_labels(volume, (name,), "--rois")) for name in wanted)
    groups: dict[str, list[int]] = {}
    for label in volume.label_values:
        name = region_name(volume.label_names.get(label, str(label)))
        groups.setdefault(name, []).append(label)
    return tuple((name, tuple(labels)) for name, labels in groups.items())


def _points_of(volume: Volume, labels: tuple[int, ...]) -> Tensor:
    """Return [N,3] float64 points of the labels, or of all bone if there are none (CT, LPS mm)."""
    if labels:
        assert volume.labels is not None
        inside = torch.isin(volume.labels, torch.tensor(labels, dtype=volume.labels.dtype))
    else:
        inside = volume.hu > BONE_HU
    voxels = inside.nonzero()
    if not len(voxels):
        raise InputError(f"the CT must hold bone (above {BONE_HU} HU) or labels, it holds neither")
    chosen = voxels[torch.linspace(0, len(voxels) - 1, min(POINTS, len(voxels))).long()]
    return transform_points(volume.ct_from_voxel, chosen.flip(-1).double())
