"""Names in DeepFluoro's files.

Source: https://github.com/rg2/DeepFluoroLabeling-IPCAI2020, ``hdf5_layouts/Readme.md``, and where
it leaves shapes open, what its example scripts and DiffPose's reader take.  Vectors (origins,
spacings, landmarks) are columns [N,1] there; readers should take [N] as well.
"""

from __future__ import annotations

from collections.abc import Mapping

PROJECTION_PARAMETERS = "proj-params"

LABEL_NAMES: Mapping[int, str] = {
    1: "left-hemipelvis",
    2: "right-hemipelvis",
    3: "vertebrae",
    4: "upper-sacrum",
    5: "left-femur",
    6: "right-femur",
}

LANDMARK_NAMES = tuple(
    f"{name}-{side}"
    for name in ("FH", "GSN", "IOF", "MOF", "SPS", "IPS", "ASIS")
    for side in ("l", "r")
)

SPECIMENS: Mapping[str, int] = {
    "17-1882": 111,
    "18-1109": 104,
    "18-0725": 24,
    "18-2799": 48,
    "18-2800": 55,
    "17-1905": 24,
}
"""Specimens of the published file, in its numbering 1 to 6, and how many projections each has."""

QUESTIONABLE = frozenset(
    {("17-1882", "003"), ("17-1882", "050"), ("18-2799", "002"), ("18-2799", "004")}
)
"""(specimen, projection) whose published pose is doubtful; results are given with and without."""

OPEN_BEAM = 65487.0
"""Detector reading without a patient, which the usual preparation divides by."""

IMAGE_DATASETS = ("dir-mat", "origin", "pixels", "spacing")
"""What each image or volume group holds."""

POSES: Mapping[str, str] = {
    "camera_from_ct": "cam-to-pelvis-vol",
    "camera_from_left_femur": "cam-to-left-femur-vol",
    "camera_from_right_femur": "cam-to-right-femur-vol",
}

RECORD_ATTRIBUTE = "wsreg-record"
"""Attribute (JSON) in which a simulator notes how something was made; real files have none."""
