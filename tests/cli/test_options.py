from __future__ import annotations

import math

import pytest

from wsreg import CArmAngles, InputError
from wsreg.cli.options import parse_view


def test_views_are_names_or_degrees() -> None:
    assert parse_view("pa") == "PA"
    assert parse_view("-90, 30") == CArmAngles(
        primary_rad=-math.pi / 2, secondary_rad=math.radians(30)
    )


@pytest.mark.parametrize("text", ["", "front", "1", "1,2,3", "nan,0", "inf,0", "a,b"])
def test_other_views_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--view must be one of PA, AP"):
        parse_view(text)
