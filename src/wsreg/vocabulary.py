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

LANDMARKS_PREFIX = "landmarks:"
"""Of a start from landmarks, before their file."""

InitName = Literal["search", "dicom", "roi"]
"""A start that is asked for by name: a search around a view, the C-arm's angles, or the regions of
interest."""

Method = Literal["gauss-newton", "adam", "paper"]
"""Solver of a registration: Levenberg-Marquardt, or the paper's loop of Adam, by either name."""

ExperimentName = Literal["table1", "table2", "table3", "case-study", "figures", "all"]
"""Experiments of the paper that ``wsreg reproduce`` makes."""

MethodName = Literal[
    "diffdrr",
    "psss",
    "diffpose",
    "wsreg-unet",
    "wsreg-medsam",
    "wsreg-mixed",
    "ours-search",
    "ours-encoder",
    "ours",
]
"""A whole method, published or ours, that is evaluated (docs/methods.md)."""

Scheme = Literal["ours", "unet", "medsam", "mixed"]
"""Who finds the regions on both sides: anyone in the X-ray and the CT's labels rendered (ours), a
U-Net or MedSAM in both images, or one in the X-ray and a U-Net in the rendered image (mixed)."""

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
"""Size of a virtual cohort, and of an experiment."""

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
