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


def test_what_is_not_valid_changes_nothing() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 1, 48, 48)
    valid = torch.ones(2, 1, 48, 48, dtype=torch.bool)
    valid[0, :, :, :20] = False
    blades = torch.where(valid, image, 40.0)
    for one, other in zip(normalised(image, valid), normalised(blades, valid), strict=True):
        torch.testing.assert_close(one, other)
    assert not normalised(image, valid)[0, :, :, :20].any()
    assert bool(normalised(image, valid)[0, :, :, 21:].any())


def test_where_all_is_valid_it_is_as_without_a_mask() -> None:
    torch.manual_seed(1)
    image = torch.rand(2, 1, 40, 48)
    everywhere = torch.ones_like(image, dtype=torch.bool)
    torch.testing.assert_close(normalised(image, everywhere), normalised(image))


def test_a_middle_that_is_covered_leaves_the_scale_to_the_rest() -> None:
    image = torch.linspace(0.0, 1.0, 32)[None, None, None].expand(1, 1, 32, 32)
    valid = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    assert not normalised(image, valid).any()  # nothing is seen, nothing is told
    valid[..., :2, :] = True
    seen = normalised(image, valid)[0, 0, 0]
    assert bool((seen.diff() > 0).all())
