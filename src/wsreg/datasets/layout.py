"""Names and types in DeepFluoro's files.

Source: https://github.com/rg2/DeepFluoroLabeling-IPCAI2020, ``hdf5_layouts/Readme.md``.  It leaves
some things open, which the programs that read the file settle (its own ``examples_dataset``, xReg,
DiffPose, DiffDRR-Datasets): vectors (origins, spacings, landmarks) are columns [N,1]; matrices and
landmarks are float32, as their readers multiply them with float32; CTs and X-rays are float32,
labels uint8, flags one byte, sizes unsigned long.  Readers should take [N] and other types as well.
"""

from __future__ import annotations

from collections.abc import Mapping

PROJECTION_PARAMETERS = "proj-params"
LANDMARK_GROUP = "land-names"

CAMERA_SCALARS = ("num-cols", "num-rows", "pixel-col-spacing", "pixel-row-spacing")

LABEL_NAMES: Mapping[int, str] = {
    1: "left-hemipelvis",
    2: "right-hemipelvis",
    3: "vertebrae",
    4: "upper-sacrum",
    5: "left-femur",
    6: "right-femur",
}
"""What each value stands for is published; how names are spelt is for the first one only, and a
file may define more, such as the lower sacrum."""

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

POSES: Mapping[str, str] = {
    "pelvis": "cam-to-pelvis-vol",
    "left-femur": "cam-to-left-femur-vol",
    "right-femur": "cam-to-right-femur-vol",
}
"""Where each body's pose is stored."""

VALID_FLAGS: Mapping[str, str] = {
    "left-femur": "left-femur-good-fov",
    "right-femur": "right-femur-good-fov",
}
"""Bodies whose pose is valid only where the flag says so, as they may be out of view."""

FLAGS = (*(f"gt-poses/{flag}" for flag in VALID_FLAGS.values()), "rot-180-for-up")

RECORD_ATTRIBUTE = "wsreg-record"
"""Attribute (JSON) in which a simulator notes how something was made.  Every file of ours has one
at its root, the published file has none."""

PUBLISHED_CT_SHIFT_VOXELS = 0.5
"""How far along each axis the published file's CTs have to be moved to fit its poses.

The poses come from a renderer that took a voxel's corner for its centre.  xReg, by the data set's
author, corrects that when it reads the file: -0.5 mm on each axis after ``cam-to-pelvis-vol``, for
"an inconsistency with linear interpolation texture indexing between when the ground truth was
constructed and now".  DiffDRR found the same from the overlap of labels (issue 386: Dice 0.99 with
voxels from corner to corner, 0.98 about their centres).  Moving the CT instead of the poses keeps
poses and landmarks as published, and ``vol-landmarks`` under the poses on ``gt-landmarks``.
"""
