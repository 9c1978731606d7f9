"""Images of a CT taken apart: attenuation of each region and of the rest, so that a training image
can be put together with other contrasts in no time.

One set of layers costs a dozen renderings; a few hundred sets of each specimen are made once, kept
in a file, and every step of the training makes new images from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.files.damage import say_damaged
from wsreg.files.tensor_file import read_tensors, write_tensors
from wsreg.geometry.camera import Camera
from wsreg.geometry.rigid import perturb
from wsreg.rendering.render import render
from wsreg.volumes.region_names import region_name
from wsreg.volumes.resampling import resample_isotropic
from wsreg.volumes.volume import Volume

ROTATION_SD_DEG = (10.0, 10.0, 8.0)
TRANSLATION_SD_MM = (25.0, 25.0, 40.0)
"""How far training poses lie from the poses of the specimen's X-rays."""
FEMUR_SD_DEG = 5.0
VOXEL_MM = 2.0
COVERED_MM = 1.0
"""A region is seen where a ray runs at least this far through it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layers:
    """Images of one specimen.

    Args:
        attenuation: [N,1+R,S,S] float16 line integrals: everything but the regions, then each
            region; their sum is the whole image.
        masks: [N,R,S,S] bool: where each region is seen.
    """

    attenuation: Tensor
    masks: Tensor


def render_layers(
    samples: Sequence[Sample],
    labels: Sequence[int],
    count: int,
    size_px: int,
    seed: int | tuple[int, ...],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Layers:
    """Render layers of one specimen at poses around those of its X-rays.

    Args:
        samples: X-rays of one specimen.
        labels: CT labels, one for each region; femurs, by their names, turn about their heads.  A
            label that the CT lacks is a region that is not there.
        count: how many images.
        size_px: their side.
        seed: of the poses.
        progress: told how many are done.
    """
    generator = np.random.default_rng(seed)
    volume = resample_isotropic(samples[0].volume, VOXEL_MM)
    there = set(volume.label_values)
    parts = [volume.restricted_to((label,)) if label in there else None for label in labels]
    attenuation = torch.empty(count, 1 + len(labels), size_px, size_px, dtype=torch.float16)
    masks = torch.empty(count, len(labels), size_px, size_px, dtype=torch.bool)
    for index in range(count):
        sample = samples[int(generator.integers(len(samples)))]
        camera = sample.camera.resized(size_px, size_px)
        pose = _near(sample, generator)
        poses = [_turned(sample, pose, label, generator) for label in labels]
        layers, covered = layers_at(volume, parts, labels, camera, pose, poses)
        attenuation[index], masks[index] = layers.half(), covered
        progress(index + 1, count)
    return Layers(attenuation=attenuation, masks=masks)


def layers_at(
    volume: Volume,
    parts: Sequence[Volume | None],
    labels: Sequence[int],
    camera: Camera,
    pose: Tensor,
    poses: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Return (attenuation [1+R,H,W], masks [R,H,W]) of a CT whose regions have poses of their own.

    Args:
        volume: the whole CT.
        parts: the CT of each region alone, None for one that it lacks.
        labels: of each region.
        camera: of the image.
        pose: [4,4] ``camera_from_ct`` of everything else.
        poses: [4,4] of each region.
    """
    whole = render(volume, camera, pose[None], any_pose=True)[0, 0]
    rest, nothing = whole.clone(), torch.zeros_like(whole)
    moved, masks = [], []
    for part, label, own in zip(parts, labels, poses, strict=True):
        image, path_mm = nothing, nothing
        if part is not None:
            rest -= render(part, camera, pose[None], any_pose=True)[0, 0]
            image, path_mm = render(part, camera, own[None], rois=[(label,)], any_pose=True)[0]
        moved.append(image)
        masks.append(path_mm > COVERED_MM)
    rest = rest.clamp(min=0.0)
    return torch.cat((rest[None], torch.stack(moved))), torch.stack(masks)


def true_masks(sample: Sample, labels: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return (masks [R,H,W] bool, known [R] bool) of an X-ray: the CT's labels at the true poses.

    A femur whose pose is not valid, and what the CT lacks, is not known.
    """
    there = [label for label in labels if label in sample.volume.label_values]
    femurs = {_femur(sample, label) for label in there}
    masks = torch.zeros(len(labels), *sample.radiograph.image.shape, dtype=torch.bool)
    known = torch.zeros(len(labels), dtype=torch.bool)
    for femur in femurs:
        pose = _true_pose(sample, femur)
        if pose is None:
            continue
        own = [label for label in there if _femur(sample, label) == femur]
        rois = [(label,) for label in there]  # all of them, which a CT is laid out for once
        paths_mm = render(sample.volume, sample.camera, pose[None], rois=rois, any_pose=True)[0, 1:]
        for label in own:
            masks[labels.index(label)] = paths_mm[there.index(label)] > COVERED_MM
            known[labels.index(label)] = True
    return masks, known


def cached_layers(path: Path, source: str, make: Callable[[], Layers]) -> Layers:
    """Read the layers in a file.

    They are made and written first if the file is not there or is of another ``source``.
    """
    if path.exists():
        try:
            tensors, note = read_tensors(path)
            if note.get("source") == source:
                return Layers(attenuation=tensors["attenuation"], masks=tensors["masks"])
        except (InputError, LookupError):
            say_damaged(f"{path} is damaged and made again")
    layers = make()
    tensors = {"attenuation": layers.attenuation, "masks": layers.masks}
    write_tensors(path, tensors, {"source": source})
    return layers


def _near(sample: Sample, generator: np.random.Generator) -> Tensor:
    sd = np.array([*(math.radians(angle) for angle in ROTATION_SD_DEG), *TRANSLATION_SD_MM])
    twist = torch.from_numpy(generator.standard_normal(6) * sd)
    return perturb(sample.camera_from_ct, twist, _middle(sample))


def _turned(sample: Sample, pose: Tensor, label: int, generator: np.random.Generator) -> Tensor:
    head = {"left-femur": "FH-l", "right-femur": "FH-r"}.get(_femur(sample, label) or "")
    if head is None or head not in sample.landmarks_mm:
        return pose
    turn = torch.from_numpy(np.radians(generator.normal(0.0, FEMUR_SD_DEG, 3)))
    twist = torch.cat((turn, torch.zeros(3, dtype=torch.float64)))
    return perturb(pose, twist, sample.landmarks_mm[head])


def _femur(sample: Sample, label: int) -> str | None:
    """Return ``left-femur`` or ``right-femur`` if the label is one, whose pose is its own."""
    name = region_name(sample.volume.label_names.get(label, ""))
    return name if name in ("left-femur", "right-femur") else None


def _true_pose(sample: Sample, femur: str | None) -> Tensor | None:
    return sample.poses.get(femur or "pelvis")


def _middle(sample: Sample) -> Tensor:
    if not sample.landmarks_mm:
        return sample.volume.centre_mm
    return torch.stack(list(sample.landmarks_mm.values())).mean(dim=0)
