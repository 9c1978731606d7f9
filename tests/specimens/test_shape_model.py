from __future__ import annotations

import pickle

import numpy as np
import pytest

from wsreg.specimens import shape_model
from wsreg.specimens.shape_model import (
    LEFT_FEMUR_NODES,
    PELVIS_NODES,
    femur_mesh,
    load_shape_model,
    pelvis_mesh,
    pelvis_pieces,
)


def test_no_scores_give_the_mean_and_a_score_moves_by_its_deviation() -> None:
    model = load_shape_model()
    np.testing.assert_array_equal(model.nodes(np.zeros(26)), model.mean)
    moved = model.nodes(np.array([0.0, 2.0])) - model.mean
    np.testing.assert_allclose((moved**2).sum(), 4.0 * model.variances[1], rtol=1e-6)


def test_scores_are_in_standard_deviations_of_the_26_people() -> None:
    people = load_shape_model().people
    assert people.shape == (26, 26)
    np.testing.assert_allclose(people[:, :10].mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(people[:, :10].std(axis=0, ddof=1), 1.0, rtol=0.02)


def test_a_patch_basis_sums_to_one_and_is_one_at_its_nodes() -> None:
    for kind in ("quad44", "quad54", "quad55", "tri10", "tri15"):
        basis, triangles = shape_model._patch_grid(kind)
        np.testing.assert_allclose(basis.sum(axis=1), 1.0, atol=1e-9)
        assert triangles.max() == len(basis) - 1
    corners = [0, 6, 42, 48]  # of the 7 x 7 grid, u fastest
    np.testing.assert_allclose(
        shape_model._patch_grid("quad44")[0][corners], np.eye(16)[[0, 3, 12, 15]], atol=1e-9
    )


def test_bones_are_watertight_and_on_their_sides() -> None:
    model, mesh = load_shape_model(), pelvis_mesh()
    pelvis = mesh.surface(model.mean[PELVIS_NODES])
    left, right, sacrum = (pelvis.of(piece) for piece in pelvis_pieces())
    assert left.is_watertight()
    assert right.is_watertight()
    assert sacrum.is_watertight()
    x = [bone.vertices_mm[:, 0].mean() for bone in (right, sacrum, left)]
    assert x == sorted(x)
    femur = femur_mesh().surface(model.mean[LEFT_FEMUR_NODES])
    assert femur.is_watertight()
    length_mm = np.ptp(femur.vertices_mm[:, 2])
    assert 400.0 < length_mm < 470.0


def test_the_reader_refuses_code_in_the_pickle(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import os

    path = tmp_path / "bad.pc"
    path.write_bytes(pickle.dumps(os.getcwd))
    with path.open("rb") as stream, pytest.raises(pickle.UnpicklingError, match="not an array"):
        shape_model._ArrayUnpickler(stream).load()
