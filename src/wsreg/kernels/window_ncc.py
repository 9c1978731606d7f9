"""Normalised cross-correlation over windows, with gradient and normal matrix, in one pass.

The formulas and the slow version of the same are in :mod:`wsreg.similarity.window_ncc`.  Here sums
over windows are taken for one row of windows at a time, columns first, so that what is summed stays
in the cache, and J'J is gathered from the weights with which pixels take part in all windows.
Loops write one array each: the compiler makes vector instructions of a loop only if it can check
that no two of its arrays overlap.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from wsreg.compiled import compiled


@njit(inline="always")
def _window_row(columns, sums, size, stride):
    """Return sums [C,K] over every window of a row, from sums over its columns [C,W]."""
    for channel in range(sums.shape[0]):
        source, target = columns[channel], sums[channel]
        target[:] = np.float32(0)
        if stride == 1:  # the loop that becomes vector instructions
            for offset in range(size):
                for k in range(target.shape[0]):
                    target[k] += source[k + offset]
        else:
            for offset in range(size):
                for k in range(target.shape[0]):
                    target[k] += source[k * stride + offset]


@njit(inline="always")
def _column_sums(columns, fixed, moving, slopes, row, height):
    """Sum [3+3P,W] over the rows of a row of windows: b, ab, bb, then J, bJ, aJ for each P."""
    parameters, width = slopes.shape[0], fixed.shape[1]
    columns[:] = np.float32(0)
    for y in range(row, row + height):
        a, b = fixed[y], moving[y]
        by_b, by_ab, by_bb = columns[0], columns[1], columns[2]
        for x in range(width):
            by_b[x] += b[x]
            by_ab[x] += a[x] * b[x]
            by_bb[x] += b[x] * b[x]
        for p in range(parameters):
            j = slopes[p, y]
            by_j, by_bj, by_aj = columns[3 + 3 * p], columns[4 + 3 * p], columns[5 + 3 * p]
            for x in range(width):
                by_j[x] += j[x]
            for x in range(width):
                by_bj[x] += b[x] * j[x]
            for x in range(width):
                by_aj[x] += a[x] * j[x]


@njit(inline="always")
def _centre(moving, mask, jacobian, centred, slopes, gradient):
    """Fill ``centred`` and ``slopes`` (masked); return (standard deviation, its derivative [P])."""
    height, width = moving.shape
    count, total = 0.0, 0.0
    for y in range(height):
        row_count, row_total = np.float32(0), np.float32(0)
        for x in range(width):
            row_count += mask[y, x]
            row_total += mask[y, x] * moving[y, x]
        count += float(row_count)
        total += float(row_total)
    mean = np.float32(total / count)
    squares = 0.0
    for y in range(height):
        row = np.float32(0)
        for x in range(width):
            value = (moving[y, x] - mean) * mask[y, x]
            centred[y, x] = value
            row += value * value
        squares += float(row)
    deviation = np.sqrt(squares / count)
    by_parameter = np.zeros(len(gradient))
    for p in range(len(gradient)):
        total = 0.0
        for y in range(height):
            row = np.float32(0)
            for x in range(width):
                slope = jacobian[p, y, x] * mask[y, x]
                slopes[p, y, x] = slope
                row += slope * centred[y, x]
            total += float(row)
        by_parameter[p] = total / max(count * deviation, 1e-30)
    return deviation, by_parameter


# Fast arithmetic, but NaN stays NaN: an image that shows nothing must not look like a good one.
@compiled(nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz", "afn"})
def linearize_windows(
    fixed, mask, moving, jacobian, size, stride, count, fixed_sum, fixed_norm, weight,
    floor, fixed_deviation, robust_scale, gradient, normal,
):  # fmt: skip
    """Return (loss, similarity) of one moving image; gradient and normal matrix are written.

    Args:
        fixed: [H,W] float32, masked and centred; ``mask`` [H,W] float32.
        moving: [H,W] float32, with ``jacobian`` [P,H,W] float32.
        size: (height, width) of the windows, and ``stride``.
        count, fixed_sum, fixed_norm, weight: [K] float32 of every window, row by row: valid pixels,
            sum of the fixed image, norm of its extended vector, and how much the window counts
            (0 to leave it out).
        floor: fraction of the global variance in the extended vectors.
        fixed_deviation: of the fixed image under the mask.
        robust_scale: of the robust function, 0 for none.
        gradient: [P] float64, and ``normal`` [P,P] float64, written.
    """
    height, width = fixed.shape
    parameters = jacobian.shape[0]
    across = (width - size[1]) // stride + 1
    down = (height - size[0]) // stride + 1
    centred = np.empty((height, width), np.float32)
    slopes = np.empty((parameters, height, width), np.float32)
    deviation, by_deviation = _centre(moving, mask, jacobian, centred, slopes, gradient)
    columns = np.empty((3 + 3 * parameters, width), np.float32)
    sums = np.empty((3 + 3 * parameters, across), np.float32)
    means = np.empty((parameters, across), np.float32)
    alongs = np.empty((parameters, across), np.float32)
    gains, curve = np.empty(across, np.float32), np.empty(across, np.float32)
    ncc, valid = np.empty(across, np.float32), np.empty(across, np.float32)
    inverse, inverse_fixed = np.empty(across, np.float32), np.empty(across, np.float32)
    mean_moving, mean_fixed = np.empty(across, np.float32), np.empty(across, np.float32)
    along_fixed = np.empty(across, np.float32)
    root, mean_root = np.empty(across, np.float32), np.empty(across, np.float32)
    moving_deviation = np.float32(deviation)
    row_weight = np.empty(width, np.float32)
    pixel_weight = np.zeros((height, width), np.float32)
    gradient[:] = 0.0
    normal[:] = 0.0
    value, alike, floor_curvature = 0.0, 0.0, 0.0
    tiny = np.float32(1e-30)
    for row in range(down):
        first = row * across
        _column_sums(columns, fixed, centred, slopes, row * stride, size[0])
        _window_row(columns, sums, size[1], stride)
        row_value, row_alike = 0.0, 0.0
        for k in range(across):
            n = max(count[first + k], np.float32(1))
            shared = np.float32(floor * deviation) * n
            cross = sums[1, k] - sums[0, k] * fixed_sum[first + k] / n
            cross += shared * np.float32(fixed_deviation)
            square = max(sums[2, k] - sums[0, k] * sums[0, k] / n, np.float32(0))
            inverse[k] = np.float32(1) / np.sqrt(max(square + shared * moving_deviation, tiny))
            inverse_fixed[k] = np.float32(1) / fixed_norm[first + k]
            similar = cross * inverse[k] * inverse_fixed[k]
            apart = np.float32(1) - similar
            slope = weight[first + k]
            row_alike += slope * similar
            if robust_scale > 0:
                shrink = np.float32(1) / (np.float32(1) + apart / np.float32(robust_scale))
                row_value += slope * apart * shrink
                slope *= shrink * shrink
            else:
                row_value += slope * apart
            ncc[k] = similar
            gains[k] = slope * inverse[k]
            curve[k] = slope * inverse[k] * inverse[k]
            floor_curvature += curve[k] * n * floor
            valid[k] = n
            mean_moving[k], mean_fixed[k] = sums[0, k] / n, fixed_sum[first + k] / n
            root[k] = np.sqrt(curve[k])
            mean_root[k] = root[k] / np.sqrt(n)
        value += row_value
        alike += row_alike
        if parameters == 0:
            continue
        for p in range(parameters):
            by_mean, by_moving, by_fixed = sums[3 + 3 * p], sums[4 + 3 * p], sums[5 + 3 * p]
            by_floor = np.float32(floor * by_deviation[p])
            total = np.float32(0)
            mean, along = means[p], alongs[p]
            for k in range(across):
                along[k] = by_moving[k] - by_mean[k] * mean_moving[k]
            for k in range(across):
                along[k] = (along[k] + valid[k] * by_floor * moving_deviation) * inverse[k]
            for k in range(across):
                along_fixed[k] = by_fixed[k] - by_mean[k] * mean_fixed[k]
            for k in range(across):
                along_fixed[k] += valid[k] * by_floor * np.float32(fixed_deviation)
            for k in range(across):
                total -= (along_fixed[k] * inverse_fixed[k] - ncc[k] * along[k]) * gains[k]
            for k in range(across):
                mean[k] = by_mean[k] * mean_root[k]
            for k in range(across):
                along[k] *= root[k]
            gradient[p] += total
        for p in range(parameters):
            for q in range(p + 1):
                total = np.float32(0)
                for k in range(across):
                    total += means[p, k] * means[q, k] + alongs[p, k] * alongs[q, k]
                normal[p, q] -= total
        row_weight[:] = np.float32(0)
        for offset in range(size[1]):
            for k in range(across):
                row_weight[k * stride + offset] += curve[k]
        for y in range(row * stride, row * stride + size[0]):
            for x in range(width):
                pixel_weight[y, x] += row_weight[x]
    weighted = np.empty(width, np.float32)
    for y in range(height):
        for p in range(parameters):
            for x in range(width):
                weighted[x] = pixel_weight[y, x] * slopes[p, y, x]
            for q in range(p + 1):
                total = np.float32(0)
                for x in range(width):
                    total += weighted[x] * slopes[q, y, x]
                normal[p, q] += total
    for p in range(parameters):
        for q in range(p + 1):
            normal[p, q] += floor_curvature * by_deviation[p] * by_deviation[q]
            normal[q, p] = normal[p, q]
    return value, alike
