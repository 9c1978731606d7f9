from __future__ import annotations

import pytest

from wsreg.files.plans import differing_keys, plain_plan


def test_a_plan_is_what_a_file_gives_back() -> None:
    assert plain_plan({"sizes": (1, 2), "of": {3: "a"}}) == {"sizes": [1, 2], "of": {"3": "a"}}
    with pytest.raises(ValueError, match="JSON"):
        plain_plan({"x": float("nan")})


def test_every_key_that_differs_is_named() -> None:
    plan = {"b": 1, "a": (1, 2), "same": None}
    assert differing_keys({"b": 1, "a": [1, 2], "same": None}, plan) == ()
    assert differing_keys({"b": 2, "a": [1], "more": None, "same": None}, plan) == (
        "a", "b", "more",
    )  # fmt: skip
    assert differing_keys({"b": 1, "a": [1, 2]}, plan) == ("same",)  # absent is not null
    assert differing_keys([1], plan) == ("everything",)
