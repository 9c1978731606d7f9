"""The frames of a sequence as they are registered: checked one by one, for files are read late."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wsreg.errors import InputError, check_is
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.blank import is_blank
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.views import View
from wsreg.segmentation.rois import RoiTarget

FrameViews = Radiograph | Sequence[Radiograph]
"""One frame: an X-ray, or one for each view of a rig."""
FrameRois = RoiTarget | Sequence[RoiTarget | None] | None
"""Regions of a frame, or of each of its views; None where there are none."""


STILL_DEG = 0.5
"""By so much the angles of a C-arm at rest may differ from frame to frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One frame: the X-ray of each view, and its regions where they are known."""

    radiographs: tuple[Radiograph, ...]
    rois: tuple[RoiTarget | None, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Frames by number.

    Args:
        radiographs: of each frame; one that raises ``InputError`` when it is asked for cannot be
            read.
        rois: of each frame, of each view if there are several; None where there are none.
    """

    radiographs: Sequence[FrameViews]
    rois: Sequence[FrameRois] | None = None

    def __len__(self) -> int:
        return len(self.radiographs)

    def name(self, number: int) -> str:
        """Return what a frame that cannot be read is called, where its file tells."""
        names: Sequence[str] = getattr(self.radiographs, "names", ())
        return names[number] if names else ""

    def __getitem__(self, number: int) -> Frame:
        """Return a frame.

        Raises:
            InputError: it cannot be read, or is no X-ray.
        """
        found: Any = self.radiographs[number]
        listed: list[Any] = list(found) if isinstance(found, list | tuple) else [found]
        for radiograph in listed:
            check_is(radiograph, Radiograph, f"frames[{number}]", "wsreg.read_radiograph reads one")
        rois: Any = None if self.rois is None else self.rois[number]
        targets: list[Any] = list(rois) if isinstance(rois, list | tuple) else [rois] * len(listed)
        return Frame(radiographs=tuple(listed), rois=tuple(targets))


def check_alike(
    frame: Frame, number: int, views: Sequence[View], *, any_camera: bool = False
) -> None:
    """Refuse a frame of another size or, unless ``any_camera``, another camera than the first.

    Args:
        frame: the frame.
        number: of it.
        views: of the first frame.
        any_camera: whether the frames' own cameras do not count.

    Raises:
        InputError: it is.
    """
    if len(frame.radiographs) != len(views):
        raise InputError(
            f"frames must each have {len(views)} views, frame {number} has {len(frame.radiographs)}"
        )
    for radiograph, view in zip(frame.radiographs, views, strict=True):
        here = f"frame {number} ({radiograph.name})"
        camera, (rows, columns) = view.camera, radiograph.image.shape
        if (rows, columns) != (camera.rows, camera.columns):
            raise InputError(
                f"frames must be of one size, the first has {camera.rows} x {camera.columns} "
                f"pixels and {here} {rows} x {columns}"
            )
        own = None if any_camera else radiograph.camera
        if own is not None and own != camera:
            raise InputError(
                f"frames must be of one camera, the first has {camera} and {here} {own}; register "
                "such frames one by one"
            )
        if _turned_deg(radiograph.angles, view.radiograph.angles) > STILL_DEG:
            raise InputError(
                f"frames must be of one camera that stands still, {here} was taken at other C-arm "
                "angles than the first; register such frames one by one"
            )


def _turned_deg(one: CArmAngles | None, other: CArmAngles | None) -> float:
    """Return by how much two C-arm angles differ; 0 where one is not known."""
    if one is None or other is None:
        return 0.0
    apart = (one.primary_rad - other.primary_rad, one.secondary_rad - other.secondary_rad)
    return math.degrees(max(map(abs, apart)))


def blank_views(frame: Frame) -> list[str]:
    """Return the names of the X-rays that show nothing."""
    return [one.name for one in frame.radiographs if is_blank(one.image, one.mask)]
