"""An image registered to itself: the CT rendered at a known pose, then sought from 20 mm away.

    python benchmarks/bias.py            # run and print
    python benchmarks/bias.py --write    # into docs/results.md
    python benchmarks/bias.py --similarity mse    # any that Gauss-Newton takes

Nothing can be blamed for an error here but the objective and its grids: no noise, no scatter, the
same renderer.  Depth is where a bias shows first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import tyro
from tqdm import tqdm

from cases import VOLUME_KEYS, choose_landmarks, draw_pose, draw_start
from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, Radiograph, RegistrationConfig, Volume, read_volume, register, render
from wsreg.evaluation.distances import mpd_mm
from wsreg.geometry.rigid import transform_points
from wsreg.registration.config import levels_with
from wsreg.vocabulary import SimilarityName
from wsreg.volumes.examples import fetch_example

IMAGES_FOR_EACH_CT = 6
SIZE_PX = 512
CAMERA = Camera(
    source_to_detector_mm=1020.0,
    rows=SIZE_PX,
    columns=SIZE_PX,
    pixel_spacing_mm=(300.0 / SIZE_PX, 300.0 / SIZE_PX),
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        similarity: what is maximised.
        write: put the report into docs/results.md.
    """

    similarity: SimilarityName = "multiscale-ncc"
    write: bool = False


def trial(
    volume: Volume, landmarks_mm: torch.Tensor, seed: tuple[int, int], config: RegistrationConfig
) -> list[float]:
    """Return (depth off, projected distance, similarity) of one image."""
    generator = np.random.default_rng(seed)
    pose = draw_pose(generator, volume)
    start = draw_start(generator, pose, volume, landmarks_mm)
    image = render(volume, CAMERA, pose)[0, 0]
    radiograph = Radiograph(image=image, mask=torch.ones_like(image, dtype=torch.bool))
    found = register(radiograph, volume, CAMERA, start, config=config)
    moved = transform_points(found.camera_from_ct, landmarks_mm)
    depth = (moved - transform_points(pose, landmarks_mm))[:, 2].mean()
    projected = mpd_mm(landmarks_mm, found.camera_from_ct, pose, CAMERA)
    return [float(depth), float(projected), found.similarity_end]


def report(rows: dict[str, list[list[float]]], measure: str) -> str:
    """Return the table as markdown."""
    lines = [
        "### An image registered to itself", "",
        f"{describe_hardware(2, ('torch', 'numba', 'wsreg'))}.", "",
        f"Each CT rendered at {SIZE_PX} x {SIZE_PX} pixels, registered from 20 mm away by "
        f"{measure}; no noise.",
        "",
        "| CT | n | depth off, mm: median of sizes | mean | largest | projected mm, median "
        "| largest | similarity, lowest |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    groups = {**rows, "all": [row for some in rows.values() for row in some]}
    for key, some in groups.items():
        depth, projected, similarity = np.array(some).T
        lines.append(
            f"| {key} | {len(some)} | {np.median(np.abs(depth)):.3f} | {depth.mean():+.3f} | "
            f"{np.abs(depth).max():.3f} | {np.median(projected):.4f} | {projected.max():.4f} | "
            f"{similarity.min():.3f} |"
        )
    return "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    config = RegistrationConfig(levels=levels_with(options.similarity))
    rows: dict[str, list[list[float]]] = {}
    for number, key in enumerate(VOLUME_KEYS):
        volume = read_volume(fetch_example(key).ct)
        landmarks_mm = choose_landmarks(volume)
        rows[key] = [
            trial(volume, landmarks_mm, (77 + number, index), config)
            for index in tqdm(range(IMAGES_FOR_EACH_CT), desc=key)
        ]
    text = report(rows, options.similarity)
    print(text)
    if options.write:
        default = options.similarity == "multiscale-ncc"
        write_section("bias" if default else f"bias {options.similarity}", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
