"""What a segmentation network learns from: X-rays with true masks, and rendered layers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError
from wsreg.training.config import TrainingConfig
from wsreg.training.layers import Layers, cached_layers, render_layers, true_masks
from wsreg.training.randomisation import composed, disturbed, sample_randomisation

Progress = Callable[[str, int, int], None]
Truth = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """What is learnt from, all in memory.

    Args:
        roi_names, labels: regions and their labels in the CTs.
        xrays: [N,S,S] float32 attenuation of X-rays.
        xray_masks: [N,R,S,S] bool; ``xray_known`` [N,R] bool, whether a mask is known.
        layers: rendered images, one set for each specimen.
        held_out: X-rays that are only looked at, as (xrays, masks, known).
        held_out_names: the specimens they are of.
        sha256: of the data set.
    """

    roi_names: tuple[str, ...]
    labels: tuple[int, ...]
    xrays: Tensor
    xray_masks: Tensor
    xray_known: Tensor
    layers: tuple[Layers, ...]
    held_out: tuple[Tensor, Tensor, Tensor]
    held_out_names: tuple[str, ...]
    sha256: str = ""


def load_training_data(
    by_specimen: Callable[[str], Sequence[Sample]],
    specimens: Sequence[str],
    held_out: Sequence[str],
    config: TrainingConfig,
    cache: Path,
    sha256: str,
    progress: Progress = lambda stage, done, total: None,
) -> TrainingData:
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
    truths: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    layers = []
    for number, name in enumerate(specimens):
        samples = by_specimen(name)
        truths[name] = _truth(samples, labels)
        if name in seen:
            file = cache / f"{name}-{config.size_px}-{config.rendered_per_specimen}.safetensors"
            told = functools.partial(progress, f"rendering {name}")
            make = functools.partial(
                render_layers, samples, labels, config.rendered_per_specimen, config.size_px,
                number, told,
            )  # fmt: skip
            layers.append(cached_layers(file, make))
    images, masks, known = _joined([truths[name] for name in seen])
    empty = (images[:0], masks[:0], known[:0])
    aside = [truths[name] for name in held_out]
    return TrainingData(
        roi_names=tuple(names[label] for label in labels),
        labels=labels,
        xrays=images,
        xray_masks=masks,
        xray_known=known,
        layers=tuple(layers),
        held_out=_joined(aside) if aside else empty,
        held_out_names=tuple(held_out),
        sha256=sha256,
    )


def batch_at(
    data: TrainingData, config: TrainingConfig, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(images [B,1,S,S], masks [B,R,S,S] float32, known [B,R] bool) of a step: nothing is drawn
    from anywhere but (seed, step)."""
    generator = np.random.default_rng((config.seed, step))
    images, masks, known = [], [], []
    for _ in range(config.batch):
        if len(data.xrays) and generator.random() < config.xray_share:
            index = int(generator.integers(len(data.xrays)))
            image, mask, tells = data.xrays[index], data.xray_masks[index], data.xray_known[index]
            r = sample_randomisation(generator, 1)
        else:
            layers = data.layers[int(generator.integers(len(data.layers)))]
            index = int(generator.integers(len(layers.masks)))
            r = sample_randomisation(generator, layers.attenuation.shape[1])
            image, mask = composed(layers.attenuation[index], r), layers.masks[index]
            tells = torch.ones(len(mask), dtype=torch.bool)
        image = disturbed(image, r)
        if r.turned:
            image, mask = image.flip(0, 1), mask.flip(1, 2)
        images.append(image)
        masks.append(mask)
        known.append(tells)
    return torch.stack(images)[:, None], torch.stack(masks).float(), torch.stack(known)


def _truth(samples: Sequence[Sample], labels: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    masks, known = zip(*(true_masks(sample, labels) for sample in samples), strict=True)
    images = torch.stack([sample.radiograph.image for sample in samples])
    return images, torch.stack(masks), torch.stack(known)


def _joined(truths: Sequence[Truth]) -> Truth:
    images, masks, known = (torch.cat(parts) for parts in zip(*truths, strict=True))
    return images, masks, known
