"""What image and regions each say of a level."""

from __future__ import annotations

import torch
from torch import Tensor

from wsreg.registration.level import Level
from wsreg.registration.regions import by_image, have_regions, weightless


def test_the_image_alone_has_no_regions(pair_level: Level, true_state: Tensor) -> None:
    assert have_regions([pair_level])
    (plain,) = by_image([pair_level])
    assert not have_regions([plain])
    (seen, _) = plain.project(true_state[None])
    assert seen.roi_lengths_mm.numel() == 0
    measured = [
        view.measure.loss(part.image)
        for view, part in zip(pair_level.views, pair_level.project(true_state[None]), strict=True)
    ]
    torch.testing.assert_close(plain.loss(true_state[None]), torch.stack(measured).sum(dim=0))


def test_levels_without_regions_are_left_as_they_are(pair_level: Level) -> None:
    (plain,) = by_image([pair_level])
    assert by_image([plain])[0] is plain


def test_weightless_regions_are_seen_and_weigh_nothing(
    pair_level: Level, pair: object, true_state: Tensor
) -> None:
    (plain,), (light,) = by_image([pair_level]), weightless([pair_level])
    moved = true_state[None] + 0.0
    moved[:, 0, 0, 3] += 15.0
    assert torch.equal(light.loss(moved), plain.loss(moved))
    assert float(pair_level.loss(moved)) > float(plain.loss(moved)) + 1e-3
    for a, b in zip(
        vars(light.linearize(moved)).values(), vars(plain.linearize(moved)).values(), strict=True
    ):
        assert torch.equal(a, b)
    term = light.views[0].roi_term
    assert term is not None
    assert 0.1 < float(term.dice(light.project(moved)[0])[0, 0]) < 0.95
