"""What a registration is asked for, checked, and put together to a problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from wsreg.errors import InputError, check_is
from wsreg.files.names import different
from wsreg.geometry.arrays import finite_numbers
from wsreg.geometry.camera import Camera
from wsreg.geometry.rig import Rig, RigView, relative
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration.views import View
from wsreg.rendering.prepared import PreparedCt, check_prepared
from wsreg.segmentation.rois import RoiTarget
from wsreg.vocabulary import Method
from wsreg.volumes.region_names import find_labels, labels_of_region
from wsreg.volumes.volume import Volume

Rigs = Rig | Sequence[Tensor] | None
T = TypeVar("T")

LARGEST = 1e15
"""Of a pixel's value: sums of squares over an image are taken in single precision."""


def _listed(radiographs: Radiograph | Sequence[Radiograph]) -> list[Radiograph]:
    """Return the X-rays, one or several.

    Raises:
        InputError: something else is among them, or there is none.
    """
    listed = isinstance(radiographs, list | tuple)
    found: list[Any] = list(radiographs) if listed else [radiographs]  # type: ignore[arg-type]
    for number, radiograph in enumerate(found):
        name = f"radiographs[{number}]" if listed else "radiograph"
        check_is(radiograph, Radiograph, name, "wsreg.read_radiograph reads one")
    if not found:
        raise InputError("radiographs must be at least one X-ray, got none")
    return found


def asked_views(
    radiographs: Radiograph | Sequence[Radiograph],
    rig: Rigs,
    camera: Camera | Sequence[Camera | None] | None,
    rois: RoiTarget | Sequence[RoiTarget | None] | None,
) -> tuple[View, ...]:
    """Return the X-rays with their geometry; the rig's frame becomes the first view's camera.

    Raises:
        InputError: no X-ray, a rig or a list that does not have one entry for each, geometry that
            is missing or does not fit.
    """
    radiographs = _listed(radiographs)
    count = len(radiographs)
    if rig is None and count > 1:
        raise InputError(
            f"rig must tell how the cameras of {count} X-rays stand to each other; without one, "
            "register them one by one"
        )
    found = _as_rig(rig, count)
    names = different(radiograph.name for radiograph in radiographs)
    if isinstance(camera, Camera):
        camera = [camera] * count
    cameras: list[Camera | None] = _for_each(camera, count, "camera", "Camera")
    if isinstance(rois, RoiTarget):
        rois = [rois]
    targets: list[RoiTarget | None] = _for_each(rois, count, "rois", "RoiTarget")
    views = []
    for radiograph, name, seen, own, target, pose in zip(
        radiographs, names, found.views, cameras, targets, relative(found), strict=True
    ):
        _check_finite(radiograph)
        if own is not None:
            check_is(own, Camera, "camera", "wsreg.read_camera reads one")
        if target is not None:
            check_is(target, RoiTarget, "rois")
        views.append(
            View(
                radiograph=dataclasses.replace(radiograph, name=name),
                camera=_camera_of(radiograph, own or seen.camera),
                camera_from_rig=pose,
                rois=target,
            )
        )
    return tuple(views)


def _as_rig(rig: Rigs, count: int) -> Rig:
    if rig is None:
        rig = [torch.eye(4, dtype=torch.float64)]
    if not isinstance(rig, Rig):
        if not isinstance(rig, list | tuple | Tensor | np.ndarray):
            raise InputError(f"rig must be a rig or a camera_from_rig for each X-ray, got {rig!r}")
        rig = Rig(
            views=tuple(
                RigView(name=f"view-{number}", camera_from_rig=pose)
                for number, pose in enumerate(rig, start=1)
            )
        )
    if len(rig.views) != count:
        raise InputError(f"rig must have one view for each X-ray, got {len(rig.views)} for {count}")
    return rig


def _for_each(
    values: Sequence[T | None] | None, count: int, name: str, kind: str
) -> list[T | None]:
    if values is not None and not isinstance(values, list | tuple):
        raise InputError(
            f"{name} must be a {kind} or a list of one for each X-ray, got {type(values).__name__}"
        )
    if values is not None and len(values) != count:
        raise InputError(f"{name} must be one for each X-ray, got {len(values)} for {count} X-rays")
    return [None] * count if values is None else list(values)


def asked_ct(volume: Volume | PreparedCt, prepared: PreparedCt | None) -> PreparedCt:
    """Return the CT as it is prepared; ``prepared`` must be of this volume."""
    check_is(volume, Volume | PreparedCt, "volume", "wsreg.read_volume reads one")
    if prepared is not None:
        check_is(prepared, PreparedCt, "prepared", "wsreg.prepare makes one")
    held = volume if isinstance(volume, PreparedCt) else PreparedCt(volume=volume)
    if prepared is None:
        return held
    check_prepared(prepared, held.volume)
    return prepared


def _check_finite(radiograph: Radiograph) -> None:
    for image in (radiograph.image, radiograph.opposite_polarity):
        if image is not None and not bool(torch.isfinite(image[radiograph.mask]).all()):
            raise InputError(
                f"radiograph {radiograph.name} must be finite where its mask is true, "
                "it holds NaN or infinity"
            )
        if image is not None and bool((image[radiograph.mask].abs() > LARGEST).any()):
            raise InputError(
                f"radiograph {radiograph.name} must have values of at most {LARGEST:g}, "
                "it has larger ones"
            )


def check_shows_something(views: Sequence[View], volume: Volume) -> None:
    """Refuse an X-ray or a CT in memory that shows nothing, as those from files are.

    Raises:
        InputError: every pixel or voxel that counts is the same, or all voxels are air.
    """
    for view in views:
        pixels = view.radiograph.image[view.radiograph.mask]
        if pixels.numel() and bool((pixels == pixels[0]).all()):
            raise InputError(
                f"radiograph {view.radiograph.name} must show something, "
                f"every pixel is {float(pixels[0]):g}"
            )
    low, high = volume.range_hu
    if high <= volume.air_hu or low == high:
        what = "air" if low < high else f"{low:g} HU"
        raise InputError(f"volume must hold a body, its voxels are all {what}")


def asked_pivot(volume: Volume, pivot_mm: Any) -> Tensor:
    """Return [3] float64 the centre of rotation, checked; by default the volume's."""
    if pivot_mm is None:
        return volume.centre_mm
    return finite_numbers(pivot_mm, "pivot_mm", (3,))


def checked_rois(
    views: Sequence[View], volume: Volume, labels: Collection[int], method: Method
) -> tuple[View, ...]:
    """Return the views with their regions checked, those alone that move with the labels rendered.

    Raises:
        InputError: regions that do not fit the X-ray, the CT or the method.
    """
    checked = []
    for view in views:
        rois = None if view.rois is None else _with_label_values(view.rois, volume)
        if rois is not None:
            _check_rois(rois, view.radiograph, volume, method)
            rois = _moving_with(labels, rois, volume) if labels else rois
        checked.append(dataclasses.replace(view, rois=rois))
    return tuple(checked)


def _with_label_values(rois: RoiTarget, volume: Volume) -> RoiTarget:
    """Return regions whose labels are all values; names are looked up in the CT."""
    if all(isinstance(label, int) for group in rois.labels for label in group):
        return rois
    groups = [
        find_labels(volume, group, f"ROI {name}")
        for name, group in zip(rois.names, rois.labels, strict=True)
    ]
    return dataclasses.replace(rois, labels=tuple(groups))


def _check_rois(rois: RoiTarget, radiograph: Radiograph, volume: Volume, method: Method) -> None:
    size, shape = tuple(rois.masks.shape[1:]), tuple(radiograph.image.shape)
    if size != shape:
        raise InputError(
            f"ROI masks must have the X-ray's rows x columns, {shape[0]} x {shape[1]}, "
            f"got {size[0]} x {size[1]}"
        )
    if rois.moving_segmenter is not None and method != "adam":
        raise InputError(
            "method must be adam for regions that a network finds in rendered images, "
            f"got {method!r}"
        )
    known = set(volume.label_values)
    for name, group in zip(rois.names, rois.labels, strict=bool(rois.labels)):
        if rois.moving_segmenter is None and not known.issuperset(group):
            raise InputError(
                f"ROI {name} must be made of labels of the CT {sorted(known)}, "
                f"got {sorted(set(group) - known)}"
            )


def _moving_with(labels: Collection[int], rois: RoiTarget, volume: Volume) -> RoiTarget:
    """Return the regions that are made of these labels and of no others."""
    if rois.moving_segmenter is None:
        return rois.restricted_to(labels)
    groups = [labels_of_region(name, volume) for name in rois.names]
    return rois.at(
        [index for index, group in enumerate(groups) if group and set(group) <= set(labels)]
    )


def _camera_of(radiograph: Radiograph, camera: Camera | None) -> Camera:
    camera = camera or radiograph.camera
    if camera is None:
        lacking = " ".join(note for note in radiograph.notes if "lacks" in note)
        raise InputError(
            "camera must be given for a radiograph without geometry of its own: "
            "source_to_detector_mm and pixel_spacing_mm are needed"
            + (f" ({lacking.rstrip('.')})" if lacking else "")
        )
    size = tuple(radiograph.image.shape)
    if (camera.rows, camera.columns) != size:
        raise InputError(
            f"camera rows and columns must match the image, {size[0]} x {size[1]}, "
            f"got {camera.rows} x {camera.columns}"
        )
    return camera


def asked_labels(volume: Volume, render_labels: Any) -> tuple[int, ...]:
    """Return the label values of ``render_labels``, values or names, or a single one."""
    one = isinstance(render_labels, int | str)
    wanted = [render_labels] if one else list(render_labels)
    return tuple(sorted(find_labels(volume, wanted, "render_labels")))
