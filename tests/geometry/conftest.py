from __future__ import annotations

import pytest

from wsreg.geometry.camera import Camera


@pytest.fixture
def camera() -> Camera:
    """A wide image whose optical axis is off its centre."""
    return Camera(
        source_to_detector_mm=1000.0,
        rows=100,
        columns=200,
        pixel_spacing_mm=(2.0, 1.0),
        principal_point_px=(90.0, 60.0),
    )
