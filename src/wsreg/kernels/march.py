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

import numpy as np
from numba import njit

from wsreg.compiled import compiled
from wsreg.kernels.simd import (
    LANES,
    any_lane,
    clamp,
    first_lane,
    gather_pairs,
    high_half,
    keep_between,
    lane,
    lane_numbers,
    load,
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
    """Return (U, V, p, q) of one ray: where it meets plane ``middle`` and its slopes per plane."""
    a_w = linear[2, 0] * x + linear[2, 1] * y + linear[2, 2] * f
    p = (linear[0, 0] * x + linear[0, 1] * y + linear[0, 2] * f) / a_w
    q = (linear[1, 0] * x + linear[1, 1] * y + linear[1, 2] * f) / a_w
    planes = source[2] - middle
    return source[0] - p * planes, source[1] - q * planes, p, q


@njit(inline="always")
def _mark_occupied(occupied, occupancy, shape, source, linear, xs, ys, f, middle):
    """Mark which blocks of planes hold anything for a tile with corners xs, ys (mm, detector)."""
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


@njit(inline="always")
def _rays_of_row(x, y, f, o, m, middle):
    """Return (start u, start v, p, q, 1/a_w) of the rays to detector points x (a vector), y, f.

    Where a ray meets the middle plane is o - slope * planes, far source less long way: that
    difference is taken here, in float64, and times a_w, so that it is linear in x and y.
    """
    planes = o[2] - middle
    inverse = splat(np.float32(1)) / (
        splat(np.float32(m[2, 0])) * x + splat(np.float32(m[2, 1] * y + m[2, 2] * f))
    )
    p = inverse * (splat(np.float32(m[0, 0])) * x + splat(np.float32(m[0, 1] * y + m[0, 2] * f)))
    q = inverse * (splat(np.float32(m[1, 0])) * x + splat(np.float32(m[1, 1] * y + m[1, 2] * f)))
    u0 = o[0] * m[2, 0] - planes * m[0, 0]
    u1 = o[0] * m[2, 1] - planes * m[0, 1]
    u2 = o[0] * m[2, 2] - planes * m[0, 2]
    v0 = o[1] * m[2, 0] - planes * m[1, 0]
    v1 = o[1] * m[2, 1] - planes * m[1, 1]
    v2 = o[1] * m[2, 2] - planes * m[1, 2]
    start_u = inverse * (splat(np.float32(u0)) * x + splat(np.float32(u1 * y + u2 * f)))
    start_v = inverse * (splat(np.float32(v0)) * x + splat(np.float32(v1 * y + v2 * f)))
    return start_u, start_v, p, q, inverse


@njit(inline="always")
def _motion_of_rays(x, y, f, n, s, p, q, inverse, planes):
    """Return what moves along one pose parameter: vectors (start u, start v, p, q, a_w / a_w).

    The last is the relative change of a_w.  ``n`` and ``s`` are the derivatives of the linear part
    and of the source.
    """
    a_u = splat(np.float32(n[0, 0])) * x + splat(np.float32(n[0, 1] * y + n[0, 2] * f))
    a_v = splat(np.float32(n[1, 0])) * x + splat(np.float32(n[1, 1] * y + n[1, 2] * f))
    a_w = splat(np.float32(n[2, 0])) * x + splat(np.float32(n[2, 1] * y + n[2, 2] * f))
    by_p = (a_u - p * a_w) * inverse
    by_q = (a_v - q * a_w) * inverse
    s_w = splat(np.float32(s[2]))
    by_start_u = splat(np.float32(s[0])) - p * s_w - planes * by_p
    by_start_v = splat(np.float32(s[1])) - q * s_w - planes * by_q
    return by_start_u, by_start_v, by_p, by_q, a_w * inverse


def tile_count(poses: int, rows: int, columns: int) -> int:
    """Return how many tiles of TILE_ROWS x LANES pixels the images of B poses have."""
    return poses * -(-rows // TILE_ROWS) * -(-columns // LANES)


@compiled(nogil=True, fastmath=True)
def march_image(
    first_tile, last_tile,
    grid, shape, occupancy, scale, stride, first_plane,
    source, linear, source_by_pose, linear_by_pose, clip, detector, rows, columns,
    image, jacobian,
):  # fmt: skip
    """Add up line integrals (and derivatives) of one grid for B poses, or part of their pixels.

    Args:
        first_tile, last_tile: the tiles to do, of ``tile_count``; others are left as they are, so
            that several threads can share the work.
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
    padded = image.shape[2]
    packets = padded // LANES
    bands = (rows + TILE_ROWS - 1) // TILE_ROWS
    flat_image, flat_jacobian = image.reshape(-1), jacobian.reshape(-1)
    wanted = jacobian.shape[0] > 0
    middle = 0.5 * (shape[2] - 1)
    plane = np.int64(shape[0] * shape[1])
    next_row = grid[shape[0] :]  # one voxel further along v
    blocks = occupancy.shape[0]
    occupied = np.empty(blocks, np.bool_)

    for tile in range(first_tile, last_tile):
        pose = tile // (bands * packets)
        band = (tile // packets) % bands
        column = (tile % packets) * LANES
        row_end = min(rows, (band + 1) * TILE_ROWS)
        x0, dx, y0, dy, f = detector
        xs = (x0 + column * dx, x0 + (min(columns, column + LANES) - 1) * dx)
        ys = (y0 + band * TILE_ROWS * dy, y0 + (row_end - 1) * dy)
        _mark_occupied(occupied, occupancy, shape, source[pose], linear[pose], xs, ys, f, middle)

        m = linear[pose]
        o = source[pose]
        planes = splat(np.float32(o[2] - middle))
        zero = splat(np.float32(0))
        last_u = splat(np.float32(shape[0] - PAD))
        last_v = splat(np.float32(shape[1] - PAD))
        width = splat(np.int32(shape[0]))
        # Lanes beyond the last column repeat it, lest their rays leave the field of view.
        first_x, last_x = splat(np.float32(xs[0])), splat(np.float32(xs[1]))
        x = clamp(first_x + lane_numbers() * splat(np.float32(dx)), first_x, last_x)
        for row in range(band * TILE_ROWS, row_end):
            y = y0 + row * dy
            start_u, start_v, p, q, inverse = _rays_of_row(x, y, f, o, m, middle)
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
                by_start_u, by_start_v, by_p, by_q, by_w = _motion_of_rays(
                    x, y, f, linear_by_pose[pose, axis], source_by_pose[pose, axis],
                    p, q, inverse, planes,
                )  # fmt: skip
                change = (
                    weight
                    * (sum_u * by_start_u + sum_v * by_start_v + moment_u * by_p + moment_v * by_q)
                    - integral * by_w
                )
                at = np.int64((pose * 6 + axis) * rows + row) * padded + column
                store(flat_jacobian, at, change)


@njit(inline="always")
def _add_mixed_sample(sums, beside, labels, position, width, fu, fv, k):
    """Add one bilinear sample of every label's indicator, and of its slopes, to a lane of sums."""
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
            sums[channel, 0, beside] += weight
            sums[channel, 1, beside] += by_u
            sums[channel, 2, beside] += by_v
            sums[channel, 3, beside] += k * by_u
            sums[channel, 4, beside] += k * by_v


@compiled(nogil=True, fastmath=True)
def march_labels(
    first_tile, last_tile,
    labels, shape, occupancy, stride, first_plane,
    source, linear, source_by_pose, linear_by_pose, clip, detector, rows, columns,
    image, jacobian,
):  # fmt: skip
    """Add up path lengths (mm) through all labels, and derivatives, for B poses in one visit.

    Arguments as in ``march_image``, but for: ``labels`` uint16, 0 for background and c+1 for
    channel c, plus MIXED where one of the next voxels along u, v and both is another (most are not,
    so that most samples read one voxel); ``image`` [B, C, rows, padded columns] and ``jacobian``
    [B, C, 6, rows, padded columns] float32, zero as they come in: only packets of rays that meet a
    label are written.
    """
    channels = image.shape[1]
    padded = image.shape[3]
    packets = padded // LANES
    bands = (rows + TILE_ROWS - 1) // TILE_ROWS
    flat_image, flat_jacobian = image.reshape(-1), jacobian.reshape(-1)
    wanted = jacobian.shape[0] > 0
    middle = 0.5 * (shape[2] - 1)
    plane = np.int64(shape[0] * shape[1])
    blocks = occupancy.shape[0]
    occupied = np.empty(blocks, np.bool_)
    sums = np.zeros((channels, 5, LANES), np.float32)
    flat_sums = sums.reshape(-1)

    for tile in range(first_tile, last_tile):
        pose = tile // (bands * packets)
        band = (tile // packets) % bands
        column = (tile % packets) * LANES
        lanes = min(columns - column, LANES)
        row_end = min(rows, (band + 1) * TILE_ROWS)
        x0, dx, y0, dy, f = detector
        xs = (x0 + column * dx, x0 + (column + lanes - 1) * dx)
        ys = (y0 + band * TILE_ROWS * dy, y0 + (row_end - 1) * dy)
        m, o = linear[pose], source[pose]
        _mark_occupied(occupied, occupancy, shape, o, m, xs, ys, f, middle)
        planes = splat(np.float32(o[2] - middle))
        zero = splat(np.float32(0))
        last_u = splat(np.float32(shape[0] - PAD))
        last_v = splat(np.float32(shape[1] - PAD))
        width = splat(np.int32(shape[0]))
        first_x, last_x = splat(np.float32(xs[0])), splat(np.float32(xs[1]))
        x = clamp(first_x + lane_numbers() * splat(np.float32(dx)), first_x, last_x)
        for row in range(band * TILE_ROWS, row_end):
            y = y0 + row * dy
            start_u, start_v, p, q, inverse = _rays_of_row(x, y, f, o, m, middle)
            end_a = planes
            end_b = planes + splat(np.float32(1)) / inverse
            met = False
            for block in range(blocks):
                if not occupied[block]:
                    continue
                begin = block * BLOCK
                begin += (first_plane - begin) % stride
                for number in range(begin, min(block * BLOCK + BLOCK, shape[2]), stride):
                    k = splat(np.float32(number - middle))
                    u = clamp(start_u + k * p, zero, last_u)
                    v = clamp(start_v + k * q, zero, last_v)
                    if clip:
                        u = keep_between(k, end_a, end_b, u)
                    iu, iv = truncate(u), truncate(v)
                    index = iv * width + iu
                    offset = np.int64(number) * plane
                    codes = low_half(gather_pairs(labels, offset, index))
                    if not any_lane(codes):
                        continue
                    met = True
                    fu, fv = u - to_float(iu), v - to_float(iv)
                    for beside in range(lanes):
                        code = lane(codes, beside)
                        if code == 0:
                            continue
                        if code < MIXED:
                            sums[code - 1, 0, beside] += np.float32(1)
                        else:
                            _add_mixed_sample(
                                sums, beside, labels, offset + lane(index, beside), shape[0],
                                lane(fu, beside), lane(fv, beside), np.float32(number - middle),
                            )  # fmt: skip
            if not met:
                continue
            length = square_root(x * x + splat(np.float32(y * y + f * f)))
            sign = 1.0 if m[2, 2] > 0 else -1.0
            weight = splat(np.float32(sign * stride)) * length * inverse
            for channel in range(channels):
                first = channel * 5 * LANES
                total = weight * load(flat_sums, first)
                at = np.int64((pose * channels + channel) * rows + row) * padded + column
                store(flat_image, at, total)
            if wanted:
                for axis in range(6):
                    by_start_u, by_start_v, by_p, by_q, by_w = _motion_of_rays(
                        x, y, f, linear_by_pose[pose, axis], source_by_pose[pose, axis],
                        p, q, inverse, planes,
                    )  # fmt: skip
                    for channel in range(channels):
                        first = channel * 5 * LANES
                        change = weight * (
                            load(flat_sums, first + LANES) * by_start_u
                            + load(flat_sums, first + 2 * LANES) * by_start_v
                            + load(flat_sums, first + 3 * LANES) * by_p
                            + load(flat_sums, first + 4 * LANES) * by_q
                            - load(flat_sums, first) * by_w
                        )
                        plane_of = np.int64((pose * channels + channel) * 6 + axis)
                        store(flat_jacobian, (plane_of * rows + row) * padded + column, change)
            sums[:] = np.float32(0)
