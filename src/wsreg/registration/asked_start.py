"""Where a registration is asked to begin: checked, and read where it is in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from wsreg.errors import InputError
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.landmarks import Landmarks, read_landmarks
from wsreg.geometry.plausibility import camera_doubts, check_plausible_pose
from wsreg.geometry.rigidity import check_rigid
from wsreg.registration.starts.pose_estimator import PoseEstimator, load_pose_estimator
from wsreg.registration.starts.table import NAMED
from wsreg.registration.views import View
from wsreg.rendering.prepared import PreparedCt
from wsreg.vocabulary import ENCODER_PREFIX, LANDMARKS_PREFIX
from wsreg.volumes.views import rig_view_pose
from wsreg.volumes.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class AskedStart:
    """A start as :class:`wsreg.registration.problem.Problem` has it; see there."""

    pose: Tensor
    init: str
    view: str | CArmAngles
    encoder: PoseEstimator | None = None
    landmarks: Landmarks | None = None


def asked_start(
    views: Sequence[View], ct: PreparedCt, init: Any, view: str | CArmAngles | None
) -> AskedStart:
    """Return the start asked for, with the pose [4,4] that it is or that it looks around.

    Raises:
        InputError: a pose that cannot be right, an unknown start or view, no angles or regions for
            it, an encoder of another CT, or landmarks that do not fit.
    """
    for seen in views:
        _check_distance(seen.camera, ct.volume)
    found, kind = _read(views, ct, init)
    encoder = found if isinstance(found, PoseEstimator) else None
    view = asked_view(views, view, encoder)
    if kind == "pose":
        pose = check_rigid(found, "init")
        for seen in views:
            _check_seen(seen, seen.camera_from_rig @ pose, ct.volume, alone=len(views) == 1)
        return AskedStart(pose=pose, init=kind, view=view)
    around = _angles_of(views[0]) if kind == "dicom" else view
    cameras, poses = [v.camera for v in views], [v.camera_from_rig for v in views]
    return AskedStart(
        pose=rig_view_pose(ct.volume, cameras, poses, around),
        init=kind,
        view=view,
        encoder=encoder,
        landmarks=found if isinstance(found, Landmarks) else None,
    )


def _read(views: Sequence[View], ct: PreparedCt, init: Any) -> tuple[Any, str]:
    """Return what a start is made of, read from its file if it has one, and the start's name."""
    if isinstance(init, str) and init.startswith(ENCODER_PREFIX):
        init = load_pose_estimator(_path_after(ENCODER_PREFIX, init, "the encoder's folder"))
    if isinstance(init, str) and init.startswith(LANDMARKS_PREFIX):
        file = _path_after(LANDMARKS_PREFIX, init, "the landmarks' file")
        init = read_landmarks(file, views[0].radiograph.name)
    if isinstance(init, PoseEstimator):
        return (init if init.bound else init.for_ct(ct)), "encoder"
    if isinstance(init, Landmarks):
        init.check_fits(views[0].camera, ct.volume.corners_mm)
        return init, "landmarks"
    if not isinstance(init, str):
        return init, "pose"
    if init not in NAMED:
        raise InputError(
            f"init must be a pose or one of {', '.join(NAMED)}, {ENCODER_PREFIX}DIR, "
            f"{LANDMARKS_PREFIX}FILE, got {init!r}"
        )
    if init == "roi" and not any(map(_rendered, views)):
        raise InputError(
            "init 'roi' needs regions of the X-ray (rois) that are compared with labels of the CT, "
            f"{views[0].radiograph.name} has none"
        )
    return None, init


def _rendered(view: View) -> bool:
    """Return whether a view has regions that are compared with rendered labels."""
    rois = view.rois
    return rois is not None and bool(rois.labels) and rois.moving_segmenter is None


def _path_after(prefix: str, init: str, what: str) -> Path:
    path = init.removeprefix(prefix)
    if not path:
        raise InputError(f"init must name {what} after {prefix}, got {init!r}")
    return Path(path)


def _angles_of(view: View) -> CArmAngles:
    if view.radiograph.angles is None:
        raise InputError(
            "init 'dicom' needs C-arm angles in the header of "
            f"{view.radiograph.name}, it has none; use 'search' or a pose"
        )
    return view.radiograph.angles


def asked_view(
    views: Sequence[View], view: str | CArmAngles | None, encoder: PoseEstimator | None = None
) -> str | CArmAngles:
    """Return the view asked for, else that of the first X-ray's header, else the encoder's."""
    learnt = "PA" if encoder is None else encoder.frame.view
    return view or views[0].radiograph.view_position or learnt


def _check_seen(view: View, camera_from_ct: Tensor, volume: Volume, *, alone: bool) -> None:
    """Refuse a start at which a view cannot show the CT; of several views it is named."""
    try:
        check_plausible_pose(camera_from_ct, view.camera, volume.corners_mm)
    except InputError as error:
        where = "" if alone else f"in view {view.radiograph.name}: "
        raise InputError(f"{where}{error}") from None


def _check_distance(camera: Camera, volume: Volume) -> None:
    """Refuse a detector so near to the source that no CT of this size has room before it."""
    counts = reversed(volume.hu.shape)
    thinnest_mm = min(n * mm for n, mm in zip(counts, volume.spacing_mm, strict=True))
    if camera.source_to_detector_mm <= thinnest_mm:
        doubt = camera_doubts(camera).get("source_to_detector_mm", "")
        asked = f"; {doubt.rsplit('; ', 1)[1]}" if doubt.endswith("?") else ""
        raise InputError(
            "camera source_to_detector_mm must leave room for the CT, which is "
            f"{thinnest_mm:.0f} mm thin, got {camera.source_to_detector_mm:g}{asked}"
        )
