"""One X-ray with everything that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.radiographs.radiograph import Radiograph
from wsreg.volumes.volume import Volume

PELVIS = "pelvis"
"""The body whose pose is that of the CT."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """An X-ray of a specimen, its CT and the truth, all in this package's frames.

    Args:
        specimen: such as ``17-1882``.
        projection: such as ``005``.
        volume: the specimen's CT with labels; one object shared by all its samples.
        radiograph: prepared for registration; it carries its camera.
        poses: body -> [4,4] float64 true pose, LPS mm -> camera mm: each moves the CT so that this
            body fits.  ``pelvis`` always; ``left-femur`` and ``right-femur`` where they are valid.
        labels: [H,W] uint8 true label of each pixel of the radiograph, 0 is background; or None.
        landmarks_mm: name -> [3] float64 in CT coordinates (LPS mm).
        landmarks_px: name -> [2] float64 (column, row) in the radiograph; may lie outside of it.
        record: what a simulator noted of how the image was made; empty for real ones.
    """

    specimen: str
    projection: str
    volume: Volume
    radiograph: Radiograph
    poses: Mapping[str, Tensor]
    labels: Tensor | None = None
    landmarks_mm: Mapping[str, Tensor] = field(default_factory=dict)
    landmarks_px: Mapping[str, Tensor] = field(default_factory=dict)
    record: Mapping[str, object] = field(default_factory=dict)

    @property
    def camera_from_ct(self) -> Tensor:
        """Return the [4,4] float64 true pose of the pelvis, LPS mm -> camera mm."""
        return self.poses[PELVIS]

    @property
    def camera(self) -> Camera:
        """Return the geometry of the radiograph."""
        assert self.radiograph.camera is not None  # a sample's radiograph always has one
        return self.radiograph.camera

    @property
    def name(self) -> str:
        """Return specimen and projection, such as ``17-1882/005``."""
        return f"{self.specimen}/{self.projection}"
