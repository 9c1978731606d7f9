"""What methods train before surgery, and share: networks, each made once in a folder of its own."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wsreg.datasets.preparation import Preparation
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.errors import InputError
from wsreg.files.damage import say_damaged
from wsreg.files.hashes import sha256_of
from wsreg.files.json_files import read_sealed_json, write_sealed_json
from wsreg.files.lock import LOCK_FILE, locked
from wsreg.files.plans import differing_keys
from wsreg.methods.preset import Preset
from wsreg.networks.checkpoint import WEIGHTS_FILE, read_card, read_weights
from wsreg.rendering.prepared import PreparedCt
from wsreg.segmentation.segmenter import Segmenter, load_segmenter
from wsreg.training.encoder import encoder_task
from wsreg.training.encoder_config import EncoderConfig
from wsreg.training.encoder_data import load_encoder_data
from wsreg.training.fit import fit
from wsreg.training.segmentation import segmentation_task
from wsreg.training.segmentation_data import load_segmentation_data

Losses = Literal["", "geo", "geo-ncc", "geo-ncc-roi"]
Progress = Callable[[str, int, int], None]

ARTEFACT_FILE = "artefact.json"
"""Written last: what a finished artefact was made of."""

IMAGE_AND_ROI_WEIGHTS: Mapping[str, tuple[float, float]] = {
    "geo": (0.0, 0.0), "geo-ncc": (1.0, 0.0), "geo-ncc-roi": (1.0, 0.1),
}  # fmt: skip
"""Of 1 - mNCC and of 1 - Dice (the paper's beta_2) beside the geodesics, whose beta_1 is 0.01."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Something trained.

    Args:
        kind: ``unet`` and ``medsam`` find regions, ``encoder`` finds poses.
        specimen: the one that a network of regions has not seen, or whose CT an encoder has learnt.
        losses: what an encoder learns from; empty for networks of regions.

    Raises:
        InputError: an encoder without losses, or losses without an encoder.
    """

    kind: Literal["unet", "medsam", "encoder"]
    specimen: str
    losses: Losses = ""

    def __post_init__(self) -> None:
        if (self.kind == "encoder") != (self.losses in IMAGE_AND_ROI_WEIGHTS):
            raise InputError(
                f"losses of an artefact must be one of {', '.join(IMAGE_AND_ROI_WEIGHTS)} for an "
                f"encoder and empty for others, got {self.losses!r} for {self.kind!r}"
            )

    @property
    def name(self) -> str:
        """Return the name of its folder, such as ``encoder-geo-ncc-17-1882``."""
        return "-".join(part for part in (self.kind, self.losses, self.specimen) if part)


def needs(artefact: Artefact) -> tuple[Artefact, ...]:
    """Return what must be made before: the U-Net by which an encoder compares regions."""
    if artefact.losses == "geo-ncc-roi":
        return (Artefact(kind="unet", specimen=artefact.specimen),)
    return ()


def with_needs(artefacts: Sequence[Artefact]) -> tuple[Artefact, ...]:
    """Return artefacts with all that they need, each once and after what it needs."""
    ordered: dict[Artefact, None] = {}
    for artefact in artefacts:
        ordered |= dict.fromkeys((*with_needs(needs(artefact)), artefact))
    return tuple(ordered)


def make_artefact(
    artefact: Artefact,
    data: Path,
    folder: Path,
    made: Mapping[str, Path],
    preset: Preset,
    progress: Progress = lambda stage, done, total: None,
    *,
    workers: int = 0,
) -> None:
    """Train an artefact, going on where a stopped run was; a finished one is left alone.

    Whoever else trains it is waited for.

    Args:
        artefact: what.
        data: DeepFluoro's file or a cohort.
        folder: for it.
        made: folders of artefacts by their names, those that it needs among them.
        preset: how large, and for how long.
        progress: called with (stage, done, total).
        workers: processes that make an encoder's images ahead, see :func:`wsreg.training.fit.fit`.

    Raises:
        InputError: the data lack the specimen or a part of it, nothing is left to train on, or the
            folder holds an artefact of other data or settings.
    """
    with locked(folder / LOCK_FILE, wait=True):
        _make_artefact(artefact, data, folder, made, preset, progress, workers)


def _make_artefact(
    artefact: Artefact,
    data: Path,
    folder: Path,
    made: Mapping[str, Path],
    preset: Preset,
    progress: Progress,
    workers: int,
) -> None:
    if is_made(artefact, data, folder, made, preset):  # by another run that was waited for
        return
    if artefact.kind == "encoder":
        _train_encoder(artefact, data, folder, made, preset, progress, workers)
    else:
        _train_segmentation(artefact, data, folder, preset, progress)
    write_sealed_json(folder / ARTEFACT_FILE, _sources(artefact, data, made, preset))


def is_made(
    artefact: Artefact, data: Path, folder: Path, made: Mapping[str, Path], preset: Preset
) -> bool:
    """Tell whether a folder holds an artefact that is finished.

    Raises:
        InputError: it holds one of other data or settings.
    """
    if not (folder / ARTEFACT_FILE).exists():
        return False
    if any(not (made[one.name] / WEIGHTS_FILE).exists() for one in needs(artefact)):
        return False
    sources = _sources(artefact, data, made, preset)
    try:
        found = read_sealed_json(folder / ARTEFACT_FILE)
        read_card(folder), read_weights(folder)
    except InputError as error:
        say_damaged(f"{error}; the artefact is made again")
        (folder / ARTEFACT_FILE).unlink(missing_ok=True)
        return False
    differing = differing_keys(found, sources)
    if differing:
        raise InputError(
            f"artefact {folder} must be of this data set and preset, got one that differs in "
            f"{', '.join(differing)}; name another folder or delete it"
        )
    return True


def _sources(
    artefact: Artefact, data: Path, made: Mapping[str, Path], preset: Preset
) -> dict[str, Any]:
    """Return what an artefact depends on, in JSON's types."""
    needed = {one.name: sha256_of(made[one.name] / WEIGHTS_FILE) for one in needs(artefact)}
    return {
        "artefact": dataclasses.asdict(artefact),
        "data": data_sha256(data),
        "made_with": needed,
        "settings": preset.training_record(artefact.kind),
    }


def data_sha256(data: Path) -> str:
    """Return the hash of a data set, looked at once as long as the file stays as it is.

    Raises:
        InputError: it cannot be read.
    """
    if not data.is_file():
        return sha256_of(data)
    state = data.stat()
    return _hash_once(data, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _hash_once(data: Path, size: int, modified_ns: int) -> str:
    return sha256_of(data)


def _train_segmentation(
    artefact: Artefact, data: Path, folder: Path, preset: Preset, progress: Progress
) -> None:
    """Train a network on all specimens but the artefact's."""
    assert artefact.kind != "encoder"
    layers = folder / "layers"
    with DeepFluoroFile(data) as file:
        seen = [name for name in file.specimens if name != artefact.specimen]
        xrays = sum(len(file.projections(name)) for name in seen)
    config = preset.segmentation(artefact.kind, xrays)
    with DeepFluoroFile(data, Preparation(size_px=config.size_px)) as file:
        loaded = load_segmentation_data(
            lambda name: list(file.samples(name)), file.specimens, (artefact.specimen,), config,
            layers, data_sha256(data), progress,
        )  # fmt: skip
    task = segmentation_task(loaded, config, begin_with=preset.begin_segmentation_with)
    fit(
        task, folder, accelerator=preset.accelerator, precision=preset.segmentation_precision,
        progress=progress,
    )  # fmt: skip
    shutil.rmtree(layers, ignore_errors=True)  # rendered anew if need be, and larger than the rest


def _train_encoder(
    artefact: Artefact,
    data: Path,
    folder: Path,
    made: Mapping[str, Path],
    preset: Preset,
    progress: Progress,
    workers: int,
) -> None:
    """Train an encoder on the CT of the artefact's specimen, for the camera of its X-rays."""
    config = encoder_config(preset, artefact.losses)
    segmenter, sha256 = None, ""
    for needed in needs(artefact):
        segmenter = _segmenter(made[needed.name], preset)
        sha256 = sha256_of(made[needed.name] / WEIGHTS_FILE)
    with DeepFluoroFile(data) as file:
        volume = file.volume(artefact.specimen)
        sample = next(file.samples(artefact.specimen), None)
        camera = file.camera(rot_180_for_up=False) if sample is None else sample.camera
    rois = None if segmenter is not None else ()
    patient = load_encoder_data(PreparedCt(volume=volume), camera, config, rois)
    task = encoder_task(
        patient, config, folder, begin_with=preset.begin_with, segmenter=segmenter,
        segmenter_sha256=sha256,
    )  # fmt: skip
    fit(task, folder, accelerator=preset.accelerator, workers=workers, progress=progress)


def encoder_config(preset: Preset, losses: str) -> EncoderConfig:
    """Return the settings of an encoder that learns from these losses."""
    image_weight, roi_weight = IMAGE_AND_ROI_WEIGHTS[losses]
    return dataclasses.replace(preset.encoder, image_weight=image_weight, roi_weight=roi_weight)


def _segmenter(folder: Path, preset: Preset) -> Segmenter:
    import torch

    on_gpu = preset.accelerator != "cpu" and torch.cuda.is_available()
    return load_segmenter(folder, kind="unet", device="cuda" if on_gpu else "cpu")
