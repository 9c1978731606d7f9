"""What every renderer does."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from wsreg.geometry.camera import Camera
from wsreg.rendering.plane_grid import Rois
from wsreg.rendering.prepared import PreparedVolume


class RenderBackend(Protocol):
    """A renderer; a module with such a function is one."""

    def render(
        self,
        prepared: PreparedVolume,
        camera: Camera,
        camera_from_ct: Tensor,
        *,
        rois: Rois,
        attenuation: bool,
        step_mm: float | None,
        pivot_mm: Tensor,
        derivatives: bool,
    ) -> tuple[Tensor, Tensor]:
        """Render the channels of a CT at poses, and what they change by as the poses move.

        Args:
            prepared: the CT.
            camera: the X-ray geometry.
            camera_from_ct: [B,4,4] float64 rigid poses (LPS mm to camera mm), finite, on a device
                that the renderer runs on.
            rois: groups of labels that the volume has, each a channel; groups may share labels.
            attenuation: whether the line integral of attenuation is the first channel.
            step_mm: longest step along the central ray; None for every voxel plane.
            pivot_mm: [3] float64 centre of rotation (CT, LPS mm).
            derivatives: whether they are wanted.

        Returns:
            (image [B,C,H,W], jacobian [B,C,H,W,6] or else empty), of the renderer's float type and
            on the poses' device.  Columns as in :func:`wsreg.geometry.rigid.perturb`.

        Raises:
            InputError: the step is not positive.
        """
        ...
