"""A CT made in Python whose numbers cannot be Hounsfield units is doubted."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from wsreg.registration.register import _doubts
from wsreg.rendering.prepared import PreparedCt
from wsreg.volumes.volume import Volume


@pytest.mark.parametrize(("slope", "offset"), [(1, 1000), (-1, 0), (0.5, -512)])
def test_numbers_of_another_scale_are_doubted(phantom: Volume, slope: float, offset: float) -> None:
    greys = phantom.hu.to(torch.float32) * slope + offset
    ct = PreparedCt(volume=dataclasses.replace(phantom, hu=greys))
    (doubt,) = _doubts(ct, [])
    assert doubt.startswith("The CT does not seem to hold Hounsfield units: its histogram")


def test_a_phantom_is_not_doubted(phantom: Volume) -> None:
    assert _doubts(PreparedCt(volume=phantom), []) == ()
