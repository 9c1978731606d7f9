"""What a registration takes is told before it is taken."""

from __future__ import annotations

import pytest
import torch

from wsreg.errors import InputError
from wsreg.rendering.memory import bytes_beside, check_memory
from wsreg.rendering.prepared import prepare
from wsreg.volumes.volume import Volume


def volume(kind: torch.dtype) -> Volume:
    return Volume(hu=torch.zeros((10, 20, 30), dtype=kind), ct_from_voxel=torch.eye(4))


def test_bytes_are_those_of_the_voxels_by_kind() -> None:
    whole, real = volume(torch.int16), volume(torch.float32)
    assert bytes_beside(whole, several=False, averaged=False) == 6 * 6000
    assert bytes_beside(whole, several=True, averaged=False) == 16 * 6000
    assert bytes_beside(real, several=True, averaged=False) == 36 * 6000
    assert bytes_beside(whole, several=False, averaged=True) < 6 * 6000


def test_what_does_not_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsreg.rendering.memory.free_bytes", lambda: 96_000)
    check_memory(volume(torch.int16), several=True, averaged=False)
    monkeypatch.setattr("wsreg.rendering.memory.free_bytes", lambda: 95_999)
    with pytest.raises(
        InputError,
        match=r"volume must fit into memory with what is made of it: its 30 x 20 x 10 voxels take "
        r"another 0.0 GB, and 0.0 GB are free; .*; as one body \(bodies none\) it takes 0.0 GB",
    ):
        check_memory(volume(torch.int16), several=True, averaged=False)
    monkeypatch.setattr("wsreg.rendering.memory.free_bytes", lambda: 0)
    with pytest.raises(InputError, match=r"larger voxels, it takes less$"):
        prepare(volume(torch.int16))


def test_a_ct_that_is_prepared_is_not_refused_later(monkeypatch: pytest.MonkeyPatch) -> None:
    ct = prepare(volume(torch.int16))
    monkeypatch.setattr("wsreg.rendering.memory.free_bytes", lambda: 0)
    ct.check_memory(several=False)
    with pytest.raises(InputError, match="must fit into memory"):
        ct.check_memory(several=True)
