"""In which order the frames of a sequence are tried, and from where.

Forwards from frame to frame; backwards over what was lost; then by a search for each of the rest.
Nothing here knows images: the order follows from what the attempts before it gave, so that a run
that goes on from a journal of them takes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wsreg.geometry.rigid import exp_se3, inverse_rigid, log_se3
from wsreg.registration.sequence.step import Step, Way, best_of

Attempt = Callable[[int, Way, Sequence[Step]], Step]
"""Try a frame: (number, way, what was found before, the nearest first)."""

LONGEST_GAP = 4
"""Over how many frames a movement is thought to go on as it was."""
JUMPED = 2
"""After so many searches in a row that find nothing the next frame is taken as a single X-ray."""


def tried(count: int, attempt: Attempt) -> list[list[Step]]:
    """Return all attempts at each of ``count`` frames."""
    steps: list[list[Step]] = [[] for _ in range(count)]
    _forwards(steps, attempt)
    _backwards(steps, attempt)
    _searched(steps, attempt)
    return steps


def _forwards(steps: list[list[Step]], attempt: Attempt) -> None:
    """Follow the bodies from frame to frame.

    A single frame that is lost is left; where the next one is, too, a search goes on from there.
    """
    found: list[Step] = []
    lost_before, failed_searches = False, 0
    for number, here in enumerate(steps):
        begin = not found or failed_searches >= JUMPED
        here.append(attempt(number, "start" if begin else "tracked", found))
        if here[0].state is None:
            continue
        if here[0].lost and lost_before and not begin:
            here.append(attempt(number, "search", found))
            failed_searches += 1
        best = best_of(here)
        # the search takes up the pose anew: what it was before says nothing of the movement
        found = found if best.lost else [best] if best.way != "tracked" else [best, *found[:1]]
        failed_searches = failed_searches if best.lost else 0
        lost_before = best.lost and len(here) == 1 and not begin


def _backwards(steps: list[list[Step]], attempt: Attempt) -> None:
    """Try what was lost from the frames after it."""
    found: list[Step] = []
    for number in reversed(range(len(steps))):
        here = steps[number]
        if found and is_lost(here) and here[0].state is not None:
            here.append(attempt(number, "backwards", found))
        if not is_lost(here):
            found = [best_of(here), *found[:1]]


def _searched(steps: list[list[Step]], attempt: Attempt) -> None:
    """Search each of the rest around the nearest frame that was found."""
    found = [best_of(here) for here in steps if not is_lost(here)]
    for number, here in enumerate(steps):
        searched = any(step.way in ("search", "start") for step in here)
        if found and is_lost(here) and here[0].state is not None and not searched:
            nearest = min(found, key=lambda step: abs(step.frame - number))
            here.append(attempt(number, "search", [nearest]))


def is_lost(steps: Sequence[Step]) -> bool:
    """Return whether no attempt at a frame found it."""
    return all(step.lost for step in steps)


def starts_at(number: int, found: Sequence[Step]) -> Tensor:
    """Return states [N,K,4,4] to begin a frame with: the last answer, and where it was going.

    Args:
        number: of the frame.
        found: one or two frames beside it, the nearest first.
    """
    last = found[0].state
    assert last is not None
    if len(found) < 2:
        return last[None]
    before = found[1].state
    assert before is not None
    frames = number - found[0].frame
    between = found[0].frame - found[1].frame
    if max(abs(frames), abs(between)) > LONGEST_GAP:
        return last[None]
    return torch.stack((last, moved_on(before, last, frames / between)))


def moved_on(before: Tensor, last: Tensor, times: float) -> Tensor:
    """Return poses [K,4,4] moved on from ``last`` so many times as from ``before`` to it.

    Each turns about its own axes and goes along them at a constant rate (in SE(3)).
    """
    return last @ exp_se3(times * log_se3(inverse_rigid(before) @ last))
