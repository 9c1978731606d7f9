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
import torch.nn.functional as F
from torch import Tensor

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
    """[C,K'] sums of [C,H,W] over every window."""
    area = float(size[0] * size[1])
    return F.avg_pool2d(channels[None], size, stride)[0].flatten(1) * area


def _centred(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The image less its mean under the mask, zero elsewhere, and its variance there."""
    count = mask.sum()
    image = (image - (image * mask).sum() / count) * mask
    return image, image.square().sum() / count


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
    """(moving centred [H,W], and over windows [K]: sum, cross, spread, |b|^2)."""
    image, variance = _centred(moving, windows.mask)
    products = torch.stack((image, image * windows.fixed, image.square()))
    sums, cross, squares = _window_sums(products, windows.size, windows.stride)[:, windows.chosen]
    n = windows.count
    cross = cross - sums * windows.sums / n
    squares = (squares - sums.square() / n).clamp_min(0)
    floor = FLOOR * variance if windows.is_local else torch.zeros_like(variance)
    tiny = torch.finfo(moving.dtype).tiny
    return image, sums, cross, (squares + floor * n).clamp_min(tiny).sqrt(), squares


def window_similarities(windows: Windows, moving: Tensor) -> Tensor:
    """[K] NCC of every window with a moving image [H,W]; differentiable."""
    _, _, cross, spread, _ = _moving_statistics(windows, moving)
    return cross / (windows.spread * spread)


def ncc_loss(windows: Windows, moving: Tensor) -> Tensor:
    """1 less the mean NCC over windows, a scalar; differentiable to the moving image [H,W]."""
    return 1.0 - window_similarities(windows, moving).mean()


def linearize_ncc(windows: Windows, moving: Tensor, jacobian: Tensor) -> Linearization:
    """Gauss-Newton view of :func:`ncc_loss` for a moving image [H,W] with jacobian [H,W,P].

    With unit vectors a and b(pose) in a window, 1 - <a,b> = |a-b|^2 / 2, so J'J of b is the normal
    matrix.  Summed over windows it is a weighted J'J of the pixels less what centring and
    normalising take away in each window, both from sums over windows.
    """
    image, sums, cross, spread, squares = _moving_statistics(windows, moving)
    parameters = jacobian.shape[-1]
    columns = jacobian.movedim(-1, 0) * windows.mask
    n, total = windows.count, float(len(windows.count))
    products = torch.cat((columns, columns * image, columns * windows.fixed))
    pooled = _window_sums(products, windows.size, windows.stride)[:, windows.chosen]
    by_mean, by_moving, by_fixed = pooled.split(parameters)
    along_moving = (by_moving - by_mean * (sums / n)) / spread  # <b^, J>
    along_fixed = (by_fixed - by_mean * (windows.sums / n)) / windows.spread  # <a^, J>
    ncc = cross / (windows.spread * spread)
    gradient = -((along_fixed - ncc * along_moving) / spread).sum(dim=1)
    if windows.is_local:  # the floor is a share of the moving image's variance, which moves too
        by_variance = 2.0 * (columns * image).sum(dim=(1, 2)) / windows.mask.sum()
        gradient += 0.5 * FLOOR * (ncc * n / spread.square()).sum() * by_variance

    weight = spread.square().reciprocal()
    pixel_weight = _spread_over_pixels(weight, windows)
    flat = columns.flatten(1)
    normal = (flat * pixel_weight.flatten()) @ flat.T
    normal -= (by_mean * (weight / n)) @ by_mean.T
    share = squares / spread.square()
    normal -= (along_moving * (weight * (2.0 - share))) @ along_moving.T
    return Linearization(
        value=(1.0 - ncc.mean()).double(),
        gradient=gradient.double() / total,
        normal_matrix=_positive(normal.double()) / total,
    )


def _spread_over_pixels(weight: Tensor, windows: Windows) -> Tensor:
    """[H,W] sum of the weights of all windows that a pixel lies in: the adjoint of window sums."""
    height, width = windows.mask.shape
    rows = (height - windows.size[0]) // windows.stride + 1
    columns = (width - windows.size[1]) // windows.stride + 1
    full = torch.zeros(rows * columns, dtype=weight.dtype, device=weight.device)
    full[windows.chosen] = weight
    at = torch.zeros(height + 1, width + 1, dtype=torch.float64, device=weight.device)
    r = torch.arange(rows, device=weight.device) * windows.stride
    c = torch.arange(columns, device=weight.device) * windows.stride
    block = full.reshape(rows, columns).double()
    for row, column, sign in (
        (0, 0, 1.0),
        (0, windows.size[1], -1.0),
        (windows.size[0], 0, -1.0),
        (windows.size[0], windows.size[1], 1.0),
    ):
        at[(r + row)[:, None], (c + column)[None]] += sign * block
    return at.cumsum(0).cumsum(1)[:height, :width].to(weight.dtype)


def _positive(matrix: Tensor) -> Tensor:
    """The matrix with what rounding made negative raised to zero."""
    values, vectors = torch.linalg.eigh(0.5 * (matrix + matrix.T))
    return vectors @ torch.diag(values.clamp_min(0)) @ vectors.T
