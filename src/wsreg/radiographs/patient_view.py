"""Which way a patient lies in an image and which way the rays went, from a DICOM header."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wsreg.dicom.header import Header
from wsreg.geometry.carm import CArmAngles
from wsreg.radiographs.orientation import Directions, opposite
from wsreg.vocabulary import ViewName

DIRECTIONS_LPS = {
    "L": (1.0, 0.0, 0.0),
    "P": (0.0, 1.0, 0.0),
    "H": (0.0, 0.0, 1.0),
}

RAYS_TO: dict[ViewName, str] = {"PA": "A", "AP": "P", "LAT": "L", "RLAT": "R"}
"""Where rays of a named view run to."""

VIEW_OF_POSITION: dict[str, ViewName] = {"AP": "AP", "PA": "PA", "LL": "LAT", "RL": "RLAT"}
"""ViewPosition: a left lateral has the left side at the detector, so rays run to the left."""

VIEW_OF_CODE: dict[str, ViewName] = {
    "399348003": "AP",
    "R-10206": "AP",
    "ANTERO-POSTERIOR": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "POSTERO-ANTERIOR": "PA",
    "399173006": "LAT",
    "R-10236": "LAT",
    "LEFT LATERAL": "LAT",
    "399198007": "RLAT",
    "R-10232": "RLAT",
    "RIGHT LATERAL": "RLAT",
}
"""ViewCodeSequence, context group 4010: SNOMED codes, the older ones, and their meanings."""

NEAR_DEG = 15.0
"""How far C-arm angles may be from a named view to count as it."""

CLEAR = 0.5
"""Cosine from which two directions count as the same."""


def patient_orientation(header: Header) -> Directions | None:
    """Return the patient's directions along increasing columns and rows, such as ("L", "F")."""
    words = header.words("PatientOrientation")
    if not any(words):
        return None
    if len(words) != 2 or any(_vector(word) is None for word in words):
        header.ignore("PatientOrientation")
        return None
    return words[0], words[1]


def view_position(header: Header, angles: CArmAngles | None) -> ViewName | None:
    """Return the named view by ViewPosition, else by its code, else by C-arm angles near one."""
    view = VIEW_OF_POSITION.get(header.word("ViewPosition"))
    if view is not None:
        return view
    for item in header.items("ViewCodeSequence"):
        code = Header(levels=(item,))
        for keyword in ("CodeValue", "CodeMeaning"):
            view = VIEW_OF_CODE.get(code.word(keyword))
            if view is not None:
                return view
    return None if angles is None else _view_of_angles(angles)


def orientation_note(directions: Directions | None, view: str | None) -> str | None:
    """Return a sentence where an image cannot be what the camera saw, None where it can.

    The camera's frame is right-handed: columns x rows points along the rays.

    Args:
        directions: the patient's, along increasing columns and rows of the image.
        view: a named view.
    """
    if directions is None or view not in RAYS_TO:
        return None
    columns, rows = (_vector(letters) for letters in directions)
    if columns is None or rows is None:
        return None
    normal = np.cross(columns, rows)
    length = float(np.linalg.norm(normal))
    rays = _vector(RAYS_TO[view])
    along = float(normal @ rays) / length if length > 0 and rays is not None else 0.0
    said = f"PatientOrientation {directions[0]}\\{directions[1]} and the view {view}"
    if along < -CLEAR:
        return (
            f"Warning: {said} together say that the image is stored mirrored; mirror (--mirror) "
            "gives it as the camera saw it."
        )
    return None if along > CLEAR else f"Warning: {said} contradict each other."


def mirrored(directions: Directions | None) -> Directions | None:
    """Return directions after left and right of the image are exchanged."""
    return None if directions is None else (opposite(directions[0]), directions[1])


def quarter_turns(directions: Directions | None, camera_from_ct: NDArray[np.float64]) -> int:
    """Return by how many quarters a header's directions are turned against a view of the patient.

    The rows of the image tell; its columns may be mirrored.

    Args:
        directions: the patient's, along increasing columns and rows of the image.
        camera_from_ct: [3,3] or [4,4] rotation of the view; one more quarter turn of the camera has
            its rows run where its columns ran.
    """
    rows = None if directions is None else _vector(directions[1])
    if rows is None:
        return 0
    columns_ct, rows_ct = camera_from_ct[0, :3], camera_from_ct[1, :3]
    candidates = (rows_ct, columns_ct, -rows_ct, -columns_ct)
    return int(np.argmax([candidate @ rows for candidate in candidates]))


def _view_of_angles(angles: CArmAngles) -> ViewName | None:
    if abs(math.degrees(angles.secondary_rad)) > NEAR_DEG:
        return None
    primary_deg = math.degrees(angles.primary_rad)
    centres: dict[ViewName, float] = {"PA": 0.0, "LAT": 90.0, "AP": 180.0, "RLAT": -90.0}
    for view, centre in centres.items():
        if abs((primary_deg - centre + 180.0) % 360.0 - 180.0) <= NEAR_DEG:
            return view
    return None


def _vector(letters: str) -> NDArray[np.float64] | None:
    """Return a direction (LPS) of up to three letters, the first of which counts most."""
    total = np.zeros(3)
    for place, letter in enumerate(letters):
        sign = 1.0 if letter in DIRECTIONS_LPS else -1.0
        axis = DIRECTIONS_LPS.get(letter) or DIRECTIONS_LPS.get(opposite(letter))
        if axis is None:
            return None
        total += sign * 0.5**place * np.array(axis)
    return total if letters and np.any(total) else None
