"""Small matrices without torch's threads: the same as torch's."""

from __future__ import annotations

import pytest
import torch

from wsreg.optimisation.small_matrices import eigh_small, solve_small


@pytest.mark.parametrize("size", [1, 6, 24])
def test_they_are_what_torch_makes_of_them(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    root = torch.randn(3, size, size, generator=generator, dtype=torch.float64)
    matrices = root @ root.mT + torch.eye(size, dtype=torch.float64)
    vectors = torch.randn(3, size, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(
        solve_small(matrices, vectors), torch.linalg.solve(matrices, vectors)
    )
    values, axes = eigh_small(matrices)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrices))
    torch.testing.assert_close(axes @ torch.diag_embed(values) @ axes.mT, matrices)


def test_by_hand() -> None:
    matrix = torch.tensor([[[2.0, 0.0], [0.0, 4.0]]], dtype=torch.float64)
    assert solve_small(matrix, torch.tensor([[6.0, 4.0]], dtype=torch.float64)).tolist() == [
        [3.0, 1.0]
    ]
    assert eigh_small(matrix)[0].tolist() == [[2.0, 4.0]]


def test_no_matrix_at_all() -> None:
    """Of a loss without parameters."""
    values, axes = eigh_small(torch.empty(2, 0, 0, dtype=torch.float64))
    assert values.shape == (2, 0)
    assert axes.shape == (2, 0, 0)
