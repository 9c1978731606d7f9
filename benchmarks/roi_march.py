"""What six regions of interest cost in the loop: image and Jacobian, with and without them.

    python benchmarks/roi_march.py --cohort cohort.h5            # print
    python benchmarks/roi_march.py --cohort cohort.h5 --write    # and put it into docs/results.md

An X-ray's view of specimens of the cohort at the resolution of a registration's last level: with
regions in the same march, and with regions one level coarser, which is what the loop does.
Contenders alternate; what counts is the ratio within one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from hardware import describe_hardware
from results_file import write_section
from wsreg import render_with_jacobian
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.threads import thread_count
from wsreg.volumes.resampling import resample_isotropic

SIZE_PX, VOXEL_MM = 192, 1.5
PLAIN = "image"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        specimens: how many of them.
        repeats: alternations for each.
        write: put the report into docs/results.md.
    """

    cohort: Path
    specimens: int = 3
    repeats: int = 40
    write: bool = False


def contenders(sample: Sample) -> dict[str, Callable[[], object]]:
    """What is timed for one X-ray."""
    fine, coarse = (resample_isotropic(sample.volume, mm) for mm in (VOXEL_MM, 2.0 * VOXEL_MM))
    camera = sample.camera.resized(SIZE_PX, SIZE_PX)
    half = sample.camera.resized(SIZE_PX // 2, SIZE_PX // 2)
    pose = sample.camera_from_ct[None]
    rois = [(label,) for label in fine.label_values if label]

    def image() -> object:
        return render_with_jacobian(fine, camera, pose)

    def image_and_rois() -> object:
        return render_with_jacobian(fine, camera, pose, rois=rois)

    def image_and_coarser_rois() -> object:
        return image(), render_with_jacobian(coarse, half, pose, rois=rois, attenuation=False)

    return {
        PLAIN: image,
        "image and six regions": image_and_rois,
        "image, and six regions one level coarser (the loop)": image_and_coarser_rois,
    }


def measure(options: Options) -> dict[str, dict[str, list[float]]]:
    """Specimen -> contender -> seconds."""
    times: dict[str, dict[str, list[float]]] = {}
    with DeepFluoroFile(options.cohort) as cohort:
        for specimen in cohort.specimens[: options.specimens]:
            work = contenders(cohort.sample(specimen, cohort.projections(specimen)[0]))
            times[specimen] = {name: [] for name in work}
            for repeat in range(options.repeats + 1):
                for name, run in work.items():
                    begin = time.perf_counter()
                    run()
                    if repeat:  # the first one compiles and lays the volume out
                        times[specimen][name].append(time.perf_counter() - begin)
    return times


def report(times: dict[str, dict[str, list[float]]]) -> str:
    """The table as markdown."""
    lines = [
        "### Regions of interest in the march", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.", "",
        f"Image and pose Jacobian, {SIZE_PX} x {SIZE_PX} pixels, voxels of {VOXEL_MM:g} mm;",
        "milliseconds.", "",
        "| specimen | what | median | min | more than the image: median | min |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for specimen, measured in times.items():
        plain = measured[PLAIN]
        for name, some in measured.items():
            more = [statistics.median(some) / statistics.median(plain), min(some) / min(plain)]
            lines.append(
                f"| {specimen} | {name} | {1e3 * statistics.median(some):.1f} "
                f"| {1e3 * min(some):.1f} | {more[0] - 1:.0%} | {more[1] - 1:.0%} |"
            )
    return "\n".join(lines) + "\n"


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    torch.set_num_threads(1)
    text = report(measure(options))
    print(text)
    if options.write:
        write_section("roi_march", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
