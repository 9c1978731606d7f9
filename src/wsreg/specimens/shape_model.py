"""People from the LLP26 statistical shape model: pelvis and left femur, 26 modes of variation.

The model (package ``musculoskeletal-models``, MPL-2.0) holds nodes of curved surface patches:
Lagrange quadrilaterals and triangles of third and fourth order.  A triangle mesh of them has
vertices that are linear in the nodes, so one sparse matrix triangulates every person.

Source: J. Zhang, D. Malcolm, J. Hislop-Jambrich, C. D. L. Thomas, P. M. F. Nielsen, "An
anatomical region-based statistical shape model of the human femur", CMBBE: Imaging and
Visualization 2(3), 2014, and the GIAS3 software that the model's files belong to.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsreg.errors import WsregError
from wsreg.specimens.surface import Surface, connected_pieces

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PELVIS_NODES = slice(0, 1946)
LEFT_FEMUR_NODES = slice(1946, 2580)
PATCH_DIVISIONS = 6
"""Straight segments along each side of a patch: facets of about 2 mm."""

_QUADRILATERALS = {"quad44": (3, 3), "quad54": (4, 3), "quad55": (4, 4)}
_TRIANGLES = {"tri10": 3, "tri15": 4}


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapeModel:
    """Means and modes of the nodes, LPS mm.

    Args:
        mean: [N,3] nodes of the mean person.
        modes: [K,N,3] unit modes.
        variances: [K] of each mode, mm^2.
        people: [26,K] scores of the people whom the model was made from.
    """

    mean: FloatArray
    modes: FloatArray
    variances: FloatArray
    people: FloatArray

    def nodes(self, scores: FloatArray) -> FloatArray:
        """Return [N,3] nodes of the person with these scores [k <= K], in standard deviations."""
        amplitudes = scores * np.sqrt(self.variances[: len(scores)])
        return self.mean + np.tensordot(amplitudes, self.modes[: len(scores)], axes=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMesh:
    """The triangulation that all people share.

    Args:
        node_indices: [V,P] the nodes that each vertex depends on.
        weights: [V,P] and how much.
        triangles: [T,3] vertices.
    """

    node_indices: IntArray
    weights: FloatArray
    triangles: IntArray

    def surface(self, nodes: FloatArray) -> Surface:
        """Return the surface through nodes [N,3]."""
        vertices = np.einsum("vp,vpc->vc", self.weights, nodes[self.node_indices])
        return Surface(vertices_mm=vertices, triangles=self.triangles)


@cache
def load_shape_model() -> ShapeModel:
    """Load the model of 26 people.

    Raises:
        WsregError: if the package that holds it is not whole.
    """
    with _model_file("shape_models/LLP26_rigid.pc").open("rb") as stream:
        record = _ArrayUnpickler(stream, encoding="latin1").load()
    mean = np.asarray(record["mean"], dtype=np.float64).reshape(3, -1).T
    modes = np.asarray(record["modes"], dtype=np.float64)
    modes = modes.reshape(3, mean.shape[0], -1).transpose(2, 1, 0)
    variances = np.asarray(record["weights"], dtype=np.float64)
    people = np.asarray(record["projectedWeights"], dtype=np.float64).T / np.sqrt(variances)
    return ShapeModel(mean=mean, modes=modes, variances=variances, people=people)


@cache
def pelvis_mesh() -> PatchMesh:
    """Triangulate ``PELVIS_NODES``: both hemipelves and the sacrum, not joined."""
    mean = load_shape_model().mean[PELVIS_NODES]
    return _triangulated("atlas_meshes/pelvis_combined_cubic_flat", mean)


@cache
def pelvis_pieces() -> tuple[IntArray, IntArray, IntArray]:
    """Return triangles of ``pelvis_mesh`` by bone: left hemipelvis, right hemipelvis, sacrum.

    Raises:
        WsregError: if the mesh does not fall into three pieces.
    """
    mesh = pelvis_mesh()
    vertices = mesh.surface(load_shape_model().mean[PELVIS_NODES]).vertices_mm
    pieces = connected_pieces(mesh.triangles)
    if len(pieces) != 3:
        raise WsregError(f"the shape model's pelvis must have 3 pieces, got {len(pieces)}")
    # +x is the left side; the sacrum lies between the hips
    right, sacrum, left = sorted(pieces, key=lambda piece: float(vertices[piece, 0].mean()))
    return left, right, sacrum


@cache
def femur_mesh() -> PatchMesh:
    """Triangulate ``LEFT_FEMUR_NODES``."""
    mean = load_shape_model().mean[LEFT_FEMUR_NODES]
    return _triangulated("atlas_meshes/femur_left_quartic_flat", mean)


class _ArrayUnpickler(pickle.Unpickler):
    """Read the model's pickled dictionary of arrays; refuse anything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"shape model: {module}.{name} is not an array")


def _model_file(name: str) -> Path:
    spec = find_spec("musculoskeletal.models")
    path = Path(spec.origin).parent / name if spec and spec.origin else Path(name)
    if not path.is_file():
        raise WsregError(f"the package musculoskeletal-models must hold {name}, and does not")
    return path


def _triangulated(name: str, mean: FloatArray) -> PatchMesh:
    """Cut every patch into triangles and join the vertices that neighbours share."""
    patches = _patches(name)
    widest = max(len(nodes) for _, nodes in patches)
    indices, weights, triangles, start = [], [], [], 0
    for kind, nodes in patches:
        basis, cells = _patch_grid(kind)
        padding = widest - len(nodes)
        indices.append(np.tile(np.pad(nodes, (0, padding)), (len(basis), 1)))
        weights.append(np.pad(basis, ((0, 0), (0, padding))))
        triangles.append(cells + start)
        start += len(basis)
    mesh = PatchMesh(
        node_indices=np.concatenate(indices),
        weights=np.concatenate(weights),
        triangles=np.concatenate(triangles),
    )
    return _joined(mesh, mean)


def _joined(mesh: PatchMesh, mean: FloatArray) -> PatchMesh:
    """Make one vertex where patches meet: along a common side they are the same in every person."""
    vertices = mesh.surface(mean).vertices_mm
    _, first, joined = np.unique(
        np.round(vertices, 4), axis=0, return_index=True, return_inverse=True
    )
    triangles = joined.ravel()[mesh.triangles]
    a, b, c = triangles.T
    return PatchMesh(
        node_indices=mesh.node_indices[first],
        weights=mesh.weights[first],
        triangles=triangles[(a != b) & (b != c) & (c != a)],  # patches with a side of no length
    )


def _patches(name: str) -> list[tuple[str, IntArray]]:
    """Return kind and node numbers of each patch.

    The files name the points of each patch and which of them coincide; nodes are numbered in the
    order in which a walk over patches and points first meets them.
    """
    mesh = json.loads(_model_file(f"{name}.mesh").read_text())
    kinds = {int(patch): text.split()[1] for patch, text in mesh["elements"].items()}
    links = {_point(key): value for key, value in mesh["connectivity"].items()}
    number: dict[tuple[int, int], int] = {}
    nodes = 0
    for point in sorted(links):
        if point not in number:
            for same in (point, *map(_point, links[point].split())):
                number[same] = nodes
            nodes += 1
    points_of: dict[int, list[int]] = {patch: [] for patch in kinds}
    for patch, point_number in sorted(number):
        points_of[patch].append(number[patch, point_number])
    return [(kinds[patch], np.array(points_of[patch])) for patch in sorted(kinds)]


def _point(text: str) -> tuple[int, int]:
    patch, point = text.split("_")
    return int(patch), int(point)


@cache
def _patch_grid(kind: str) -> tuple[FloatArray, IntArray]:
    """Return basis values [V,P] at a regular grid over a patch, and that grid's triangles [T,3]."""
    if kind in _QUADRILATERALS:
        return _quadrilateral_grid(*_QUADRILATERALS[kind])
    return _triangle_grid(_TRIANGLES[kind])


def _quadrilateral_grid(order_u: int, order_v: int) -> tuple[FloatArray, IntArray]:
    parameter = np.linspace(0.0, 1.0, PATCH_DIVISIONS + 1)
    along_u, along_v = _lagrange(order_u, parameter), _lagrange(order_v, parameter)
    basis = np.einsum("jb,ia->jiba", along_v, along_u)  # u runs fastest, in nodes and vertices
    row = PATCH_DIVISIONS + 1
    corner = np.add.outer(np.arange(PATCH_DIVISIONS) * row, np.arange(PATCH_DIVISIONS)).ravel()
    lower = np.stack((corner, corner + 1, corner + row + 1), axis=-1)
    upper = np.stack((corner, corner + row + 1, corner + row), axis=-1)
    return basis.reshape(row * row, -1), np.concatenate((lower, upper))


def _triangle_grid(order: int) -> tuple[FloatArray, IntArray]:
    points, cells = _triangle_lattice(PATCH_DIVISIONS)
    nodes, _ = _triangle_lattice(order)
    basis = _monomials(order, points) @ np.linalg.inv(_monomials(order, nodes))
    return basis, cells


def _triangle_lattice(divisions: int) -> tuple[FloatArray, IntArray]:
    """Return points (u,v) of a triangular lattice, row by row along u, and its triangles."""
    number = {
        (i, j): index
        for index, (j, i) in enumerate(
            (j, i) for j in range(divisions + 1) for i in range(divisions + 1 - j)
        )
    }
    cells = [
        (number[i, j], number[i + 1, j], number[i, j + 1]) for i, j in number if i + j < divisions
    ] + [
        (number[i + 1, j], number[i + 1, j + 1], number[i, j + 1])
        for i, j in number
        if i + j < divisions - 1
    ]
    return np.array(list(number), dtype=np.float64) / divisions, np.array(cells)


def _lagrange(order: int, parameter: FloatArray) -> FloatArray:
    """Return [n,order+1] Lagrange polynomials of equidistant nodes on [0,1]."""
    powers = np.arange(order + 1)
    nodes = powers / order
    return (parameter[:, None] ** powers) @ np.linalg.inv(nodes[:, None] ** powers)


def _monomials(order: int, points: FloatArray) -> FloatArray:
    u, v = points.T
    return np.stack([u**i * v**j for j in range(order + 1) for i in range(order + 1 - j)], axis=-1)
