"""A picture of a virtual cohort: surface, CT slice and four radiographs of each specimen.

python benchmarks/contact_sheet.py --cohort cohort.h5 --out docs/images/cohort.png
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from wsreg.cohort.presets import person_of
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.specimens.anatomy import Anatomy, build_anatomy
from wsreg.volumes.volume import Volume

XRAYS = 4
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:cyan")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to draw.

    Args:
        cohort: a virtual cohort's HDF5 file.
        out: PNG to write.
    """

    cohort: Path
    out: Path


def draw_contact_sheet(cohort: Path, out: Path) -> None:
    """Write the sheet of a cohort: one row for each specimen."""
    with h5py.File(cohort, "r") as raw:
        seed = int(json.loads(raw.attrs["wsreg-record"])["seed"])
    with DeepFluoroFile(cohort) as file:
        rows = len(file.specimens)
        figure, axes = plt.subplots(
            rows, XRAYS + 3, figsize=(2.5 * (XRAYS + 3), 2.5 * rows), squeeze=False
        )
        for row, name in zip(axes, file.specimens, strict=True):
            person = person_of(name, seed)
            _draw_surface(row[0], build_anatomy(person))
            row[0].set_title(f"{name}, {person.sex}", fontsize=8)
            volume = file.volume(name)
            _draw_ct(row[1], row[2], volume)
            for axis, projection in zip(row[3:], file.projections(name), strict=False):
                _draw_xray(axis, file.sample(name, projection))
    for axis in axes.ravel():
        axis.set_axis_off()
    figure.tight_layout(pad=0.3)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=75)
    plt.close(figure)


def _draw_surface(axis: Axes, anatomy: Anatomy) -> None:
    """Bones from the front, far triangles first, with the landmarks."""
    triangles = np.concatenate(
        [
            surface.vertices_mm[surface.triangles]
            for bone in anatomy.bones.values()
            for surface in bone
        ]
    )
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    shade = 0.2 + 0.8 * np.abs(normals[:, 1])
    order = np.argsort(-triangles[:, :, 1].mean(axis=1))
    axis.add_collection(
        PolyCollection(
            list(triangles[order][:, :, [0, 2]]), facecolors=plt.cm.bone(shade[order]), linewidths=0
        )
    )
    for x, _, z in anatomy.landmarks_mm.values():
        axis.plot(x, z, "r.", markersize=3)
    axis.set_xlim(190, -190)  # the patient's right side is on the left, as in a radiograph
    axis.set_ylim(-170, 210)
    axis.set_aspect("equal")


def _draw_ct(slice_axis: Axes, projection_axis: Axes, volume: Volume) -> None:
    hu = volume.hu.numpy()
    slice_axis.imshow(hu[int(0.42 * hu.shape[0])], cmap="gray", vmin=-200, vmax=400)
    projection_axis.imshow(hu[::-1].max(axis=1), cmap="gray", vmin=0, vmax=1500)


def _draw_xray(axis: Axes, sample: Sample) -> None:
    image = sample.radiograph.image.numpy()
    shown = image[sample.radiograph.mask.numpy()]
    low, high = np.percentile(shown, [1, 99.5])
    axis.imshow(image, cmap="gray", vmin=low, vmax=high)
    assert sample.labels is not None
    labels = sample.labels.numpy()
    for label, colour in enumerate(COLOURS, start=1):
        if (labels == label).any():
            axis.contour(labels == label, levels=[0.5], colors=[colour], linewidths=0.6)
    points = np.array([point.numpy() for point in sample.landmarks_px.values()])
    rows, columns = image.shape
    inside = ((points >= 0) & (points < [columns, rows])).all(axis=1)
    axis.plot(*points[inside].T, "r.", markersize=2.5)


if __name__ == "__main__":
    options = tyro.cli(Options, description=__doc__)
    draw_contact_sheet(options.cohort, options.out)
