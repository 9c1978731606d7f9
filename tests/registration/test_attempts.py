"""Which starts are tried, and turned how, on landscapes made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.registration.landscapes import (
    Asked,
    Ground,
    at,
    place,
    seen,
    solved,
    started,
    towards,
    tried,
)

from wsreg.registration import solver
from wsreg.registration.attempts import QUARTER, Attempt

pytestmark = pytest.mark.usefixtures("half_a_loss_is_lost")


def test_the_order_of_attempts() -> None:
    pose, search = Attempt(init="pose"), Attempt(init="search")
    more = [Attempt(init="search", wide=True), Attempt(init="search", quarter=True)]
    assert tried() == [pose, search, *more]
    assert tried(init="search") == [search, *more]
    led, led_search = Attempt(init="dicom", led=True), Attempt(init="search", led=True)
    plain = Attempt(init="dicom")
    assert tried((False, True), init="dicom") == [plain, led, search, led_search, *more]
    assert tried((True, False), init="dicom") == [led, plain, search, led_search, *more]
    assert tried((False, True), init="search") == [search, led_search, *more]


def test_a_single_bone_with_a_pose_is_not_searched_for() -> None:
    bone: dict[str, Any] = {"render_labels": (5,)}
    assert tried(**bone) == [Attempt(init="pose")]
    assert tried((False, True), **bone) == [Attempt(init="pose"), Attempt(init="pose", led=True)]
    assert tried(init="search", **bone) == tried(init="search")


def test_a_lost_start_widens_into_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, pose=[0.0])
    level = Ground(towards(35.0))
    found = solved(Asked(), level)
    assert abs(place(found) - 35.0) < 15.0
    first, again, *searched = level.refined
    assert (first, again) == ([0.0], [0.0])  # one level is the coarsest and the finest
    assert len(searched[0]) == 6  # the best of the search
    assert searched[1][0] == place(found)


def test_what_lies_farther_around_is_found_by_the_second_search_alone() -> None:
    """Places are up to 60 mm from the view's, then up to 105 mm, of four times as many."""
    level = Ground(towards(95.0))
    found = solved(Asked(init="search"), level)
    assert abs(place(found) - 95.0) < 10.0
    first, *_ = level.refined
    assert max(abs(x) for x in first) <= 60.0
    assert max(len(some) for some in level.refined) == 24


def test_a_single_bone_is_not_searched_beyond_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = started(monkeypatch, pose=[0.0], search=[30.0])
    monkeypatch.setattr(solver, "near_its_start", lambda answer, clock: answer, raising=False)
    assert place(solved(Asked(render_labels=(5,)), Ground(towards(35.0)))) == 0.0
    assert [name for name, _ in asked] == ["pose"]
    assert place(solved(Asked(render_labels=(5,), init="search"), Ground(towards(35.0)))) == 30.0


def test_a_good_start_is_not_searched_around(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, pose=[0.0])
    coarse, fine = Ground(towards(5.0)), Ground(towards(5.0))
    found = solved(Asked(), coarse, fine)
    assert place(found) == 0.0
    assert (coarse.refined, fine.refined) == ([[0.0]], [[0.0]])
    assert found.renders == 2
    assert found.other_reading is None


def test_a_search_that_finds_nothing_better_does_not_replace_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The start is lost, but all places around it are worse; all that was done is counted."""
    started(monkeypatch, pose=[0.0], search=[30.0, 40.0])
    level = Ground(lambda x: 0.6 + 0.001 * x.abs())
    found = solved(Asked(), level)
    assert place(found) == 0.0
    assert level.refined == [[0.0], [0.0], *[[30.0, 40.0]] * 6]
    assert found.renders == 14


def test_a_search_looks_farther_around_then_at_the_image_turned_by_a_quarter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = started(monkeypatch, search=[0.0])
    solved(Asked(init="search"), Ground(lambda x: x + 0.6))
    assert [name for name, _ in asked] == ["search", "search", "search"]
    (_, first), (_, wide), (_, second) = asked
    assert torch.equal(first, at(0.0)[0])
    assert torch.equal(wide, first)
    assert torch.equal(second, QUARTER @ first)
    # What points along the columns then points along the rows.
    x = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    assert (second[0] @ x).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_what_a_start_of_the_header_finds_ends_the_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = started(monkeypatch, dicom=[0.0], search=[5.0])
    assert place(solved(Asked(init="dicom"), Ground(towards(0.0)))) == 0.0
    assert place(solved(Asked(init="dicom"), Ground(towards(30.0)))) == 5.0
    assert [name for name, _ in asked] == ["dicom", "dicom", *["search"] * 3]


TURNED = {
    ("L", "P"): [[1, 0], [0, 1]],
    ("A", "L"): [[0, -1], [1, 0]],
    ("R", "A"): [[-1, 0], [0, -1]],
    ("P", "R"): [[0, 1], [-1, 0]],
}  # fmt: skip
"""L and P components of where columns and rows of the image run, in the order of quarter turns."""


@pytest.mark.parametrize("init", ["search", "dicom", "pose"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_the_header_turns_what_is_not_a_given_pose(
    monkeypatch: pytest.MonkeyPatch, init: str, mirrored: bool, quarters: int
) -> None:
    """Columns run to the left and rows to the back in the view that starts; then by a quarter more.

    A mirrored image has its columns the other way.
    """
    asked = started(monkeypatch, search=[0.0], dicom=[0.0], pose=[0.0])
    columns, rows = list(TURNED)[quarters]
    header = {"L": "R", "R": "L", "A": "P", "P": "A"}[columns] if mirrored else columns, rows
    solved(Asked(init=init, views=(seen(header), seen())), Ground(torch.ones_like))
    turns = [start[0, :2, :2].tolist() for _, start in asked]
    right = list(TURNED.values())
    as_said, quarter_more = right[quarters], right[(quarters + 1) % 4]
    first = {"search": [], "dicom": [as_said], "pose": [right[0]]}[init]
    assert turns == [*first, as_said, as_said, quarter_more]


@pytest.mark.parametrize("header", [None, ("L", "X"), ("A", "H")])
def test_a_header_that_tells_nothing_turns_nothing(
    monkeypatch: pytest.MonkeyPatch, header: tuple[str, str] | None
) -> None:
    """Along the rays lies neither the columns' nor the rows' direction."""
    asked = started(monkeypatch, search=[0.0])
    solved(Asked(init="search", views=(seen(header),) * 2), Ground(torch.ones_like))
    (_, first), _, (_, second) = asked
    assert torch.equal(first, at(0.0)[0])
    assert torch.equal(second, QUARTER @ first)
