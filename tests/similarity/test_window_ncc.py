"""NCC in windows: known values, no bias, the mask, the model against autograd and brute force."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.similarity.window_ncc import (
    WindowConfig,
    Windows,
    linearize_window_loss,
    linearize_window_loss_reference,
    prepare_windows,
    window_loss,
    window_similarities,
    window_similarity,
)

WINDOWS = [(None, 1), (5, 1), (9, 3), (8, 2), (3, 1)]
PLAIN = WindowConfig(robust_scale=0.0)
CONFIG = WindowConfig()
HEIGHT, WIDTH = 24, 31


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Float64: fixed [H,W], moving [3,H,W], jacobian [3,H,W,P], and mask [H,W] bool."""

    fixed: Tensor
    moving: Tensor
    jacobian: Tensor
    mask: Tensor


def smooth(generator: torch.Generator, *shape: int, height: int, width: int) -> Tensor:
    """Noise [...,H,W] averaged over 5 x 5 pixels, float64."""
    noise = torch.randn(*shape, height + 4, width + 4, generator=generator, dtype=torch.float64)
    flat = noise.reshape(-1, 1, height + 4, width + 4)
    return torch.nn.functional.avg_pool2d(flat, 5, 1).reshape(*shape, height, width)


@pytest.fixture(name="images", scope="module")
def _images() -> Images:
    """Moving images like the fixed one, less and less; a corner is masked out."""
    generator = torch.Generator().manual_seed(0)
    fixed = smooth(generator, height=HEIGHT, width=WIDTH) + 2.0
    others = smooth(generator, 3, height=HEIGHT, width=WIDTH)
    like = torch.tensor([0.3, 0.6, 1.0], dtype=torch.float64)[:, None, None]
    slopes = smooth(generator, 3, 6, height=HEIGHT, width=WIDTH)
    mask = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    mask[:9, :7] = False
    return Images(
        fixed=fixed, moving=fixed + like * others, jacobian=slopes.movedim(1, -1), mask=mask
    )


def prepared(
    images: Images, size: int | None, stride: int, config: WindowConfig = CONFIG
) -> Windows:
    return prepare_windows(images.fixed, images.mask, size, config, stride)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_a_perfect_match_loses_nothing_and_pulls_nowhere(
    images: Images, size: int | None, stride: int, masked: bool
) -> None:
    """Brightness and contrast do not matter, whatever the jacobian is."""
    mask = images.mask if masked else torch.ones_like(images.mask)
    windows = prepare_windows(images.fixed, mask, size, CONFIG, stride)
    same = torch.stack((images.fixed, 3.0 * images.fixed + 20.0, 1e-3 * images.fixed - 7.0))
    contrast = same.std(dim=(1, 2))[:, None, None, None]
    model = linearize_window_loss(windows, same, contrast * images.jacobian)
    zero = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(window_loss(windows, same), zero, atol=1e-9, rtol=0)
    torch.testing.assert_close(window_similarity(windows, same), zero + 1.0, atol=1e-9, rtol=0)
    torch.testing.assert_close(model.value, zero, atol=1e-9, rtol=0)
    torch.testing.assert_close(model.gradient, zero[:, None].expand(3, 6), atol=1e-8, rtol=0)
    assert float(model.normal_matrix.diagonal(dim1=-2, dim2=-1).min()) > 1e-2
    # The kernel sees the same in single precision.
    single = prepare_windows(images.fixed.float(), mask, size, CONFIG, stride)
    kernel = linearize_window_loss(single, same[:2].float(), images.jacobian[:2].float())
    assert float(kernel.value.abs().max()) < 1e-5
    assert float(kernel.gradient.abs().max()) < 1e-4
    assert float((window_similarity(single, same[:2].float()) - 1.0).abs().max()) < 1e-5


@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_a_negative_is_as_unlike_as_can_be(images: Images, size: int | None, stride: int) -> None:
    """Of the extended vectors only the floor's own component keeps its sign."""
    windows = prepared(images, size, stride)
    nccs = window_similarities(windows, -images.fixed[None])[0]
    assert float(nccs.min()) >= -1.0 - 1e-9
    assert float(window_similarity(windows, -images.fixed[None])) < -0.9


def test_global_ncc_is_the_correlation_coefficient(images: Images) -> None:
    windows = prepare_windows(images.fixed, images.mask, None, CONFIG)
    pairs = torch.stack((images.fixed[images.mask], images.moving[0][images.mask]))
    expected = float(torch.corrcoef(pairs)[0, 1])
    assert float(window_similarity(windows, images.moving)[0]) == pytest.approx(expected, abs=1e-12)
    assert float(window_loss(windows, images.moving)[0]) == pytest.approx(1 - expected, abs=1e-12)
    assert float(window_loss(windows, -images.fixed[None])) == pytest.approx(2.0)


@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_what_is_masked_has_no_influence(images: Images, size: int | None, stride: int) -> None:
    mask = images.mask
    spoilt = prepare_windows(torch.where(mask, images.fixed, 1e3), mask, size, CONFIG, stride)
    a = linearize_window_loss(prepared(images, size, stride), images.moving, images.jacobian)
    b = linearize_window_loss(
        spoilt,
        torch.where(mask, images.moving, -1e3),
        torch.where(mask[..., None], images.jacobian, 1e3),
    )
    torch.testing.assert_close(a.value, b.value)
    torch.testing.assert_close(a.gradient, b.gradient)
    torch.testing.assert_close(a.normal_matrix, b.normal_matrix)


def test_windows_without_texture_do_not_compare_noise() -> None:
    generator = torch.Generator().manual_seed(1)
    fixed = torch.zeros(30, 30, dtype=torch.float64)
    fixed[:, 15:] = torch.randn(30, 15, generator=generator, dtype=torch.float64)
    noise = 1e-3 * torch.randn(30, 30, generator=generator, dtype=torch.float64)
    windows = prepare_windows(fixed, torch.ones(30, 30, dtype=torch.bool), 5, CONFIG)
    nccs = window_similarities(windows, (fixed + noise)[None]).reshape(26, 26)
    weight = windows.weight.reshape(26, 26)
    assert float(nccs[:, :10].min()) > 0.97
    assert float(weight[:, :10].max()) < 1e-9
    assert float(nccs[:, 15:].min()) > 0.999


def test_a_window_takes_part_if_half_of_it_is_valid() -> None:
    fixed = torch.rand(6, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.ones(6, 12, dtype=torch.bool)
    mask[:, :3] = False  # half of the first of two windows
    both = prepare_windows(fixed, mask, 6, CONFIG, 6)
    assert both.count.tolist() == [18.0, 36.0]
    assert bool((both.weight > 0).all())
    mask[0, 3] = False
    assert prepare_windows(fixed, mask, 6, CONFIG, 6).weight.tolist() == [0.0, 1.0]


def brute_force(
    fixed: Tensor, mask: Tensor, moving: Tensor, jacobian: Tensor, size: int | None, stride: int,
    config: WindowConfig,
) -> tuple[float, float, Tensor, Tensor]:  # fmt: skip
    """Loss, similarity, gradient and J'J of one image, window by window, from the definition."""
    height, width = fixed.shape
    rows, columns = (size, size) if size else (height, width)
    f, g, r = (config.floor, config.weight_floor, config.robust_scale) if size else (0.0, 0.0, 0.0)
    parameters = jacobian.shape[-1]
    zero = torch.zeros(parameters, dtype=torch.float64)
    deviation = fixed[mask].std(unbiased=False)
    windows = []
    for row in range(0, height - rows + 1, stride):
        for column in range(0, width - columns + 1, stride):
            at = (slice(row, row + rows), slice(column, column + columns))
            valid = mask[at]
            count = int(valid.sum())
            if count < 0.5 * rows * columns and size:
                continue

            def extended(values: Tensor, global_deviation: Tensor, count: int = count) -> Tensor:
                more = (count * f) ** 0.5 * global_deviation
                vector = torch.cat((values - values.mean(), more[None]))
                unit: Tensor = vector / vector.norm()
                return unit

            def moved(  # type: ignore[no-untyped-def]
                step: Tensor, at=at, valid=valid, extended=extended
            ) -> Tensor:
                image = moving + jacobian @ step
                vector: Tensor = extended(image[at][valid], image[mask].std(unbiased=False))
                return vector

            a = extended(fixed[at][valid], deviation)
            texture = float((fixed[at][valid] - fixed[at][valid].mean()).square().sum())
            weight = texture / (texture + count * g * float(deviation) ** 2) if size else 1.0
            windows.append((weight, a, moved))
    whole = sum(weight for weight, _, _ in windows)
    loss, alike = 0.0, 0.0
    gradient, normal = zero.clone(), torch.zeros(parameters, parameters, dtype=torch.float64)
    for weight, a, moved in windows:
        b, j = moved(zero), torch.autograd.functional.jacobian(moved, zero)
        apart = 1.0 - float(a @ b)
        alike += weight / whole * float(a @ b)
        loss += weight / whole * (apart / (1 + apart / r) if r else apart)
        slope = weight / whole * (1.0 / (1 + apart / r) ** 2 if r else 1.0)
        gradient -= slope * (a @ j)
        normal += slope * j.T @ j
    return loss, alike, gradient, normal


@pytest.mark.parametrize("config", [CONFIG, PLAIN, WindowConfig(floor=0.05, weight_floor=0.0)])
@pytest.mark.parametrize(("size", "stride"), [(None, 1), (5, 2), (4, 1)])
def test_the_model_is_what_the_definition_says(
    size: int | None, stride: int, config: WindowConfig
) -> None:
    generator = torch.Generator().manual_seed(7)
    fixed, moving = smooth(generator, 2, height=11, width=14)
    jacobian = smooth(generator, 3, height=11, width=14).movedim(0, -1)
    mask = torch.ones(11, 14, dtype=torch.bool)
    mask[:4, :5] = False
    moving = fixed + 0.7 * moving
    windows = prepare_windows(fixed, mask, size, config, stride)
    loss, alike, gradient, normal = brute_force(fixed, mask, moving, jacobian, size, stride, config)
    model = linearize_window_loss(windows, moving[None], jacobian[None])
    assert float(model.value) == pytest.approx(loss, abs=1e-10)
    assert float(window_loss(windows, moving[None])) == pytest.approx(loss, abs=1e-10)
    assert float(window_similarity(windows, moving[None])) == pytest.approx(alike, abs=1e-10)
    torch.testing.assert_close(model.gradient[0], gradient, atol=1e-9, rtol=1e-8)
    torch.testing.assert_close(model.normal_matrix[0], normal, atol=1e-9, rtol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_the_models_gradient_is_autograds(
    images: Images, size: int | None, stride: int, dtype: torch.dtype
) -> None:
    windows = prepare_windows(images.fixed.to(dtype), images.mask, size, CONFIG, stride)
    moving, jacobian = images.moving.to(dtype), images.jacobian.to(dtype)
    step = torch.zeros(3, 6, dtype=dtype, requires_grad=True)
    losses = window_loss(windows, moving + (jacobian @ step[:, None, :, None])[..., 0])
    (gradient,) = torch.autograd.grad(losses.sum(), step)
    model = linearize_window_loss(windows, moving, jacobian)
    atol, rtol = (1e-11, 1e-8) if dtype == torch.float64 else (2e-5, 1e-4)
    torch.testing.assert_close(model.value, losses.detach().double(), atol=atol, rtol=rtol)
    torch.testing.assert_close(model.gradient, gradient.double(), atol=atol, rtol=rtol)
    assert float(torch.linalg.eigvalsh(model.normal_matrix).min()) >= -1e-12


@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_the_models_gradient_is_that_of_central_differences(
    images: Images, size: int | None, stride: int
) -> None:
    windows = prepared(images, size, stride)
    model = linearize_window_loss(windows, images.moving, images.jacobian)
    for axis, step in enumerate(1e-6 * torch.eye(6, dtype=torch.float64)):
        ahead, behind = (
            window_loss(windows, images.moving + sign * images.jacobian @ step) for sign in (1, -1)
        )
        torch.testing.assert_close(
            model.gradient[:, axis], (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-8
        )


def test_a_batch_is_its_members(images: Images) -> None:
    windows = prepared(images, 9, 3)
    batch = linearize_window_loss(windows, images.moving, images.jacobian)
    for number in range(3):
        alone = linearize_window_loss(
            windows, images.moving[number : number + 1], images.jacobian[number : number + 1]
        )
        torch.testing.assert_close(batch[number].value, alone[0].value)
        torch.testing.assert_close(batch[number].gradient, alone[0].gradient)
        torch.testing.assert_close(batch[number].normal_matrix, alone[0].normal_matrix)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_image_that_is_not_finite_spoils_itself_only(images: Images, dtype: torch.dtype) -> None:
    windows = prepare_windows(images.fixed.to(dtype), images.mask, 9, CONFIG, 3)
    moving, jacobian = images.moving.to(dtype), images.jacobian.to(dtype)
    some = moving.clone()
    some[1] = torch.nan
    some[2, 12, 15] = torch.nan
    model = linearize_window_loss(windows, some, jacobian)
    assert model.is_finite().tolist() == [True, False, False]
    assert torch.isfinite(window_loss(windows, some)).tolist() == [True, False, False]
    alone = linearize_window_loss(windows, moving[:1], jacobian[:1])
    torch.testing.assert_close(model[0].normal_matrix, alone[0].normal_matrix)


def pixel_shifts(image: Tensor) -> Tensor:
    """[H,W,2] derivative of an image to shifts along rows and columns."""
    return torch.stack(torch.gradient(image), dim=-1)


@pytest.mark.parametrize(("size", "stride"), [(5, 1), (9, 3)])
def test_a_tool_in_the_way_hardly_moves_a_good_pose(size: int, stride: int) -> None:
    """An opaque bar across the X-ray: the step that Gauss-Newton would take from the truth."""
    truth = smooth(torch.Generator().manual_seed(3), height=48, width=48)
    fixed = truth.clone()
    fixed[20:26, 5:40] = 4.0 * truth.abs().max()
    mask = torch.ones(48, 48, dtype=torch.bool)
    steps = {}
    for name, config in {"robust": CONFIG, "plain": PLAIN}.items():
        windows = prepare_windows(fixed, mask, size, config, stride)
        model = linearize_window_loss(windows, truth[None], pixel_shifts(truth)[None])
        steps[name] = float(torch.linalg.solve(model.normal_matrix[0], model.gradient[0]).norm())
    assert steps["robust"] < 0.05
    assert steps["robust"] < 0.2 * steps["plain"]


def test_no_moving_image_gains_by_hiding_windows(images: Images) -> None:
    """The fixed image alone weighs: flat windows of the moving image still count in full."""
    windows = prepared(images, 5, 1)
    hidden = images.fixed.clone()
    hidden[:, 16:] = hidden[:, 16:].mean()
    rows, columns = 24 - 5 + 1, 31 - 5 + 1
    weight = windows.weight.reshape(rows, columns)[:, 16:].sum()
    assert float(weight) > 0.3
    nccs = window_similarities(windows, hidden[None]).reshape(rows, columns)[:, 16:]
    assert float(nccs.mean()) < 0.3
    # All of what they weigh is lost but for what the floor's component has in common.
    lost = float(weight) * 0.7 / (1 + 0.7 / windows.config.robust_scale)
    assert float(window_loss(windows, hidden[None])) > lost
    apart = 1.0 - window_similarities(windows, torch.cat((images.moving, hidden[None])))
    by_hand = (windows.weight * apart / (1 + apart / windows.config.robust_scale)).sum(dim=-1)
    torch.testing.assert_close(
        window_loss(windows, torch.cat((images.moving, hidden[None]))), by_hand
    )


def test_an_image_without_texture_has_even_weights() -> None:
    flat = torch.ones(10, 10, dtype=torch.float64)
    windows = prepare_windows(flat, torch.ones(10, 10, dtype=torch.bool), 5, CONFIG, 5)
    assert windows.weight.tolist() == [0.25] * 4


def test_a_reference_in_single_precision_is_the_same(images: Images) -> None:
    """The slow version is for any float type, and for other devices than the CPU."""
    double = linearize_window_loss_reference(prepared(images, 9, 3), images.moving, images.jacobian)
    single = linearize_window_loss_reference(
        prepare_windows(images.fixed.float(), images.mask, 9, CONFIG, 3),
        images.moving.float(), images.jacobian.float(),
    )  # fmt: skip
    torch.testing.assert_close(single.value, double.value, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(single.gradient, double.gradient, rtol=1e-3, atol=1e-5)


def test_bad_arguments_are_named() -> None:
    image = torch.rand(10, 12)
    mask = torch.ones(10, 12, dtype=torch.bool)
    with pytest.raises(InputError, match=r"mask must have the image's shape \[10, 12\], got \[3"):
        prepare_windows(image, mask[:3], None, CONFIG)
    for size in (11, 1):
        with pytest.raises(InputError, match=rf"from 2 to 10 pixels.*10 x 12, got {size}"):
            prepare_windows(image, mask, size, CONFIG)
    with pytest.raises(InputError, match="mask must leave some pixels"):
        prepare_windows(image, ~mask, None, CONFIG)
