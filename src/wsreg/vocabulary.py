"""Choices by name that the packages and the command line share.

They lie here because the command line names them in its help, for which nothing heavy is loaded.
"""

from typing import Literal

Backend = Literal["auto", "numba", "reference"]
"""Renderer: ``auto`` takes the fastest that runs on the poses' device."""

CollimatorShape = Literal["none", "circle", "rectangle"]
"""Shape of the exposed field of a simulated X-ray."""

ExampleName = Literal["chest", "pelvis"]
"""A real CT that can be fetched to try things on."""

CtIntensity = Literal["hu", "cbct"]
"""What the voxels of a CT are: Hounsfield units, or grey values of a cone-beam CT."""

DemoSource = Literal["specimen", ExampleName, "phantom"]
"""Where the CT of a demo comes from."""

Intensity = Literal["auto", "transmission", "attenuation"]
"""What stored pixel values are: air is bright (transmission) or bone is (attenuation)."""

ENCODER_PREFIX = "encoder:"
"""Of a start by a trained encoder, before its folder."""

InitName = Literal["search", "dicom"]
"""A start that is asked for by name: a search around a view, or the C-arm's angles."""

Method = Literal["gauss-newton", "adam"]
"""Solver of a registration: Levenberg-Marquardt, or the paper's loop."""

PoseConvention = Literal[
    "camera_from_ct",
    "ct_from_camera",
    "deepfluoro",
    "diffdrr-ap",
    "diffdrr-ap-reversed-x",
    "diffdrr-pa",
    "diffdrr-pa-reversed-x",
]
"""What the numbers of a pose file mean (docs/conventions.md); ours, where nothing is said."""

CalibrationUnits = Literal["mm", "cm", "m"]
"""Units of a calibration file that does not name them."""

PresetName = Literal["small", "paper", "tiny"]
"""Size of a virtual cohort."""

SimilarityName = Literal[
    "global-ncc",
    "local-ncc",
    "multiscale-ncc",
    "gradient-ncc",
    "mse",
    "mae",
    "psnr",
    "ssim",
    "mutual-information",
]
"""How X-ray and rendered image are compared (docs/similarities.md)."""

ViewName = Literal["PA", "AP", "LAT", "RLAT"]
"""Named radiographic view: rays run to the front, to the back, to the left, to the right."""
