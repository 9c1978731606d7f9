"""An X-ray whose left and right are exchanged, and the camera that then fits it."""

from __future__ import annotations

import dataclasses

from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph


def mirrored_radiograph(radiograph: Radiograph) -> Radiograph:
    """Return the X-ray with its columns in reverse order, and its camera with it."""
    camera, other = radiograph.camera, radiograph.opposite_polarity
    return dataclasses.replace(
        radiograph,
        image=radiograph.image.flip(-1),
        mask=radiograph.mask.flip(-1),
        camera=None if camera is None else mirrored_camera(camera),
        opposite_polarity=None if other is None else other.flip(-1),
    )


def mirrored_camera(camera: Camera) -> Camera:
    """Return the camera of a mirrored image, its principal point as far from the other side."""
    column, row = camera.centre_px
    return dataclasses.replace(camera, principal_point_px=(camera.columns - 1 - column, row))
