"""Triangle surfaces of bones: pieces, volumes, silhouettes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def unit(vector: FloatArray) -> FloatArray:
    """Return a vector at length 1."""
    result: FloatArray = vector / np.linalg.norm(vector)
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A triangle mesh.

    Args:
        vertices_mm: [V,3] LPS mm.
        triangles: [T,3] vertex numbers; the order of corners need not be consistent.
    """

    vertices_mm: FloatArray
    triangles: IntArray

    def of(self, triangles: IntArray) -> Surface:
        """Return the part made of these triangles, without the vertices that it does not use."""
        used, renumbered = np.unique(triangles, return_inverse=True)
        return Surface(
            vertices_mm=self.vertices_mm[used], triangles=renumbered.reshape(triangles.shape)
        )

    def moved(self, matrix: FloatArray) -> Surface:
        """Return the surface under a [4,4] affine."""
        vertices = self.vertices_mm @ matrix[:3, :3].T + matrix[:3, 3]
        return Surface(vertices_mm=vertices, triangles=self.triangles)

    def is_watertight(self) -> bool:
        """Tell whether every edge belongs to exactly two triangles."""
        corners = np.sort(self.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, counts = np.unique(corners, axis=0, return_counts=True)
        return bool((counts == 2).all())


def connected_pieces(triangles: IntArray) -> list[IntArray]:
    """Return triangles [T,3] in groups that share vertices, largest group first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = int(triangles.max()) + 1
    edges = triangles[:, [[0, 1], [1, 2]]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
    _, piece_of = connected_components(graph, directed=False)
    groups = [triangles[piece_of[triangles[:, 0]] == piece] for piece in np.unique(piece_of)]
    return sorted((group for group in groups if len(group)), key=len, reverse=True)
