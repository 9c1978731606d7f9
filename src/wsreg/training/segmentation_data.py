"""What a segmentation network learns from: X-rays with true masks, and rendered layers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.training.layers import Layers, cached_layers, render_layers, true_masks
from wsreg.training.randomisation import (
    augment_geometry,
    augment_intensity,
    mirror_partners,
    mix_layers,
    open_field,
    sample_randomisation,
)
from wsreg.training.segmentation_config import SegmentationConfig

Progress = Callable[[str, int, int], None]
Truth = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationData:
    """What is learnt from, all in memory.

    Args:
        roi_names, labels: regions and their labels in the CTs.
        xrays: [N,S,S] float32 attenuation of X-rays.
        xray_masks: [N,R,S,S] bool.
        xray_valid: [N,R,S,S] bool, where a mask is known and the X-ray exposed.
        layers: rendered images, one set for each specimen.
        held_out: X-rays that are only looked at, as (xrays, masks, valid).
        held_out_names: the specimens they are of.
        sha256: of the data set.
        people: how many virtual people it is of, if it is of such.
    """

    roi_names: tuple[str, ...]
    labels: tuple[int, ...]
    xrays: Tensor
    xray_masks: Tensor
    xray_valid: Tensor
    layers: tuple[Layers, ...]
    held_out: Truth
    held_out_names: tuple[str, ...]
    sha256: str = ""
    people: int = 0


def load_segmentation_data(
    by_specimen: Callable[[str], Sequence[Sample]],
    specimens: Sequence[str],
    held_out: Sequence[str],
    config: SegmentationConfig,
    cache: Path,
    sha256: str,
    progress: Progress = lambda stage, done, total: None,
) -> SegmentationData:
    """Read X-rays, make their masks, and render images of the specimens that are trained on.

    Args:
        by_specimen: samples of a specimen, prepared at ``config.size_px``.
        specimens: all of the data set.
        held_out: those that the network must not see.
        config: settings.
        cache: folder for rendered layers; what is there is used again.
        sha256: of the data set.

    Raises:
        InputError: a specimen does not exist, or nothing is left to train on.
    """
    unknown = sorted(set(held_out) - set(specimens))
    if unknown:
        raise InputError(
            f"hold-out must name specimens of the data set {', '.join(specimens)}, "
            f"got {unknown[0]!r}"
        )
    seen = [name for name in specimens if name not in held_out]
    if not seen:
        raise InputError("hold-out leaves no specimen to train on")
    names = dict(by_specimen(specimens[0])[0].volume.label_names)
    labels = tuple(sorted(names))
    truths: dict[str, Truth] = {}
    layers = []
    for number, name in enumerate(specimens):
        samples = by_specimen(name)
        truths[name] = _truth(samples, labels)
        if name in seen:
            file = cache / f"{name}-{config.size_px}-{config.rendered_per_specimen}.safetensors"
            told = functools.partial(progress, f"rendering {name}")
            make = functools.partial(
                render_layers, samples, labels, config.rendered_per_specimen, config.size_px,
                (config.fit.seed, number), told,
            )  # fmt: skip
            source = f"{sha256} {sorted(names.items())} {config.fit.seed} {number}"
            layers.append(cached_layers(file, source, make))
    images, masks, valid = _joined([truths[name] for name in seen])
    empty = (images[:0], masks[:0], valid[:0])
    aside = [truths[name] for name in held_out]
    return SegmentationData(
        roi_names=tuple(names[label] for label in labels),
        labels=labels,
        xrays=images,
        xray_masks=masks,
        xray_valid=valid,
        layers=tuple(layers),
        held_out=_joined(aside) if aside else empty,
        held_out_names=tuple(held_out),
        sha256=sha256,
    )


def batch_at(
    data: SegmentationData, config: SegmentationConfig, number: int, augmented_fraction: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (images [B,1,S,S], masks [B,R,S,S] float32, valid [B,R,S,S] bool) of a batch.

    Nothing is drawn but from (seed, number).  Masks are valid where they are known and can be seen.

    Args:
        data: to draw from.
        config: settings.
        number: of the batch.
        augmented_fraction: fraction of the images whose intensities are changed.
    """
    generator = np.random.default_rng((config.fit.seed, number))
    partners = mirror_partners(data.roi_names)
    randomised = functools.partial(
        sample_randomisation, generator, augmented_fraction=augmented_fraction,
        turned_fraction=config.turned_fraction, inverted_fraction=config.inverted_fraction,
    )  # fmt: skip
    drawn = []
    for _ in range(config.fit.batch):
        if len(data.xrays) and generator.random() < config.xray_fraction:
            index = int(generator.integers(len(data.xrays)))
            image, mask, valid = data.xrays[index], data.xray_masks[index], data.xray_valid[index]
            r = randomised(1)
        else:
            layers = data.layers[int(generator.integers(len(data.layers)))]
            index = int(generator.integers(len(layers.masks)))
            r = randomised(layers.attenuation.shape[1])
            image, mask = mix_layers(layers.attenuation[index], r), layers.masks[index]
            valid = torch.ones_like(mask)
        image, valid = augment_intensity(image, r), valid & open_field(r, config.size_px)
        drawn.append(augment_geometry(image, mask, valid, r, partners))
    images, masks, valids = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    return images[:, None], masks.float(), valids


def at_size(
    images: Tensor, masks: Tensor, valid: Tensor, size_px: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch on coarser pixels: means of images, and what most of a pixel is."""
    if images.shape[-1] == size_px:
        return images, masks, valid
    images, masks, valid = (
        interpolate(part.float(), (size_px, size_px), mode="area")
        for part in (images, masks, valid)
    )
    return images, (masks > 0.5).float(), valid > 0.5


def _truth(samples: Sequence[Sample], labels: Sequence[int]) -> Truth:
    masks, known = zip(*(true_masks(sample, labels) for sample in samples), strict=True)
    images = torch.stack([sample.radiograph.image for sample in samples])
    fields = torch.stack([sample.radiograph.mask for sample in samples])
    valid = torch.stack(known)[:, :, None, None] & fields[:, None]
    return images, torch.stack(masks), valid


def _joined(truths: Sequence[Truth]) -> Truth:
    images, masks, valid = (torch.cat(parts) for parts in zip(*truths, strict=True))
    return images, masks, valid
