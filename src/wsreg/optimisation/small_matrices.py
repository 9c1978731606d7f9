"""Linear algebra of matrices with a few rows, without a pool of threads.

LAPACK under torch takes all of its threads for a matrix of 6 x 6 and waits until they meet; on a
busy machine that takes milliseconds.  NumPy's solves small matrices where it is called.  Nor do its
bits depend, as torch's do, on where in memory a matrix happens to lie.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def solve_small(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Return x [B,P] with matrices [B,P,P] @ x = vectors [B,P]; the matrices must be regular."""
    solved = np.linalg.solve(matrices.cpu().numpy(), vectors.cpu().numpy()[..., None])[..., 0]
    return torch.from_numpy(solved).to(vectors)


def eigh_small(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues [...,P] and eigenvectors [...,P,P] of symmetric matrices."""
    values, vectors = np.linalg.eigh(matrices.cpu().numpy())
    return torch.from_numpy(values).to(matrices), torch.from_numpy(vectors).to(matrices)
