"""The ray march: line integrals through a voxel grid, with their six pose derivatives, in one pass.

Quadrature.  Voxel axis w is the one that the optical axis follows most closely.  A ray is sampled
where it meets every ``stride``-th voxel plane of w, by bilinear interpolation within the plane
(trilinear interpolation, at points where one weight is exactly one), so four voxels are read for
each sample instead of eight and a plane is read as a small picture.  A sample weighs the length of
ray between two planes.  Outside the grid the field falls to zero over one voxel.

A ray in voxel coordinates is  u(k) = U + (k - kc) p,  v(k) = V + (k - kc) q  on plane k.  With
G = sum f_u and H = sum (k - kc) f_u (and the same for v), the derivative of the integral is
weight * (G_u dU + H_u dp + G_v dV + H_v dq) - integral * d(a_w)/a_w: five sums, six columns.

Grids are flat, [w][v][u], with a border of PAD zero voxels around u and v; coordinates below
include the border.  ``occupancy`` is a summed-area table [blocks, cells_v+1, cells_u+1] of the
non-zero voxels in cells of CELL x CELL voxels x BLOCK planes: what is empty is not visited.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from wsreg.kernels.simd import (
    LANES,
    clamp,
    first_lane,
    gather_pairs,
    high_half,
    keep_between,
    lane_numbers,
    low_half,
    prefetch,
    splat,
    square_root,
    store,
    to_float,
    truncate,
)

PAD = 2
CELL = 8
BLOCK = 16
TILE_ROWS = 8
MIXED = 256
PREFETCH_PLANES = 8


@njit(inline="always")
def _corner_line(source, linear, x, y, f, middle):
    """(U, V, p, q) of one ray: where it meets plane ``middle`` and its slopes per plane."""
    a_w = linear[2, 0] * x + linear[2, 1] * y + linear[2, 2] * f
    p = (linear[0, 0] * x + linear[0, 1] * y + linear[0, 2] * f) / a_w
    q = (linear[1, 0] * x + linear[1, 1] * y + linear[1, 2] * f) / a_w
    planes = source[2] - middle
    return source[0] - p * planes, source[1] - q * planes, p, q


@njit(inline="always")
def _mark_occupied(occupied, occupancy, shape, source, linear, xs, ys, f, middle):
    """For a tile with corners xs, ys (mm on the detector): which blocks of planes hold anything."""
    for block in range(occupied.shape[0]):
        first = block * BLOCK - middle
        last = min(block * BLOCK + BLOCK - 1, shape[2] - 1) - middle
        u0 = v0 = 1e9
        u1 = v1 = -1e9
        for corner in range(4):
            big_u, big_v, p, q = _corner_line(
                source, linear, xs[corner % 2], ys[corner // 2], f, middle
            )
            for k in (first, last):
                u0, u1 = min(u0, big_u + k * p), max(u1, big_u + k * p)
                v0, v1 = min(v0, big_v + k * q), max(v1, big_v + k * q)
        count = 0
        if u1 >= 0 and v1 >= 0 and u0 < shape[0] and v0 < shape[1]:
            # One voxel of margin on either side covers the interpolation's neighbours.
            cu0 = max(int(u0) - 1, 0) // CELL
            cv0 = max(int(v0) - 1, 0) // CELL
            cu1 = min(int(u1) + 2, shape[0] - 1) // CELL + 1
            cv1 = min(int(v1) + 2, shape[1] - 1) // CELL + 1
            table = occupancy[block]
            count = table[cv1, cu1] - table[cv0, cu1] - table[cv1, cu0] + table[cv0, cu0]
        occupied[block] = count > 0


@njit(parallel=True, fastmath=True, cache=True)
def march_image(
    grid, shape, occupancy, scale, stride, first_plane,
    source, linear, source_by_pose, linear_by_pose, clip, detector, rows, columns,
    image, jacobian,
):  # fmt: skip
    """Line integrals (and derivatives) of one grid for B poses.

    Args:
        grid: uint16, flat [w][v][u] with borders; at least one element longer than the grid.
        shape: int64 (u, v, w) sizes, borders included.
        occupancy: int32 summed-area tables, see above.
        scale: value of one unit of ``grid`` per mm.
        stride, first_plane: every ``stride``-th plane is sampled, from ``first_plane`` on.
        source: [B,3] float64, the X-ray source in voxel coordinates (u, v, w).
        linear: [B,3,3] float64, voxel (u,v,w) displacement per camera mm.
        source_by_pose: [B,6,3] float64, derivative of ``source`` to the pose.
        linear_by_pose: [B,6,3,3] float64, derivative of ``linear`` to the pose.
        clip: whether some of the grid may lie behind the source or beyond the detector.
        detector: (x of column 0, column spacing, y of row 0, row spacing, distance), mm.
        rows, columns: image size; ``image`` rows may be longer, in whole vectors.
        image: [B, rows, padded columns] float32, written.
        jacobian: [B, 6, rows, padded columns] float32, written; B = 0 to leave it out.
    """
    poses = source.shape[0]
    padded = image.shape[2]
    packets = padded // LANES
    bands = (rows + TILE_ROWS - 1) // TILE_ROWS
    flat_image, flat_jacobian = image.reshape(-1), jacobian.reshape(-1)
    wanted = jacobian.shape[0] > 0
    middle = 0.5 * (shape[2] - 1)
    plane = np.int64(shape[0] * shape[1])
    next_row = grid[shape[0] :]  # one voxel further along v
    blocks = occupancy.shape[0]

    for tile in prange(poses * bands * packets):
        pose = tile // (bands * packets)
        band = (tile // packets) % bands
        column = (tile % packets) * LANES
        row_end = min(rows, (band + 1) * TILE_ROWS)
        x0, dx, y0, dy, f = detector
        xs = (x0 + column * dx, x0 + (min(columns, column + LANES) - 1) * dx)
        ys = (y0 + band * TILE_ROWS * dy, y0 + (row_end - 1) * dy)
        occupied = np.empty(blocks, np.bool_)
        _mark_occupied(occupied, occupancy, shape, source[pose], linear[pose], xs, ys, f, middle)

        m = linear[pose]
        o = source[pose]
        planes = splat(np.float32(o[2] - middle))
        # Where a ray meets the middle plane is o - slope * planes, far source less long way: that
        # difference is taken here, in float64, and times a_w, so that it is linear in x and y.
        start = np.empty((2, 3), np.float64)
        for axis in range(3):
            start[0, axis] = o[0] * m[2, axis] - (o[2] - middle) * m[0, axis]
            start[1, axis] = o[1] * m[2, axis] - (o[2] - middle) * m[1, axis]
        zero = splat(np.float32(0))
        last_u = splat(np.float32(shape[0] - PAD))
        last_v = splat(np.float32(shape[1] - PAD))
        width = splat(np.int32(shape[0]))
        # Lanes beyond the last column repeat it, lest their rays leave the field of view.
        first_x, last_x = splat(np.float32(xs[0])), splat(np.float32(xs[1]))
        x = clamp(first_x + lane_numbers() * splat(np.float32(dx)), first_x, last_x)
        for row in range(band * TILE_ROWS, row_end):
            y = y0 + row * dy
            inverse = splat(np.float32(1)) / (
                splat(np.float32(m[2, 0])) * x + splat(np.float32(m[2, 1] * y + m[2, 2] * f))
            )
            p = inverse * (
                splat(np.float32(m[0, 0])) * x + splat(np.float32(m[0, 1] * y + m[0, 2] * f))
            )
            q = inverse * (
                splat(np.float32(m[1, 0])) * x + splat(np.float32(m[1, 1] * y + m[1, 2] * f))
            )
            start_u = inverse * (
                splat(np.float32(start[0, 0])) * x
                + splat(np.float32(start[0, 1] * y + start[0, 2] * f))
            )
            start_v = inverse * (
                splat(np.float32(start[1, 0])) * x
                + splat(np.float32(start[1, 1] * y + start[1, 2] * f))
            )
            # The part of the ray between source and detector, as planes relative to the middle.
            end_a = planes
            end_b = planes + splat(np.float32(1)) / inverse

            total = zero
            sum_u, sum_v, moment_u, moment_v = zero, zero, zero, zero
            for block in range(blocks):
                if not occupied[block]:
                    continue
                begin = block * BLOCK
                begin += (first_plane - begin) % stride
                end = min(block * BLOCK + BLOCK, shape[2])
                offset = np.int64(begin) * plane
                for number in range(begin, end, stride):
                    k = splat(np.float32(number - middle))
                    u = clamp(start_u + k * p, zero, last_u)
                    v = clamp(start_v + k * q, zero, last_v)
                    if clip:
                        u = keep_between(k, end_a, end_b, u)
                    iu, iv = truncate(u), truncate(v)
                    fu, fv = u - to_float(iu), v - to_float(iv)
                    index = iv * width + iu
                    ahead = offset + np.int64(PREFETCH_PLANES * stride) * plane
                    ahead += np.int64(first_lane(index))
                    prefetch(grid, ahead)
                    prefetch(next_row, ahead)
                    lower = gather_pairs(grid, offset, index)
                    upper = gather_pairs(next_row, offset, index)
                    f00, f10 = to_float(low_half(lower)), to_float(low_half(upper))
                    d0 = to_float(high_half(lower)) - f00
                    d1 = to_float(high_half(upper)) - f10
                    value = f00 + fu * d0
                    by_v = f10 + fu * d1 - value
                    by_u = d0 + fv * (d1 - d0)
                    total = total + value + fv * by_v
                    sum_u = sum_u + by_u
                    sum_v = sum_v + by_v
                    moment_u = moment_u + k * by_u
                    moment_v = moment_v + k * by_v
                    offset += np.int64(stride) * plane

            length = square_root(x * x + splat(np.float32(y * y + f * f)))
            sign = 1.0 if m[2, 2] > 0 else -1.0
            weight = splat(np.float32(sign * scale * stride)) * length * inverse
            integral = weight * total
            at = np.int64(pose * rows + row) * padded + column
            store(flat_image, at, integral)
            if not wanted:
                continue
            for axis in range(6):
                n = linear_by_pose[pose, axis]
                s = source_by_pose[pose, axis]
                a_u = splat(np.float32(n[0, 0])) * x + splat(np.float32(n[0, 1] * y + n[0, 2] * f))
                a_v = splat(np.float32(n[1, 0])) * x + splat(np.float32(n[1, 1] * y + n[1, 2] * f))
                a_w = splat(np.float32(n[2, 0])) * x + splat(np.float32(n[2, 1] * y + n[2, 2] * f))
                by_p = (a_u - p * a_w) * inverse
                by_q = (a_v - q * a_w) * inverse
                s_w = splat(np.float32(s[2]))
                by_start_u = splat(np.float32(s[0])) - p * s_w - planes * by_p
                by_start_v = splat(np.float32(s[1])) - q * s_w - planes * by_q
                change = (
                    weight
                    * (sum_u * by_start_u + sum_v * by_start_v + moment_u * by_p + moment_v * by_q)
                    - integral * a_w * inverse
                )
                at = np.int64((pose * 6 + axis) * rows + row) * padded + column
                store(flat_jacobian, at, change)


@njit(inline="always")
def _add_mixed_sample(sums, labels, position, width, fu, fv, k):
    """Add one bilinear sample of every label's indicator, and of its slopes, to ``sums``."""
    a, b = labels[position] % MIXED, labels[position + 1] % MIXED
    c, d = labels[position + width] % MIXED, labels[position + width + 1] % MIXED
    gu, gv = np.float32(1) - fu, np.float32(1) - fv
    for corner in range(4):
        if corner == 0:
            label, weight, by_u, by_v = a, gu * gv, -gv, -gu
        elif corner == 1:
            label, weight, by_u, by_v = b, fu * gv, gv, -fu
        elif corner == 2:
            label, weight, by_u, by_v = c, gu * fv, -fv, gu
        else:
            label, weight, by_u, by_v = d, fu * fv, fv, fu
        if label != 0:
            channel = label - 1
            sums[channel, 0] += weight
            sums[channel, 1] += by_u
            sums[channel, 2] += by_v
            sums[channel, 3] += k * by_u
            sums[channel, 4] += k * by_v


@njit(parallel=True, fastmath=True, cache=True)
def march_labels(
    labels, shape, occupancy, stride, first_plane,
    source, linear, source_by_pose, linear_by_pose, clip, detector, rows, columns,
    image, jacobian,
):  # fmt: skip
    """Path length (mm) through every label, and derivatives, for B poses: one visit for all labels.

    Arguments as in ``march_image``, but for: ``labels`` uint16, 0 for background and c+1 for
    channel c, plus MIXED where one of the next voxels along u, v and both is another (most are not,
    so that most samples read one voxel); ``image`` [B, C, rows, columns] and ``jacobian``
    [B, C, 6, rows, columns] float32, zero where they come in: only rays that meet a label are
    written.
    """
    poses, channels = source.shape[0], image.shape[1]
    packets = (columns + LANES - 1) // LANES
    bands = (rows + TILE_ROWS - 1) // TILE_ROWS
    wanted = jacobian.shape[0] > 0
    middle = 0.5 * (shape[2] - 1)
    plane = np.int64(shape[0] * shape[1])
    width = np.int64(shape[0])
    blocks = occupancy.shape[0]

    for tile in prange(poses * bands * packets):
        pose = tile // (bands * packets)
        band = (tile // packets) % bands
        first_column = (tile % packets) * LANES
        column_end = min(columns, first_column + LANES)
        row_end = min(rows, (band + 1) * TILE_ROWS)
        x0, dx, y0, dy, f = detector
        xs = (x0 + first_column * dx, x0 + (column_end - 1) * dx)
        ys = (y0 + band * TILE_ROWS * dy, y0 + (row_end - 1) * dy)
        occupied = np.empty(blocks, np.bool_)
        m, o = linear[pose], source[pose]
        _mark_occupied(occupied, occupancy, shape, o, m, xs, ys, f, middle)
        sums = np.empty((channels, 5), np.float32)
        motion = np.empty((6, 5), np.float32)
        for row in range(band * TILE_ROWS, row_end):
            y = y0 + row * dy
            for column in range(first_column, column_end):
                x = x0 + column * dx
                sums[:] = np.float32(0)
                met = False
                start_u, start_v, p, q = _corner_line(o, m, x, y, f, middle)
                a_w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * f
                ends = (o[2] - middle, o[2] - middle + a_w)
                for block in range(blocks):
                    if not occupied[block]:
                        continue
                    begin = block * BLOCK
                    begin += (first_plane - begin) % stride
                    for number in range(begin, min(block * BLOCK + BLOCK, shape[2]), stride):
                        k = np.float32(number - middle)
                        u = np.float32(start_u + k * p)
                        v = np.float32(start_v + k * q)
                        if u < 0 or v < 0 or u >= shape[0] - PAD or v >= shape[1] - PAD:
                            continue
                        if clip and (k < min(ends) or k > max(ends)):
                            continue
                        iu, iv = np.int64(u), np.int64(v)
                        position = number * plane + iv * width + iu
                        label = labels[position]
                        if label == 0:
                            continue
                        met = True
                        if label < MIXED:
                            sums[label - 1, 0] += np.float32(1)
                        else:
                            _add_mixed_sample(
                                sums, labels, position, width,
                                u - np.float32(iu), v - np.float32(iv), k,
                            )  # fmt: skip
                if not met:
                    continue
                weight = stride * math.sqrt(x * x + y * y + f * f) / abs(a_w)
                for channel in range(channels):
                    image[pose, channel, row, column] = weight * sums[channel, 0]
                if not wanted:
                    continue
                planes = o[2] - middle
                for axis in range(6):
                    n, s = linear_by_pose[pose, axis], source_by_pose[pose, axis]
                    b_w = n[2, 0] * x + n[2, 1] * y + n[2, 2] * f
                    by_p = (n[0, 0] * x + n[0, 1] * y + n[0, 2] * f - p * b_w) / a_w
                    by_q = (n[1, 0] * x + n[1, 1] * y + n[1, 2] * f - q * b_w) / a_w
                    motion[axis, 0] = -weight * b_w / a_w
                    motion[axis, 1] = weight * (s[0] - p * s[2] - planes * by_p)
                    motion[axis, 2] = weight * (s[1] - q * s[2] - planes * by_q)
                    motion[axis, 3] = weight * by_p
                    motion[axis, 4] = weight * by_q
                for channel in range(channels):
                    t = sums[channel]
                    if t[0] == 0 and t[1] == 0 and t[2] == 0:
                        continue
                    for axis in range(6):
                        m5 = motion[axis]
                        jacobian[pose, channel, axis, row, column] = (
                            t[0] * m5[0] + t[1] * m5[1] + t[2] * m5[2] + t[3] * m5[3] + t[4] * m5[4]
                        )
