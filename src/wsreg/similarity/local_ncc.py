"""Normalised cross-correlation in sliding windows, under a mask.

For a window with n valid pixels let a and b be the fixed and the moving image less their means in
the window.  Its NCC is  <a,b> / sqrt((|a|^2 + n s) (|b|^2 + n t)),  where s and t are a small share
(FLOOR) of each image's variance over the whole mask: windows without texture count little instead
of comparing noise.  The loss is 1 less the mean over windows (paper, section 2.3, the local half of
L_mNCC).  A window the size of the image gives the global NCC.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from wsreg.errors import InputError
from wsreg.similarity.linearization import Linearization

FLOOR = 0.02
"""Share of the global variance added to the variance of a window."""

MIN_VALID = 0.5
"""A window takes part if at least this share of its pixels is valid."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """A fixed image prepared for windows of one size.

    Args:
        size, stride: of the windows, pixels.
        mask: [H,W] float, 1 where valid.
        count: [K] valid pixels of each window that takes part, in the order of ``chosen``.
        chosen: [rows*columns] bool, windows that take part.
        sums: [K] sum of the fixed image; ``spread`` [K] its regularised norm.
        fixed: [H,W], masked and centred.
    """

    size: tuple[int, int]
    stride: int
    mask: Tensor
    count: Tensor
    chosen: Tensor
    sums: Tensor
    spread: Tensor
    fixed: Tensor

    @property
    def is_local(self) -> bool:
        """False for the one window that is the whole image."""
        return self.size != tuple(self.mask.shape)


def _window_sums(channels: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """[...,C,K'] sums of [...,C,H,W] over every window."""
    area = float(size[0] * size[1])
    batch = channels.reshape(-1, *channels.shape[-3:])
    sums = avg_pool2d(batch, size, stride).flatten(2) * area
    return sums.reshape(*channels.shape[:-2], -1)


def _centred(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Images [...,H,W] less their means under the mask, zero elsewhere; variances [...] there."""
    count = mask.sum()
    mean = (image * mask).sum(dim=(-2, -1)) / count
    image = (image - mean[..., None, None]) * mask
    return image, image.square().sum(dim=(-2, -1)) / count


def prepare_windows(fixed: Tensor, mask: Tensor, size: int | None, stride: int = 1) -> Windows:
    """Prepare a fixed image [H,W] under a mask [H,W]; ``size`` None is one window, global NCC."""
    if fixed.shape != mask.shape:
        raise InputError(f"mask must have the image's shape {list(fixed.shape)}, got "
                         f"{list(mask.shape)}")  # fmt: skip
    height, width = int(fixed.shape[0]), int(fixed.shape[1])
    if size is not None and not 2 <= size <= min(height, width):
        raise InputError(
            f"window size must be from 2 to {min(height, width)} pixels for this image, got {size}"
        )
    shape = (height, width) if size is None else (size, size)
    valid = mask.to(fixed)
    if not bool(valid.any()):
        raise InputError("mask must leave some pixels of the image, it leaves none")
    image, variance = _centred(fixed, valid)
    count, sums, squares = _window_sums(torch.stack((valid, image, image.square())), shape, stride)
    needed = MIN_VALID * shape[0] * shape[1] if size is not None else 1.0
    chosen = count >= needed
    if not bool(chosen.any()):
        chosen = count >= count.max()
    count, sums, squares = count[chosen], sums[chosen], squares[chosen]
    floor = FLOOR * variance if size is not None else torch.zeros_like(variance)
    spread = (squares - sums.square() / count).clamp_min(0) + floor * count
    return Windows(
        size=shape,
        stride=stride,
        mask=valid,
        count=count,
        chosen=chosen,
        sums=sums,
        spread=spread.clamp_min(torch.finfo(fixed.dtype).tiny).sqrt(),
        fixed=image,
    )


def _moving_statistics(windows: Windows, moving: Tensor) -> tuple[Tensor, ...]:
    """(moving centred [...,H,W], and over windows [...,K]: sum, cross, spread, |b|^2)."""
    image, variance = _centred(moving, windows.mask)
    products = torch.stack((image, image * windows.fixed, image.square()), dim=-3)
    pooled = _window_sums(products, windows.size, windows.stride)[..., windows.chosen]
    sums, cross, squares = pooled.unbind(-2)
    n = windows.count
    cross = cross - sums * windows.sums / n
    squares = (squares - sums.square() / n).clamp_min(0)
    floor = FLOOR * variance if windows.is_local else torch.zeros_like(variance)
    tiny = torch.finfo(moving.dtype).tiny
    spread = (squares + floor[..., None] * n).clamp_min(tiny).sqrt()
    return image, sums, cross, spread, squares


def window_similarities(windows: Windows, moving: Tensor) -> Tensor:
    """[...,K] NCC of every window with moving images [...,H,W]; differentiable."""
    _, _, cross, spread, _ = _moving_statistics(windows, moving)
    return cross / (windows.spread * spread)


def ncc_loss(windows: Windows, moving: Tensor) -> Tensor:
    """[...] 1 less the mean NCC over windows of moving images [...,H,W]; differentiable to them."""
    return 1.0 - window_similarities(windows, moving).mean(dim=-1)


def linearize_ncc(windows: Windows, moving: Tensor, jacobian: Tensor) -> Linearization:
    """Gauss-Newton view of :func:`ncc_loss`: moving [...,H,W] with jacobian [...,H,W,P].

    With unit vectors a and b(pose) in a window, 1 - <a,b> = |a-b|^2 / 2, so J'J of b is the normal
    matrix.  Summed over windows it is a weighted J'J of the pixels less what centring and
    normalising take away in each window, both from sums over windows.
    """
    image, sums, cross, spread, squares = _moving_statistics(windows, moving)
    parameters = jacobian.shape[-1]
    columns = jacobian.movedim(-1, -3) * windows.mask
    n, total = windows.count, float(len(windows.count))
    products = torch.cat((columns, columns * image[..., None, :, :], columns * windows.fixed), -3)
    pooled = _window_sums(products, windows.size, windows.stride)[..., windows.chosen]
    by_mean, by_moving, by_fixed = torch.split(pooled, parameters, dim=-2)
    inverse = spread.reciprocal()[..., None, :]
    along_moving = (by_moving - by_mean * (sums / n)[..., None, :]) * inverse  # <b^, J>
    along_fixed = (by_fixed - by_mean * (windows.sums / n)) / windows.spread  # <a^, J>
    ncc = cross / (windows.spread * spread)
    gradient = -((along_fixed - ncc[..., None, :] * along_moving) * inverse).sum(dim=-1)
    if windows.is_local:  # the floor is a share of the moving image's variance, which moves too
        by_variance = 2.0 * _inner(columns, image) / windows.mask.sum()
        share = 0.5 * FLOOR * (ncc * n / spread.square()).sum(dim=-1)
        gradient += share[..., None] * by_variance

    weight = spread.square().reciprocal()[..., None, :]
    flat = columns.flatten(-2)
    normal = (flat * _spread_over_pixels(weight, windows).flatten(-2)) @ flat.mT
    normal -= (by_mean * (weight / n)) @ by_mean.mT
    kept = (squares / spread.square())[..., None, :]
    normal -= (along_moving * (weight * (2.0 - kept))) @ along_moving.mT
    return Linearization(
        value=(1.0 - ncc.mean(dim=-1)).double(),
        gradient=gradient.double() / total,
        normal_matrix=_positive(normal.double()) / total,
    )


def _inner(columns: Tensor, image: Tensor) -> Tensor:
    """[...,P] inner products of jacobian columns [...,P,H,W] with images [...,H,W]."""
    return (columns.flatten(-2) @ image.flatten(-2)[..., None])[..., 0]


def _spread_over_pixels(weight: Tensor, windows: Windows) -> Tensor:
    """[...,H,W] sum of the weights [...,K] of all windows that a pixel lies in.

    This is the adjoint of sums over windows, taken by differences at their corners and two
    running sums; in float64, because running sums of what cancels lose digits.
    """
    height, width = windows.mask.shape
    rows = (height - windows.size[0]) // windows.stride + 1
    columns = (width - windows.size[1]) // windows.stride + 1
    lead = weight.shape[:-1]
    full = weight.new_zeros((*lead, rows * columns), dtype=torch.float64)
    full[..., windows.chosen] = weight.double()
    block = full.reshape(*lead, rows, columns)
    steps = full.new_zeros((*lead, height + 1, width + 1))
    row_end, column_end = (rows - 1) * windows.stride + 1, (columns - 1) * windows.stride + 1
    for row, row_sign in ((0, 1.0), (windows.size[0], -1.0)):
        for column, sign in ((0, row_sign), (windows.size[1], -row_sign)):
            corner = steps[..., row : row + row_end, column : column + column_end]
            corner[..., :: windows.stride, :: windows.stride] += sign * block
    return steps.cumsum(-2).cumsum(-1)[..., :height, :width].to(weight.dtype)


def _positive(matrices: Tensor) -> Tensor:
    """The matrices [...,P,P] with what rounding made negative raised to zero.

    Those that are not finite, of images that show nothing, stay so.
    """
    finite = torch.isfinite(matrices).all(dim=-1).all(dim=-1)[..., None, None]
    symmetric = torch.where(finite, 0.5 * (matrices + matrices.mT), 0.0)
    values, vectors = torch.linalg.eigh(symmetric)
    positive = (vectors * values.clamp_min(0)[..., None, :]) @ vectors.mT
    return torch.where(finite, positive, matrices)
