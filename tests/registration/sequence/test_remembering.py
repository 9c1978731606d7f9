from __future__ import annotations

import torch

from wsreg.registration.level import Level
from wsreg.registration.problem import Problem
from wsreg.registration.regions import by_image
from wsreg.registration.sequence.remembering import remembering
from wsreg.registration.verdict.evaluation import evaluate


def test_what_was_seen_is_not_projected_again(pair: Problem, pair_level: Level) -> None:
    (plain,) = by_image([pair_level])
    level = remembering(plain)
    level.linearize(pair.start[None])
    assert len(level.seen) == 1
    found, asked = level.evaluation(pair.start), evaluate(plain, pair.start, derivatives=True)
    assert found.projections is level.seen[0][1]
    assert found.loss == asked.loss
    assert found.gradient_agreements == asked.gradient_agreements
    one, other = found.image_model(), asked.image_model()
    assert one is not None
    assert other is not None
    torch.testing.assert_close(one.normal_matrix, other.normal_matrix, rtol=0, atol=0)


def test_what_was_not_seen_is_projected(pair: Problem, pair_level: Level) -> None:
    (plain,) = by_image([pair_level])
    level = remembering(plain)
    level.linearize(torch.stack((pair.start, pair.start)))
    level.loss(pair.start[None])
    assert level.seen == []
    assert level.evaluation(pair.start).loss == evaluate(plain, pair.start, derivatives=True).loss
