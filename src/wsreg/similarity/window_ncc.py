"""Normalised cross-correlation in sliding windows, without bias, under a mask.

For a window with n valid pixels let a and b be the fixed and the moving image less their means in
the window, each with one more component, sqrt(n f) times the standard deviation of its whole image
(f is a small floor).  NCC is the cosine between the two:

    (<a,b> + n f s_a s_b) / sqrt((|a|^2 + n f s_a^2) (|b|^2 + n f s_b^2))

It is 1 for images that are equal but for brightness and contrast, whatever f is, so a perfect match
is a minimum of the loss: a floor in the denominator alone would reward contrast.  Windows without
texture have an NCC near 1 and tell nothing, instead of comparing noise.

A window weighs |a|^2 / (|a|^2 + n g s_a^2): the fixed image alone decides, so that no pose can gain
by hiding windows.  1 - NCC of each goes through e / (1 + e/r), so that windows which cannot agree
(a tool, a part that moved) count less (Geman and McClure's function of the residual's norm).

One window of the image's size gives the global NCC, without floor, weight or robustness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from wsreg.errors import InputError
from wsreg.kernels.window_ncc import linearize_windows
from wsreg.optimisation.quadratic_model import QuadraticModel
from wsreg.optimisation.small_matrices import eigh_small
from wsreg.similarity.masks import check_mask
from wsreg.threads import run_ranges

MIN_VALID = 0.5
"""A window takes part if at least this fraction of its pixels is valid."""


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How windows of one size are compared; see the module's docstring.

    Args:
        floor: f, as a fraction of each image's variance.
        weight_floor: g, as a fraction of the fixed image's variance.
        robust_scale: r; 0 for none.

    Raises:
        InputError: a setting that is negative or not finite.
    """

    floor: float = 1e-4
    weight_floor: float = 2e-2
    robust_scale: float = 0.3

    def __post_init__(self) -> None:
        settings = (self.floor, self.weight_floor, self.robust_scale)
        if not all(math.isfinite(value) and value >= 0 for value in settings):
            raise InputError(
                "floor, weight_floor and robust_scale of windows must be at least 0 and finite, "
                f"got {settings}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """A fixed image prepared for windows of one size, K of them, row by row.

    Args:
        size, stride: of the windows, pixels.
        config: of the comparison.
        fixed: [H,W], masked and centred, and ``mask`` [H,W], 1 where valid, of one float type.
        deviation: [] standard deviation of the fixed image under the mask.
        count: [K] valid pixels, at least 1.
        sums: [K] sums of ``fixed``; ``norm`` [K] of the extended vectors.
        weight: [K], with sum 1; 0 for windows that do not take part.
    """

    size: tuple[int, int]
    stride: int
    config: WindowConfig
    fixed: Tensor
    mask: Tensor
    deviation: Tensor
    count: Tensor
    sums: Tensor
    norm: Tensor
    weight: Tensor


def prepare_windows(
    fixed: Tensor, mask: Tensor, size: int | None, config: WindowConfig, stride: int = 1
) -> Windows:
    """Prepare a fixed image [H,W] under a mask [H,W]; ``size`` None is one window, global NCC.

    Raises:
        InputError: for a mask of another shape, an empty mask, or windows larger than the image.
    """
    shape = _window_shape(fixed, mask, size)
    valid = mask.to(fixed)
    image, deviation = _centred(fixed, valid)
    count, sums, squares = _window_sums(torch.stack((valid, image, image.square())), shape, stride)
    if size is None:
        chosen = torch.ones_like(count, dtype=torch.bool)
        config = WindowConfig(floor=0.0, weight_floor=0.0, robust_scale=0.0)
    else:
        chosen = count >= MIN_VALID * size * size
        if not bool(chosen.any()):
            chosen = count >= count.max()
    count = count.clamp_min(1.0)
    texture = (squares - sums.square() / count).clamp_min(0)
    least = count * deviation.square()
    tiny = torch.finfo(fixed.dtype).tiny
    return Windows(
        size=shape,
        stride=stride,
        config=config,
        fixed=image,
        mask=valid,
        deviation=deviation,
        count=count,
        sums=sums,
        norm=(texture + config.floor * least).clamp_min(tiny).sqrt(),
        weight=_weights(chosen, texture, config.weight_floor * least),
    )


def _window_shape(fixed: Tensor, mask: Tensor, size: int | None) -> tuple[int, int]:
    """Return rows and columns of a window, after a check of what it is to lie in."""
    check_mask(fixed, mask)
    height, width = int(fixed.shape[0]), int(fixed.shape[1])
    if size is None:
        return height, width
    if not 2 <= size <= min(height, width):
        raise InputError(
            f"window size must be from 2 to {min(height, width)} pixels for an image of "
            f"{height} x {width}, got {size}"
        )
    return size, size


def _weights(chosen: Tensor, texture: Tensor, floor: Tensor) -> Tensor:
    """Return [K] how much each window counts, with sum 1; without a floor all count alike."""
    tiny = torch.finfo(texture.dtype).tiny
    weight = torch.where(floor > 0, texture / (texture + floor).clamp_min(tiny), 1.0)
    weight = torch.where(chosen, weight, 0.0)
    if not bool((weight > 0).any()):  # an image without any texture: nothing to tell apart
        weight = chosen.to(texture)
    return weight / weight.sum()


def window_similarities(windows: Windows, moving: Tensor) -> Tensor:
    """Return [...,K] the NCC of every window with moving images [...,H,W]; differentiable."""
    return _statistics(windows, moving)[0]


def window_loss(windows: Windows, moving: Tensor) -> Tensor:
    """Return [B] the weighted mean of robust 1 - NCC over windows; differentiable.

    Args:
        windows: the prepared fixed image.
        moving: [B,H,W].
    """
    if _by_kernel(windows, moving) and not (torch.is_grad_enabled() and moving.requires_grad):
        return _kernel_values(windows, moving)[0]
    loss, _ = _robust(windows, 1.0 - window_similarities(windows, moving))
    return (windows.weight * loss).sum(dim=-1).clamp_min(0)


def window_similarity(windows: Windows, moving: Tensor) -> Tensor:
    """Return [B] the weighted mean NCC over windows, which is 1 for a perfect match."""
    if _by_kernel(windows, moving):
        return _kernel_values(windows, moving.detach())[1]
    return (windows.weight * window_similarities(windows, moving)).sum(dim=-1)


def linearize_window_loss(windows: Windows, moving: Tensor, jacobian: Tensor) -> QuadraticModel:
    """Return the Gauss-Newton model of :func:`window_loss`.

    Args:
        windows: the prepared fixed image.
        moving: [B,H,W], with ``jacobian`` [B,H,W,P].
    """
    if not _by_kernel(windows, moving):
        return linearize_window_loss_reference(windows, moving, jacobian)
    slopes = jacobian.movedim(-1, -3).contiguous().numpy()
    parameters = jacobian.shape[-1]
    gradient = np.empty((len(moving), parameters))
    normal = np.empty((len(moving), parameters, parameters))
    values = _run_kernel(windows, moving, slopes, gradient, normal)
    return QuadraticModel(
        value=torch.from_numpy(values[0]),
        gradient=torch.from_numpy(gradient),
        normal_matrix=_positive(torch.from_numpy(normal)),
    )


def _by_kernel(windows: Windows, moving: Tensor) -> bool:
    both = (windows.fixed, moving)
    return all(t.device.type == "cpu" and t.dtype == torch.float32 for t in both)


def _kernel_values(windows: Windows, moving: Tensor) -> tuple[Tensor, Tensor]:
    """Return (loss [B], similarity [B]) of moving images [B,H,W]."""
    count, (height, width) = len(moving), moving.shape[-2:]
    slopes = np.empty((count, 0, height, width), np.float32)
    values = _run_kernel(windows, moving, slopes, np.empty((count, 0)), np.empty((count, 0, 0)))
    loss, similarity = torch.from_numpy(values).to(moving.dtype)
    return loss, similarity


def _run_kernel(
    windows: Windows,
    moving: Tensor,
    slopes: NDArray[np.float32],
    gradient: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return [2,B] losses and similarities; fill gradient [B,P] and normal matrix [B,P,P]."""
    config, deviation = windows.config, float(windows.deviation)
    fixed, mask = windows.fixed.numpy(), windows.mask.numpy()
    each = [t.numpy() for t in (windows.count, windows.sums, windows.norm, windows.weight)]
    images, values = moving.contiguous().numpy(), np.empty((2, len(moving)))

    def work(first: int, last: int) -> None:
        for n in range(first, last):
            values[:, n] = linearize_windows(
                fixed, mask, images[n], slopes[n], windows.size, windows.stride, *each,
                config.floor, deviation, config.robust_scale, gradient[n], normal[n],
            )  # fmt: skip

    run_ranges(work, len(moving), smallest=1)
    values[0][values[0] < 0] = 0.0  # rounding, of a perfect match; NaN stays
    return values


def linearize_window_loss_reference(
    windows: Windows, moving: Tensor, jacobian: Tensor
) -> QuadraticModel:
    """Return the same as :func:`linearize_window_loss`, in plain torch and any float type.

    With unit vectors a and b(pose) in a window, 1 - <a,b> = |a-b|^2 / 2, so J'J of b is the normal
    matrix.  Summed over windows it is a weighted J'J of the pixels less what centring and
    normalising take away in each window, both from sums over windows.
    """
    ncc, image, sums, norm, deviation = _statistics(windows, moving)
    columns = jacobian.movedim(-1, -3) * windows.mask
    n, floor = windows.count, windows.config.floor
    by_deviation = _inner(columns, image) / (windows.mask.sum() * deviation[..., None])
    products = torch.cat((columns, columns * image[..., None, :, :], columns * windows.fixed), -3)
    pooled = _window_sums(products, windows.size, windows.stride)
    by_mean, by_moving, by_fixed = torch.split(pooled, jacobian.shape[-1], dim=-2)
    extra = floor * by_deviation[..., None] * n
    inverse = norm.reciprocal()[..., None, :]
    along_moving = by_moving - by_mean * (sums / n)[..., None, :]
    along_moving = (along_moving + extra * deviation[..., None, None]) * inverse  # <b^, J>
    along_fixed = by_fixed - by_mean * (windows.sums / n) + extra * windows.deviation
    along_fixed = along_fixed / windows.norm  # <a^, J>
    loss, slope = _robust(windows, 1.0 - ncc)
    counted = (windows.weight * slope)[..., None, :]
    gradient = -((along_fixed - ncc[..., None, :] * along_moving) * inverse * counted).sum(dim=-1)
    weight = counted * inverse.square()
    flat = columns.flatten(-2)
    normal = (flat * _spread_over_pixels(weight, windows).flatten(-2)) @ flat.mT
    normal -= (by_mean * (weight / n)) @ by_mean.mT
    normal -= (along_moving * weight) @ along_moving.mT
    of_floor = floor * (weight * n).sum(dim=-1)[..., None]
    normal += of_floor * by_deviation[..., :, None] * by_deviation[..., None, :]
    return QuadraticModel(
        value=(windows.weight * loss).sum(dim=-1).clamp_min(0).double(),
        gradient=gradient.double(),
        normal_matrix=_positive(normal.double()),
    )


def _statistics(windows: Windows, moving: Tensor) -> tuple[Tensor, ...]:
    """Return (NCC [...,K], centred image [...,H,W], sums and norms [...,K], deviation [...])."""
    image, deviation = _centred(moving, windows.mask)
    products = torch.stack((image, image * windows.fixed, image.square()), dim=-3)
    sums, cross, squares = _window_sums(products, windows.size, windows.stride).unbind(-2)
    n, floor = windows.count, windows.config.floor
    shared = floor * n * deviation[..., None]
    cross = cross - sums * windows.sums / n + shared * windows.deviation
    squares = (squares - sums.square() / n).clamp_min(0) + shared * deviation[..., None]
    norm = squares.clamp_min(torch.finfo(moving.dtype).tiny).sqrt()
    return cross / (windows.norm * norm), image, sums, norm, deviation


def _robust(windows: Windows, apart: Tensor) -> tuple[Tensor, Tensor]:
    """Return the robust function of 1 - NCC, and its slope."""
    scale = windows.config.robust_scale
    if scale <= 0:
        return apart, torch.ones_like(apart)
    shrink = (1.0 + apart / scale).reciprocal()
    return apart * shrink, shrink.square()


def _window_sums(channels: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """Return [...,C,K] sums of [...,C,H,W] over every window."""
    area = float(size[0] * size[1])
    batch = channels.reshape(-1, *channels.shape[-3:])
    sums = avg_pool2d(batch, size, stride).flatten(2) * area
    return sums.reshape(*channels.shape[:-2], -1)


def _centred(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return images [...,H,W] less their means under the mask, zero elsewhere, and deviations."""
    count = mask.sum()
    mean = (image * mask).sum(dim=(-2, -1)) / count
    image = (image - mean[..., None, None]) * mask
    variance = image.square().sum(dim=(-2, -1)) / count
    return image, variance.clamp_min(torch.finfo(image.dtype).tiny).sqrt()


def _inner(columns: Tensor, image: Tensor) -> Tensor:
    """Return [...,P] inner products of jacobian columns [...,P,H,W] with images [...,H,W]."""
    return (columns.flatten(-2) @ image.flatten(-2)[..., None])[..., 0]


def _spread_over_pixels(weight: Tensor, windows: Windows) -> Tensor:
    """Return [...,H,W] the sum of the weights [...,K] of all windows that a pixel lies in."""
    height, width = windows.mask.shape
    rows = (height - windows.size[0]) // windows.stride + 1
    columns = (width - windows.size[1]) // windows.stride + 1
    block = weight.reshape(*weight.shape[:-1], rows, columns)
    if windows.size == (height, width):
        return block.expand(*weight.shape[:-1], height, width)
    spread = weight.new_zeros((*weight.shape[:-1], height, width))
    step = windows.stride
    for row in range(windows.size[0]):
        for column in range(windows.size[1]):
            last_row, last_column = row + (rows - 1) * step, column + (columns - 1) * step
            spread[..., row : last_row + 1 : step, column : last_column + 1 : step] += block
    return spread


def _positive(matrices: Tensor) -> Tensor:
    """Return the matrices [...,P,P] with what rounding made negative raised to zero.

    Those that are not finite, of images that show nothing, stay so.
    """
    finite = torch.isfinite(matrices).all(dim=-1).all(dim=-1)[..., None, None]
    symmetric = torch.where(finite, 0.5 * (matrices + matrices.mT), 0.0)
    values, vectors = eigh_small(symmetric)
    positive = (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT
    return torch.where(finite, positive, matrices)
