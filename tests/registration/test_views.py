"""Views: their sizes, and the sum of their terms."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.level import Level
from wsreg.registration.projection import Projection
from wsreg.registration.terms.image_term import LeastSquaresImageTerm
from wsreg.registration.terms.rendered_roi_term import RenderedRoiTerm
from wsreg.registration.views import View, shrunk


def view_of(rows: int, columns: int) -> View:
    camera = Camera(
        source_to_detector_mm=1000.0, rows=rows, columns=columns, pixel_spacing_mm=(1.0, 2.0)
    )
    image = torch.rand(rows, columns, generator=torch.Generator().manual_seed(0))
    return View(
        radiograph=Radiograph(image=image, mask=torch.ones(rows, columns, dtype=torch.bool)),
        camera=camera,
        camera_from_rig=torch.eye(4, dtype=torch.float64),
    )


@pytest.mark.parametrize(
    ("size", "longer_px", "expected"),
    [
        ((100, 80), 50, (50, 40)),
        ((80, 100), 50, (40, 50)),
        ((40, 30), 50, (40, 30)),  # smaller than asked for: as it is
        ((100, 10), 50, (50, 9)),  # never thinner than the windows
    ],
)
def test_the_longer_side_is_shrunk(
    size: tuple[int, int], longer_px: int, expected: tuple[int, int]
) -> None:
    view = view_of(*size)
    small = shrunk(view, longer_px)
    assert tuple(small.image.shape) == expected
    assert small.camera is not None
    assert (small.camera.rows, small.camera.columns) == expected
    # The same detector, in fewer pixels; the same brightness.
    height_mm = small.camera.rows * small.camera.pixel_spacing_mm[0]
    assert height_mm == pytest.approx(size[0] * 1.0)
    assert float(small.image.mean()) == pytest.approx(float(view.radiograph.image.mean()), rel=1e-4)


def test_terms_add_up(pair_level: Level, true_state: Tensor) -> None:
    view = pair_level.views[0]
    image, regions = view.terms
    assert isinstance(image, LeastSquaresImageTerm)
    assert isinstance(regions, RenderedRoiTerm)
    assert view.roi_term is regions
    assert view.reads_image
    seen = pair_level.project(true_state[None], derivatives=True)[0]
    assert float(view.loss(seen)) == pytest.approx(float(image.loss(seen) + regions.loss(seen)))
    model = view.linearize(seen)
    a, b = image.linearize(seen), regions.linearize(seen)
    torch.testing.assert_close(model.gradient, a.gradient + b.gradient)
    torch.testing.assert_close(model.normal_matrix, a.normal_matrix + b.normal_matrix)


def test_a_view_with_other_terms(pair_level: Level) -> None:
    image, regions = pair_level.views[0].terms
    assert pair_level.views[0].with_terms(image).roi_term is None
    alone = pair_level.views[0].with_terms(regions)
    assert not alone.reads_image
    assert alone.terms == (regions,)
    assert pair_level.views[1].roi_term is None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Darkness:
    """A term that has a loss and no more."""

    reads_image: ClassVar[bool] = True

    def loss(self, projection: Projection) -> Tensor:
        return projection.image.mean(dim=(-2, -1))


def test_a_term_without_least_squares_is_never_left_out_in_silence(
    pair_level: Level, true_state: Tensor
) -> None:
    view = pair_level.views[1].with_terms(*pair_level.views[1].terms, Darkness())
    seen = pair_level.project(true_state[None], derivatives=True)[1]
    expected = pair_level.views[1].loss(seen) + seen.image.mean()
    torch.testing.assert_close(view.loss(seen), expected)
    with pytest.raises(InputError, match="must have a least-squares form, Darkness"):
        view.linearize(seen)
