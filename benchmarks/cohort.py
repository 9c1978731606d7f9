"""Is the virtual cohort realistic, are its people different, and is its ground truth right?

    wsreg simulate cohort --preset small --seed 0 --out cohort.h5
    python benchmarks/cohort.py --cohort cohort.h5 [--write]

Figures go to docs/images: the contact sheet, and virtual specimens beside a real pelvis.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import torch
import tyro
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from tqdm import tqdm

from contact_sheet import draw_contact_sheet
from hardware import describe_hardware
from results_file import write_section
from wsreg import Volume, read_volume
from wsreg.cohort.exposure import acquisition_from_record
from wsreg.cohort.presets import PRESETS, SPECIMENS, person_of
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.image_shift import image_shift_px
from wsreg.rendering.render import render
from wsreg.specimens.anatomy import shape_scores, surface_distance_mm
from wsreg.specimens.bone_tissue import signed_depth_mm
from wsreg.specimens.ct import LABELS
from wsreg.specimens.shape_model import (
    PELVIS_NODES,
    load_shape_model,
    pelvis_mesh,
)
from wsreg.specimens.silhouettes import label_map
from wsreg.specimens.specimen import build_specimen
from wsreg.volumes.examples import fetch_example

IMAGES = Path(__file__).parent.parent / "docs" / "images"
REAL_LABELS = {"left-hemipelvis": 77, "right-hemipelvis": 78, "upper-sacrum": 25}
BODY_LABELS = {"pelvis": (1, 2, 3, 4), "left-femur": (5,), "right-femur": (6,)}
MUSCLE_HU, REACH_VOXELS = 50.0, 2.5
"""Bone is what exceeds muscle, so far around labels."""
Bodies = dict[str, Volume]
PERCENTILES = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure.

    Args:
        cohort: a virtual cohort's HDF5 file.
        write: put the report into docs/results.md.
    """

    cohort: Path
    write: bool = False


def main(options: Options) -> None:
    torch.set_num_threads(2)
    with DeepFluoroFile(options.cohort) as file:
        samples = [file.sample(s, p) for s in file.specimens for p in file.projections(s)]
        volumes = {name: file.volume(name) for name in file.specimens}
    seed = _seed(options.cohort)
    draw_contact_sheet(options.cohort, IMAGES / "cohort.png")
    text = "\n\n".join(
        (
            "### Virtual cohort",
            describe_hardware(2, ("torch", "numba", "wsreg")),
            f"{len(samples)} X-rays of {len(volumes)} specimens, "
            f"{options.cohort.stat().st_size / 1e6:.0f} MB.",
            realism(volumes),
            differences(seed),
            ground_truth(samples, seed),
            shifts(samples),
        )
    )
    print(text)
    if options.write:
        write_section("cohort", text)


def realism(volumes: dict[str, Volume]) -> str:
    """HU of bone, profile under its surface and radiographic contrast, beside the real pelvis."""
    files = fetch_example("pelvis")
    real = read_volume(files.ct, labels=files.labels)
    cases = {"real": (real, REAL_LABELS)}
    cases |= {
        name: (_at_3_mm(volume), {n: v for v, n in volume.label_names.items() if n in REAL_LABELS})
        for name, volume in volumes.items()
    }
    rows = [
        "Bone of hips and sacrum on 3 mm voxels (HU percentiles), mean HU by depth under the "
        "surface, and contrast of hip bones in a PA projection (line integral through them over "
        "that of the whole body, 10th to 90th percentile of pixels):",
        "",
        "| CT | " + " | ".join(f"P{p}" for p in PERCENTILES) + " | 0-3 mm | 3-6 mm | 6-9 mm "
        "| contrast |",
        "|---|" + "---|" * (len(PERCENTILES) + 4),
    ]
    figure, axes = plt.subplots(2, len(cases), figsize=(3.2 * len(cases), 7))
    for column, (name, (volume, labels)) in enumerate(cases.items()):
        assert volume.labels is not None
        hu, label = volume.hu.numpy().astype(float), volume.labels.numpy()
        mask = np.isin(label, list(labels.values())) & (hu < 2500)
        depth = signed_depth_mm(mask, 3.0)
        profile = [hu[mask & (depth > a) & (depth <= a + 3)].mean() for a in (-1e-3, 3, 6)]
        contrast = _contrast(volume, tuple(labels.values()))
        rows.append(
            f"| {name} | "
            + " | ".join(f"{v:.0f}" for v in np.percentile(hu[mask], PERCENTILES))
            + " | "
            + " | ".join(f"{v:.0f}" for v in profile)
            + f" | {np.percentile(contrast, 10):.2f} - {np.percentile(contrast, 90):.2f} |"
        )
        axes[0, column].hist(hu[mask], bins=60, range=(-200, 1400), density=True, color="0.4")
        axes[0, column].set_title(name)
        coronal = hu[::-1].max(axis=1)
        axes[1, column].imshow(coronal, cmap="gray", vmin=0, vmax=1300)
        axes[1, column].set_axis_off()
    figure.tight_layout()
    figure.savefig(IMAGES / "real-and-virtual.png", dpi=70)
    return "\n".join(rows)


def _at_3_mm(volume: Volume) -> Volume:
    """A virtual CT read as coarsely as the real one."""
    assert volume.labels is not None
    spacing = volume.spacing_mm[0]
    factor = round(3.0 / spacing)
    hu = gaussian_filter(volume.hu.numpy().astype(np.float32), 0.42 * factor)
    ct_from_voxel = volume.ct_from_voxel @ torch.diag(
        torch.tensor([factor] * 3 + [1.0], dtype=torch.float64)
    )
    return Volume(
        hu=torch.from_numpy(hu[::factor, ::factor, ::factor].copy()),
        labels=volume.labels[::factor, ::factor, ::factor].contiguous(),
        ct_from_voxel=ct_from_voxel,
    )


def _contrast(volume: Volume, labels: tuple[int, ...]) -> np.ndarray:
    """Fraction of the attenuation that a PA ray loses in the labelled bones."""
    from wsreg.volumes.views import view_pose

    camera = PRESETS["small"].camera.resized(192, 192)
    pose = view_pose(volume, camera, view="PA")[None]
    whole = render(volume, camera, pose)[0, 0]
    bones = render(volume.restricted_to(labels), camera, pose)[0, 0]
    hit = bones > 0.05
    return (bones[hit] / whole[hit]).numpy()


def differences(seed: int) -> str:
    """Distances between the pelves of specimens, and of the people behind the shape model."""
    model = load_shape_model()
    specimens = [shape_scores(person_of(name, seed)) for name in SPECIMENS]
    return "\n".join(
        (
            "Mean distance between the surfaces of two pelves, laid over the model's mean (mm):",
            "",
            "| people | pairs | minimum | median | maximum |",
            "|---|---|---|---|---|",
            _range_row("specimens", _distances(specimens)),
            _range_row("behind the shape model", _distances(list(model.people))),
        )
    )


def _distances(people: list[np.ndarray]) -> list[float]:
    """Of every pair of people, given by their scores."""
    model = load_shape_model()
    pelves = [_centred(model.nodes(scores)[PELVIS_NODES]) for scores in people]
    surfaces = [(pelvis_mesh().surface(nodes),) for nodes in pelves]
    pairs = list(itertools.combinations(surfaces, 2))
    return [surface_distance_mm(a, b) for a, b in tqdm(pairs, desc="Distances")]


def _centred(nodes: np.ndarray) -> np.ndarray:
    """Rigidly aligned to the model's mean."""
    from scipy.spatial.transform import Rotation

    mean = load_shape_model().mean[PELVIS_NODES]
    a, b = nodes - nodes.mean(axis=0), mean - mean.mean(axis=0)
    aligned: np.ndarray = Rotation.align_vectors(b, a)[0].apply(a)
    return aligned


def _range_row(name: str, values: list[float]) -> str:
    return (
        f"| {name} | {len(values)} | {min(values):.1f} | {np.median(values):.1f} "
        f"| {max(values):.1f} |"
    )


def ground_truth(samples: list[Sample], seed: int) -> str:
    """Stored 2D landmarks against projected 3D ones; stored labels against posed 3D labels."""
    errors, dice = [], []
    for sample in tqdm(samples, desc="Ground truth"):
        for name, point in sample.landmarks_mm.items():
            moved = sample.camera_from_ct[:3, :3] @ point + sample.camera_from_ct[:3, 3]
            errors.append(
                float(torch.linalg.norm(sample.camera.project(moved) - sample.landmarks_px[name]))
            )
        dice.append(_label_dice(sample))
    values = torch.stack(dice)
    first = [sample for sample in samples if sample.specimen == samples[0].specimen]
    fine = _fine_label_dice(first, seed)
    return "\n".join(
        (
            f"Projected 3D landmarks against stored 2D ones: at most {max(errors):.4f} px over "
            f"{len(errors)} landmarks.",
            "",
            f"Stored 2D labels against silhouettes of the CT's labels posed with the stored poses: "
            f"Dice {float(values.nanmean()):.4f} on average, lowest image "
            f"{float(values[~values.isnan()].min()):.4f}.  Of the fine geometry's voxels (0.6 mm, "
            f"{first[0].specimen}): {float(fine.mean()):.4f}, lowest {float(fine.min()):.4f}.",
        )
    )


def _label_dice(sample: Sample) -> Tensor:
    """Dice, over all labels, of stored labels and silhouettes of the CT's labels."""
    volumes = dict.fromkeys(LABELS.values(), sample.volume)
    return _posed_dice(sample, volumes, sample.volume.spacing_mm[0])


def _fine_label_dice(samples: list[Sample], seed: int) -> Tensor:
    """The same with the voxels of the fine geometry, for the X-rays of one specimen."""
    specimen = build_specimen(person_of(samples[0].specimen, seed))
    volumes = {
        LABELS[name]: Volume(
            hu=torch.zeros(bone.grid.shape, dtype=torch.int16),
            labels=torch.from_numpy(bone.mask.astype(np.uint8) * LABELS[name]),
            ct_from_voxel=torch.from_numpy(bone.grid.mm_from_voxel),
        )
        for name, bone in specimen.bones.items()
    }
    return torch.stack([_posed_dice(sample, volumes, 0.6) for sample in samples])


def _posed_dice(sample: Sample, volumes: dict[int, Volume], least_mm: float) -> Tensor:
    assert sample.labels is not None
    posed, known = _posed_labels(sample, volumes, least_mm)
    posed, stored = posed[known], sample.labels[known]
    both = ((posed == stored) & (posed > 0)).sum()
    return 2.0 * both / ((posed > 0).sum() + (stored > 0).sum())


def _posed_labels(
    sample: Sample, volumes: dict[int, Volume], least_mm: float
) -> tuple[Tensor, Tensor]:
    """Silhouettes of labels at the stored poses, and which pixels are known."""
    assert sample.labels is not None
    bodies = {LABELS[name]: name for name in ("left-femur", "right-femur")}
    # Voxels stick out of the surface they stand for, so a ray has to cross a voxel's side.
    pictures, known = [], torch.ones_like(sample.labels, dtype=torch.bool)
    for label, volume in sorted(volumes.items()):
        pose = sample.poses.get(bodies.get(label, "pelvis"))
        if pose is None:  # it is not valid
            known &= sample.labels != label
            pictures.append(torch.zeros_like(known))
            continue
        path_mm = render(volume, sample.camera, pose[None], rois=[(label,)])[0, 1]
        pictures.append(path_mm > least_mm)
    return label_map(torch.stack(pictures)), known


def shifts(samples: list[Sample]) -> str:
    """Mean sub-pixel shifts of X-rays and labels against the CT at the true poses."""
    greys, labels = [], []
    bodies: dict[int, Bodies] = {}
    for sample in tqdm(samples, desc="Shifts"):
        if id(sample.volume) not in bodies:
            bodies = {id(sample.volume): _bodies(sample.volume)}
        rendered = _rendered(sample, bodies[id(sample.volume)])
        greys.append(image_shift_px(sample.radiograph.image, rendered, sample.radiograph.mask))
        posed, known = _posed_labels(
            sample,
            dict.fromkeys(LABELS.values(), sample.volume),
            sample.volume.spacing_mm[0],
        )
        labels.append(image_shift_px((sample.labels > 0).float(), (posed > 0).float(), known))
    return "\n".join(
        (
            "Mean shift against the CT at the stored poses (px of the prepared X-ray, with "
            "standard error; every body and the soft tissue rendered where it was):",
            "",
            "| what | X-rays | columns | rows | standard deviation |",
            "|---|---|---|---|---|",
            _shift_row("grey values", torch.stack(greys)),
            _shift_row("2D labels, all bones", torch.stack(labels)),
        )
    )


def _shift_row(name: str, shifts_px: Tensor) -> str:
    deviation = shifts_px.std(dim=0)
    column, row = (
        f"{mean:+.3f} ± {error:.3f}"
        for mean, error in zip(
            shifts_px.mean(dim=0).tolist(),
            (deviation / len(shifts_px) ** 0.5).tolist(),
            strict=True,
        )
    )
    spread = " and ".join(f"{value:.2f}" for value in deviation.tolist())
    return f"| {name} | {len(shifts_px)} | {column} | {row} | {spread} |"


def _bodies(volume: Volume) -> Bodies:
    """The CT taken apart: what each body attenuates more than muscle does, and all the rest."""
    assert volume.labels is not None
    labels = volume.labels.numpy()
    distance, nearest = distance_transform_edt(labels == 0, return_indices=True)
    near = np.where(distance < REACH_VOXELS, labels[tuple(nearest)], 0)  # partial volume, too
    hu = volume.hu.float()
    bone = torch.from_numpy(near > 0)
    tissue = torch.where(bone, hu.clamp(max=MUSCLE_HU), hu)
    excess = (hu - MUSCLE_HU).clamp(min=0.0)
    bodies = {
        body: dataclasses.replace(
            volume,
            hu=torch.where(torch.from_numpy(np.isin(near, values)), excess, 0.0) - 1000.0,
            labels=None,
            air_hu=-1000.0,
        )
        for body, values in BODY_LABELS.items()
    }
    return bodies | {"tissue": dataclasses.replace(volume, hu=tissue, labels=None)}


def _rendered(sample: Sample, bodies: Bodies) -> Tensor:
    """[H,W] every body of the CT at its stored pose; what has none, where the record has it."""
    acquisition = acquisition_from_record(sample.record)
    # The tissue's pose is not rigid, so its voxels are moved.
    moved = torch.linalg.inv(acquisition.camera_from_ct) @ acquisition.camera_from_tissue
    tissue = bodies["tissue"]
    tissue = dataclasses.replace(tissue, ct_from_voxel=moved @ tissue.ct_from_voxel)
    image = render(tissue, sample.camera, sample.camera_from_ct[None])[0, 0]
    for body in BODY_LABELS:
        pose = sample.poses.get(body, acquisition.poses[body])
        image += render(bodies[body], sample.camera, pose[None])[0, 0]
    return image


def _seed(path: Path) -> int:
    with h5py.File(path, "r") as file:
        return int(json.loads(file.attrs["wsreg-record"])["seed"])


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
