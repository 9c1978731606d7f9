"""Trained models of a method, read when the first X-ray of their specimen comes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from wsreg.datasets.sample import Sample
from wsreg.errors import InputError, WsregError
from wsreg.methods.artefact import Artefact, Losses
from wsreg.registration.starts.pose_estimator import PoseEstimator, load_pose_estimator
from wsreg.rendering.prepared import PreparedCt
from wsreg.segmentation.segmenter import Segmenter, load_segmenter

T = TypeVar("T")


def encoder_of(folders: Mapping[str, Path], losses: Losses) -> Callable[[Sample], PoseEstimator]:
    """Return what gives the encoder of a sample's specimen; the last one is kept.

    Raises:
        WsregError: by what is returned: the encoder is missing, damaged, or of another CT.
    """

    @functools.lru_cache(maxsize=1)
    def load(specimen: str) -> PoseEstimator:
        name = Artefact(kind="encoder", specimen=specimen, losses=losses).name
        return _told(lambda: load_pose_estimator(folders[name]))

    def encoder(sample: Sample) -> PoseEstimator:
        estimator = load(sample.specimen)
        return _told(lambda: estimator.for_ct(PreparedCt(volume=sample.volume)))

    return encoder


def upright_pose(estimator: PoseEstimator, sample: Sample) -> Tensor:
    """Return [4,4] ``camera_from_ct`` that an encoder finds in an X-ray as it lies.

    Published methods know no upside down: a data set turns its images.
    """
    return estimator.estimates(sample.radiograph, sample.camera)[0].camera_from_ct


def segmenter_of(folders: Mapping[str, Path], kind: str) -> Callable[[Sample], Segmenter]:
    """Return what gives the ``unet`` or ``medsam`` that has not seen a sample's specimen.

    Raises:
        WsregError: by what is returned: the network is missing or damaged.
    """

    @functools.lru_cache(maxsize=1)
    def load(specimen: str) -> Segmenter:
        return _told(lambda: load_segmenter(folders[f"{kind}-{specimen}"], kind=kind))

    return lambda sample: load(sample.specimen)


def _told(make: Callable[[], T]) -> T:
    """Turn a model that cannot be read into an error that ends a run.

    An ``InputError`` would count as the method's failure on each X-ray.
    """
    try:
        return make()
    except InputError as error:
        raise WsregError(str(error)) from error
