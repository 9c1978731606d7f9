"""The compiled kernels, loaded before they are needed."""

from __future__ import annotations

import numpy as np

from wsreg.kernels.march import BLOCK, PAD, march_image, march_labels
from wsreg.kernels.simd import LANES
from wsreg.kernels.window_ncc import linearize_windows


def load_kernels() -> None:
    """Load the kernels from the disk cache, or compile them (some 20 s, once after installing).

    They march one ray through one empty plane; once they are loaded that takes no time.
    """
    size = 2 * PAD + 1
    values = np.zeros(size * size + 1, np.uint16)
    shape = np.array([size, size, 1], np.int64)
    occupancy = np.zeros((-(-1 // BLOCK), 2, 2), np.int32)
    arguments = (
        1, 0, np.zeros((1, 3)), np.eye(3)[None], np.zeros((1, 6, 3)), np.zeros((1, 6, 3, 3)),
        False, (0.0, 1.0, 0.0, 1.0, 100.0), 1, 1,
    )  # fmt: skip
    image, jacobian = np.zeros((1, 1, LANES), np.float32), np.zeros((1, 6, 1, LANES), np.float32)
    march_image(0, 1, values, shape, occupancy, 1.0, *arguments, image, jacobian)
    march_labels(0, 1, values, shape, occupancy, *arguments, image[:, None], jacobian[:, None])
    plain, one = np.zeros((2, 2), np.float32), np.ones(1, np.float32)
    linearize_windows(
        plain, plain + 1, plain, np.zeros((1, 2, 2), np.float32), (2, 2), 1, one, one, one, one,
        0.0, 1.0, 0.0, np.zeros(1), np.zeros((1, 1)),
    )  # fmt: skip
