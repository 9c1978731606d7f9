from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.networks.checkpoint import read_card
from wsreg.rendering.render import render
from wsreg.specimens.ct import LABELS
from wsreg.training import people_layers
from wsreg.training.fit import fit
from wsreg.training.people_layers import people_data, person_layers
from wsreg.training.segmentation import segmentation_task
from wsreg.training.segmentation_config import SegmentationConfig
from wsreg.training.segmentation_data import SegmentationData
from wsreg.volumes.volume import Volume

CAMERA = Camera(source_to_detector_mm=1000.0, rows=32, columns=32, pixel_spacing_mm=(8.0, 8.0))
PEOPLE = 16


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch, volume: Volume) -> list[int]:
    """Whose CTs are made: all of them the same block with boxes of bone, six names."""
    made: list[int] = []
    names = {value: name for name, value in LABELS.items()}
    labels = volume.labels
    assert labels is not None
    labels = labels.clone()
    for label, row in ((2, 2), (3, 4), (4, 6)):
        labels[28, row, 20:24] = label
    block = dataclasses.replace(volume, labels=labels, label_names=names)

    def person_ct(seed: int, index: int, detail: object, ct_mm: float) -> Volume:
        made.append(index)
        return block

    monkeypatch.setattr(people_layers, "person_ct", person_ct)
    return made


@pytest.fixture
def people(patched: list[int], tiny: SegmentationConfig, tmp_path: Path) -> SegmentationData:
    """Data of people whose layers are there already, for other processes know no patches."""
    for index in range(PEOPLE):
        people_layers._layers_of(tiny.fit.seed, CAMERA, tiny.rendered_per_specimen, tmp_path, index)
    told: list[int] = []
    data = people_data(
        PEOPLE, tiny, CAMERA.resized(64, 64), tmp_path, workers=1,
        progress=lambda stage, done, total: told.append(done),
    )  # fmt: skip
    assert patched == list(range(PEOPLE))
    assert told == list(range(1, PEOPLE + 1))
    return data


def test_layers_add_up_to_the_image_where_nothing_has_moved(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_layers, "FEMUR_SD_DEG", 0.0)
    seen = []

    def spy(ct: Volume, camera: Camera, poses: torch.Tensor, **options: object) -> torch.Tensor:
        seen.append(poses)
        return render(ct, camera, poses, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(people_layers, "render", spy)
    layers = person_layers(volume, (1, 5, 6), CAMERA, 3, (0, 0))
    assert layers.attenuation.shape == (3, 4, 32, 32)
    whole = render(volume, CAMERA, seen[0])[:, 0]
    # Air between parts of trilinear grids takes a little of the borders.
    inside = torch.nn.functional.avg_pool2d(layers.attenuation.float().sum(1), 1)
    assert float((inside - whole).abs().mean()) < 0.05 * float(whole.mean())
    for image, mask in zip(layers.attenuation[0, 1:].float(), layers.masks[0], strict=True):
        assert mask.any()
        assert (image[mask] > 0).all()


def test_femurs_turn_about_their_own_joints(volume: Volume) -> None:
    still = people_layers._joints_mm(volume)
    assert set(still) == {5, 6}
    assert float(still[5][0]) > 0 > float(still[6][0])  # left is +x


def test_some_people_are_held_out(people: SegmentationData) -> None:
    assert people.people == PEOPLE
    assert people.roi_names == tuple(LABELS)
    assert len(people.layers) == PEOPLE - 2
    assert len(people.xrays) == 0
    assert len(people.held_out[0]) == 2 * 3  # of two people, three images each
    assert people.held_out_names == ()


def test_a_network_that_has_learnt_people_begins_any_fold(
    people: SegmentationData, tiny: SegmentationConfig, tmp_path: Path
) -> None:
    card = fit(segmentation_task(people, tiny), tmp_path / "people")
    assert card.people == PEOPLE
    assert read_card(tmp_path / "people").metrics.keys() >= {"dice"}
    fold = dataclasses.replace(people, people=0, held_out_names=("17-1882",))
    begun = segmentation_task(fold, tiny, begin_with=tmp_path / "people")
    assert begun.card(0, {}).people == 0
    fit(begun, tmp_path / "fold")
    with pytest.raises(InputError, match="must not have seen"):
        segmentation_task(
            dataclasses.replace(fold, held_out_names=("18-1109",)), tiny,
            begin_with=tmp_path / "fold",
        )  # fmt: skip


def test_so_few_are_refused(tiny: SegmentationConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="people must be at least 16, got 3"):
        people_data(3, tiny, CAMERA, tmp_path)
