from __future__ import annotations

import torch

from wsreg.networks.normalisation import normalised


def image() -> torch.Tensor:
    return torch.rand(1, 1, 24, 30, generator=torch.Generator().manual_seed(1))


def test_neither_unit_nor_offset_matters() -> None:
    assert torch.allclose(normalised(image()), normalised(30.0 * image() + 4.0), atol=1e-4)


def test_derivatives_to_the_image_match_central_differences() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1, 2, 12, 12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: (normalised(x) * weights).sum(), picture)


def test_few_extreme_pixels_do_not_set_the_scale() -> None:
    picture = image()
    with_metal = picture.clone()
    with_metal[0, 0, :1, :10] = 50.0
    same = (normalised(picture) - normalised(with_metal))[0, 0, 1:].abs().max()
    assert float(same) < 0.1


def test_a_collimator_does_not_set_the_scale() -> None:
    picture = image()
    column, row = torch.meshgrid(
        torch.linspace(-1, 1, 30), torch.linspace(-1, 1, 24), indexing="xy"
    )
    middle = column.square() + row.square() <= 0.75**2
    behind_lead = torch.where(middle, picture, 50.0)
    assert torch.equal(normalised(picture)[0, 0, middle], normalised(behind_lead)[0, 0, middle])


def test_local_contrast_follows_neither_thickness_nor_its_effect_on_contrast() -> None:
    texture = torch.rand(48, 48, generator=torch.Generator().manual_seed(1)).round()
    thickness = torch.linspace(1.0, 3.0, 48)
    contrast = normalised((texture * 2.0 + thickness * 0.5)[None, None])[0, 1]
    thin, thick = contrast[8:-8, 8:16], contrast[8:-8, -16:-8]
    assert abs(float(thin.mean() - thick.mean())) < 0.15
    assert torch.equal(contrast[8:-8, 8:-8] > 0.0, texture[8:-8, 8:-8] > 0.5)


def test_large_images_are_read_in_no_time() -> None:
    found = normalised(torch.rand(1, 1, 1500, 1200, generator=torch.Generator().manual_seed(1)))
    assert found.shape == (1, 2, 1500, 1200)
    assert bool(torch.isfinite(found).all())
