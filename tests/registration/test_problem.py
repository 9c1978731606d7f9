"""From a problem to its levels: grids, terms, and what takes part."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import Tensor

from wsreg.registration.bodies import make_bodies
from wsreg.registration.config import LevelConfig
from wsreg.registration.problem import Problem, make_levels
from wsreg.registration.terms.image_term import LeastSquaresImageTerm
from wsreg.registration.terms.network_roi_term import NetworkRoiTerm
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.ties import TieConfig
from wsreg.rendering.prepared import PreparedCt
from wsreg.segmentation.rois import RoiTarget
from wsreg.similarity.ncc import GlobalNcc
from wsreg.volumes.parts import CtPart
from wsreg.volumes.volume import Volume


def with_levels(problem: Problem, *levels: LevelConfig, **changes: object) -> Problem:
    settings = dataclasses.replace(problem.settings, levels=levels, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(problem, settings=settings)


def with_rois(problem: Problem, rois: RoiTarget) -> Problem:
    first, *others = problem.views
    return dataclasses.replace(problem, views=(dataclasses.replace(first, rois=rois), *others))


@pytest.fixture(name="three", scope="module")
def _three(pair: Problem) -> Problem:
    sizes = ((12, 24.0), (16, 16.0), (32, 8.0))
    return with_levels(
        pair, *(LevelConfig(image_px=px, voxel_mm=mm, measure=GlobalNcc()) for px, mm in sizes)
    )


def test_levels_have_their_sizes_and_regions_those_of_the_next_coarser(three: Problem) -> None:
    levels = make_levels(three)
    assert [level.views[0].fixed.shape for level in levels] == [(10, 12), (14, 16), (28, 32)]
    for number, level in enumerate(levels):
        spacing = [body.volume.volume.spacing_mm[0] for body in level.bodies]
        assert spacing == pytest.approx([(24.0, 16.0, 8.0)[number]] * 2)
        for body, asked in zip(level.bodies, three.bodies, strict=True):
            assert body.pivot_mm is asked.pivot_mm
        grid = level.views[0].roi_grid
        assert grid is not None
        coarser = levels[max(number - 1, 0)]
        assert (grid.camera.rows, grid.camera.columns) == coarser.views[0].fixed.shape
        assert grid.bodies[0].volume.volume is coarser.bodies[0].volume.volume
        assert level.views[1].roi_grid is None
        term = level.views[0].roi_term
        assert isinstance(term, RenderedRoiTerm)
        assert term.regions.target.shape[1:] == coarser.views[0].fixed.shape


def test_the_finest_level_may_be_the_cts_own_grid(pair: Problem) -> None:
    own = LevelConfig(image_px=32, voxel_mm=None, measure=GlobalNcc())
    (level,) = make_levels(with_levels(pair, own))
    for body, asked in zip(level.bodies, pair.bodies, strict=True):
        volume = body.volume.volume
        assert torch.equal(volume.ct_from_voxel, pair.volume.ct_from_voxel)
        # Not averaged once more: its voxels are the CT's, or air.
        assert pair.volume.labels is not None
        there = torch.isin(pair.volume.labels, torch.tensor(asked.labels))
        assert torch.equal(volume.hu[there], pair.volume.hu[there])
        assert not bool(volume.attenuation[~there].any())


def test_only_the_first_levels_if_asked(three: Problem) -> None:
    assert len(make_levels(three, 1)) == 1
    assert make_levels(three, 1)[0].views[0].fixed.shape == (10, 12)


def test_regions_are_rendered_of_the_bodies_that_have_their_labels(pair: Problem) -> None:
    (level,) = make_levels(pair)
    grid = level.views[0].roi_grid
    assert grid is not None
    assert grid.labels == (((7, 8, 14), ()), ((), (9, 15)))


def test_regions_that_the_ct_lacks_take_no_part(pair: Problem, coarse: Volume) -> None:
    labels = coarse.labels
    assert labels is not None
    gone = torch.isin(labels, torch.tensor([9], dtype=labels.dtype))
    without = dataclasses.replace(coarse, labels=torch.where(gone, 0, labels))
    right = CtPart(kind="alone", groups=((15,),))
    bodies = (pair.bodies[0], dataclasses.replace(pair.bodies[1], part=right, labels=(15,)))
    rois = pair.views[0].rois
    assert rois is not None
    # The left femur is gone; of the other region the right one is left.
    some = with_rois(
        dataclasses.replace(pair, ct=PreparedCt(volume=without), bodies=bodies),
        RoiTarget(
            names=("left", "both"), masks=rois.masks[[1, 1]], labels=((9,), (9, 15))
        ),
    )  # fmt: skip
    (level,) = make_levels(some)
    term, grid = level.views[0].roi_term, level.views[0].roi_grid
    assert term is not None
    assert grid is not None
    assert term.regions.names == ("both",)
    assert grid.labels == (((),), ((15,),))
    none = with_rois(some, RoiTarget(names=("left",), masks=rois.masks[1:], labels=((9,),)))
    (level,) = make_levels(none)
    assert level.views[0].roi_term is None
    assert level.views[0].roi_grid is None
    assert [type(term) for term in level.views[0].terms] == [LeastSquaresImageTerm]


def test_a_network_sees_the_image_of_the_level_and_its_regions_that_show(three: Problem) -> None:
    def network(images: Tensor) -> Tensor:
        return torch.cat((images, 0.5 * images, 0.25 * images), dim=1)

    masks = torch.ones(3, 28, 32)
    masks[0] = 0.0
    rois = RoiTarget(names=("a", "b", "c"), masks=masks, moving_segmenter=network)
    problem = with_rois(three, rois)
    for level, size in zip(make_levels(problem), ((10, 12), (14, 16), (28, 32)), strict=True):
        view = level.views[0]
        term = view.roi_term
        assert isinstance(term, NetworkRoiTerm)
        assert view.roi_grid is None
        assert term.regions.names == ("b", "c")
        assert term.regions.target.shape == (2, *size)
        found = term.segmenter(torch.ones(1, 1, *size))
        assert found.amax(dim=(-2, -1)).tolist() == [[0.5, 0.25]]


def test_the_record_is_json(pair: Problem) -> None:
    asked = dataclasses.replace(pair, render_labels=(7, 8, 9, 14, 15))
    record = json.loads(json.dumps(asked.record(), allow_nan=False))
    assert record["rois"] == {"pelvis": [7, 8, 14], "femurs": [9, 15]}
    assert record["rois_moving"] == "rendered"
    assert record["render_labels"] == [7, 8, 9, 14, 15]
    assert record["view"] == "PA"


@pytest.fixture(name="apart", scope="module")
def _apart(pair: Problem) -> Problem:
    """Three bodies that move together on the first level, and by themselves on the second."""
    bodies = make_bodies(
        pair.ct, {"pelvis": (7, 8, 14), "femur": (9,)},
        pivot_mm=pair.volume.centre_mm, joints_mm={}, ties=TieConfig(),
    )  # fmt: skip
    masked = pair.views[1].radiograph.mask.clone()
    masked[:14] = False
    second = dataclasses.replace(
        pair.views[1], radiograph=dataclasses.replace(pair.views[1].radiograph, mask=masked)
    )
    problem = dataclasses.replace(
        pair, bodies=bodies, start=pair.start[:1].expand(3, 4, 4), views=(pair.views[0], second)
    )
    first = LevelConfig(image_px=16, voxel_mm=16.0, measure=GlobalNcc(), apart=False)
    return with_levels(problem, first, LevelConfig(image_px=32, voxel_mm=8.0, measure=GlobalNcc()))


def test_bodies_move_together_where_a_level_says_so(apart: Problem) -> None:
    coarse, fine = make_levels(apart)
    (whole,) = coarse.bodies
    assert whole.volume is apart.ct.levels((16.0, 8.0))[0]
    assert whole.pivot_mm is apart.bodies[0].pivot_mm
    assert coarse.ties is None
    assert len(fine.bodies) == len(apart.bodies)
    # Regions are of the bodies of the level that they are compared on, in both.
    for level, labels in (
        (coarse, (((7, 8, 14), (9, 15)),)),
        (fine, (((7, 8, 14), ()), ((), (9,)), ((), ()))),
    ):
        grid = level.views[0].roi_grid
        assert grid is not None
        assert grid.labels == labels


def test_ties_weigh_against_as_many_residuals_as_the_images_have(apart: Problem) -> None:
    """All of 28 x 32 pixels of the one, half of the other; six pixels count as one."""
    ties = make_levels(apart)[1].ties
    assert ties is not None
    assert ties.residuals == pytest.approx(28 * 32 * 1.5 / 6.0)
    assert ties.ties == tuple(body.tie for body in apart.bodies)
    assert torch.equal(ties.pivots_mm, torch.stack([body.pivot_mm for body in apart.bodies]))


def test_bodies_without_ties_have_none(pair: Problem) -> None:
    assert make_levels(pair)[0].ties is None


def test_the_record_of_several_bodies_renders_no_labels_alone(apart: Problem) -> None:
    assert apart.record()["render_labels"] == []
    assert [level["apart"] for level in apart.record()["levels"]] == [False, True]
