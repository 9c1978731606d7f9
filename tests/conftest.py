"""Settings for all tests."""

from __future__ import annotations

import hypothesis
import torch

# Small tensors, busy machines: one thread is faster and steadier than two that wait for each other.
torch.set_num_threads(1)

# Timings never decide a test.
hypothesis.settings.register_profile("wsreg", deadline=None)
hypothesis.settings.load_profile("wsreg")
