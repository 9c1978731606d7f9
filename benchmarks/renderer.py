"""Time and agreement of the renderer against nanodrr: same CT, camera, pose, step and threads.

nanodrr (on PyPI) is the fastest public PyTorch renderer.  Its forward pass, and its forward and
backward pass to the pose, are set against one march that gives the image and all six derivatives.

nanodrr 0.1.7 spreads its samples over the part of each ray inside the CT, so "the same step" takes
fewer of them than the steps from source to detector; both counts are measured.

    pip install nanodrr==0.1.7
    python benchmarks/renderer.py --out renderer.md --json renderer.json
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, Volume, read_volume, render, render_with_jacobian, view_pose
from wsreg.geometry.rigid import perturb
from wsreg.volumes.examples import fetch_example

TURN_S = 0.3
SOURCE_TO_DETECTOR_MM = 1020.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure.

    Args:
        ct: the CT, on its native grid; by default the chest sample.
        size_px: rows and columns of the image.
        detector_mm: side of the detector.
        steps: from source to detector; 483 over 1020 mm are 2.11 mm each, three voxel planes of
            the chest CT (wsreg samples whole planes: at 2.04 mm it would take every second one).
        repeats: alternating repetitions of every measurement, after one to warm up.
        threads: for torch and wsreg alike.
        write: put the table into docs/results.md.
        json: write every number to this file.
    """

    ct: Path | None = None
    size_px: int = 200
    detector_mm: float = 300.0
    steps: int = 483
    repeats: int = 7
    threads: int = 2
    write: bool = False
    json: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One view of one CT, for both renderers."""

    volume: Volume
    camera: Camera
    pose: Tensor
    step_mm: float
    samples_inside: int
    """As many steps as ``step_mm`` makes on the central ray's way through the CT."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Differences between the renderers, relative to the largest value."""

    image_mean: float
    image_max: float
    gradient_max: float


def main(options: Options) -> None:
    """Measure, print, and write where asked."""
    _set_threads(options.threads)
    setting = _setting(options)
    nanodrr = Nanodrr(setting)
    seconds = _alternate(_contenders(setting, nanodrr, options.steps), options.repeats)
    agreements = _agreements(setting, nanodrr, options.steps)
    hardware = describe_hardware(options.threads, ("torch", "numba", "nanodrr", "wsreg"))
    report = _markdown(hardware, setting, options.steps, seconds, agreements)
    print(report)
    if options.write:
        write_section("renderer", report)
    if options.json is not None:
        numbers = {
            "hardware": hardware,
            "samples_inside": setting.samples_inside,
            "seconds": seconds,
            "agreement": {name: dataclasses.asdict(a) for name, a in agreements.items()},
        }
        options.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")


class Nanodrr:
    """nanodrr on the same attenuation values, affine and rays."""

    def __init__(self, setting: Setting) -> None:
        from nanodrr.camera import make_k_inv
        from nanodrr.data import Subject
        from torchio import ScalarImage

        camera = setting.camera
        row_mm, column_mm = camera.pixel_spacing_mm
        attenuation = setting.volume.attenuation.permute(2, 1, 0)[None].contiguous()
        image = ScalarImage(tensor=attenuation, affine=setting.volume.ct_from_voxel.numpy())
        self.setting = setting
        self.subject = Subject.from_images(image, convert_to_mu=False)
        self.k_inv = make_k_inv(
            camera.source_to_detector_mm, column_mm, row_mm, 0.0, 0.0, camera.rows, camera.columns
        )

    def forward(self, samples: int, motion: Tensor | None = None) -> Tensor:
        """[rows,columns] image, after the rigid ``motion`` [6] of the pose if there is one."""
        from nanodrr.drr import render as render_nanodrr

        volume, camera, pose = self.setting.volume, self.setting.camera, self.setting.pose
        if motion is not None:
            pose = perturb(pose, motion, volume.centre_mm)
        image: Tensor = render_nanodrr(
            self.subject,
            self.k_inv,
            torch.linalg.inv(pose).to(torch.float32)[None],  # its rt_inv maps camera to CT
            torch.tensor([camera.source_to_detector_mm]),
            camera.rows,
            camera.columns,
            n_samples=samples,
            backend="torch",
        )
        return image[0, 0]

    def gradient(self, samples: int, weights: Tensor) -> Tensor:
        """[6] derivatives of the weighted sum of the pixels, by a forward and a backward pass."""
        motion = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        (self.forward(samples, motion) * weights).sum().backward()
        assert motion.grad is not None
        return motion.grad


def _set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    os.environ["WSREG_THREADS"] = str(threads)


def _setting(options: Options) -> Setting:
    volume = read_volume(options.ct or fetch_example("chest").ct)
    pixel_mm = options.detector_mm / options.size_px
    camera = Camera(
        source_to_detector_mm=SOURCE_TO_DETECTOR_MM,
        rows=options.size_px,
        columns=options.size_px,
        pixel_spacing_mm=(pixel_mm, pixel_mm),
    )
    pose = view_pose(volume, camera, view="PA")
    step_mm = SOURCE_TO_DETECTOR_MM / options.steps
    return Setting(
        volume=volume,
        camera=camera,
        pose=pose,
        step_mm=step_mm,
        samples_inside=round(_central_path_mm(volume, pose) / step_mm),
    )


def _central_path_mm(volume: Volume, pose: Tensor) -> float:
    """How far the optical axis runs inside the CT (one voxel of margin on each side)."""
    camera_from_voxel = pose @ volume.ct_from_voxel
    direction = torch.linalg.inv(camera_from_voxel)[:3, 2]  # voxels for each mm of depth
    size = torch.tensor(list(reversed(volume.hu.shape)), dtype=torch.float64)
    return float(((size + 1.0) / direction.abs()).min())


def _weights(camera: Camera) -> Tensor:
    """[rows,columns] some fixed gradient of a loss to the image, smooth as that of real losses."""
    row = torch.linspace(-3.0, 3.0, camera.rows)[:, None]
    column = torch.linspace(-2.0, 4.0, camera.columns)[None]
    return torch.sin(row) + torch.cos(column)


def _contenders(setting: Setting, nanodrr: Nanodrr, steps: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    volume, camera, pose, step_mm = (
        setting.volume,
        setting.camera,
        setting.pose,
        setting.step_mm,
    )
    weights, inside = _weights(camera), setting.samples_inside
    return {
        "wsreg forward": lambda: render(volume, camera, pose, step_mm=step_mm, backend="numba"),
        "wsreg forward + Jacobian": lambda: render_with_jacobian(
            volume, camera, pose, step_mm=step_mm, backend="numba"
        ),
        f"nanodrr forward, {inside} samples": lambda: nanodrr.forward(inside),
        f"nanodrr forward + backward, {inside} samples": lambda: nanodrr.gradient(inside, weights),
        f"nanodrr forward, {steps} samples": lambda: nanodrr.forward(steps),
        f"nanodrr forward + backward, {steps} samples": lambda: nanodrr.gradient(steps, weights),
    }


def _alternate(
    contenders: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Wall seconds of each contender, in turn and again, so that a busy moment hits all alike.

    Every turn begins with a call that is not timed, because the other contender has just had the
    caches and its threads may still be waiting for work; then calls are timed for ``TURN_S``.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            run()
            calls, start = 0, time.perf_counter()
            while calls == 0 or time.perf_counter() - start < TURN_S:
                run()
                calls += 1
            seconds[name].append((time.perf_counter() - start) / calls)
    return seconds


def _agreements(setting: Setting, nanodrr: Nanodrr, steps: int) -> dict[str, Agreement]:
    """Ours, and nanodrr's own at the same step, against nanodrr with samples to spare."""
    weights, inside = _weights(setting.camera), setting.samples_inside
    expected = nanodrr.forward(steps), nanodrr.gradient(steps, weights)
    answers = {
        f"wsreg, step {setting.step_mm:.2f} mm": _wsreg_answer(setting, setting.step_mm, weights),
        "wsreg, every voxel plane": _wsreg_answer(setting, None, weights),
        f"nanodrr, {inside} samples": (nanodrr.forward(inside), nanodrr.gradient(inside, weights)),
    }
    return {name: _agreement(*answer, *expected) for name, answer in answers.items()}


def _wsreg_answer(
    setting: Setting, step_mm: float | None, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Our image [rows,columns] and the gradient [6] of the weighted sum of its pixels."""
    image, jacobian = render_with_jacobian(
        setting.volume, setting.camera, setting.pose, step_mm=step_mm, backend="numba"
    )
    gradient = (jacobian[0, 0] * weights[..., None]).sum(dim=(0, 1)).to(torch.float64)
    return image[0, 0], gradient


def _agreement(
    image: Tensor, gradient: Tensor, expected_image: Tensor, expected_gradient: Tensor
) -> Agreement:
    difference = (image - expected_image).abs() / expected_image.max()
    # rotations and translations have different units: each against its own largest
    errors = (gradient - expected_gradient).view(2, 3).abs().amax(dim=1)
    return Agreement(
        image_mean=float(difference.mean()),
        image_max=float(difference.max()),
        gradient_max=float((errors / expected_gradient.view(2, 3).abs().amax(dim=1)).max()),
    )


def _markdown(
    hardware: str,
    setting: Setting,
    steps: int,
    seconds: Mapping[str, list[float]],
    agreements: Mapping[str, Agreement],
) -> str:
    lines = [
        "### Renderer",
        "",
        hardware + ".",
        "",
        f"CT {'x'.join(str(n) for n in setting.volume.hu.shape)} voxels, "
        f"{setting.camera.rows}x{setting.camera.columns} pixels, step {setting.step_mm:.2f} mm, "
        f"{len(next(iter(seconds.values())))} alternating repetitions.  nanodrr places its samples "
        f"inside the CT: {setting.samples_inside} of them make the same step, {steps} a finer one.",
        "",
        "| what | median s | min s | times slower than wsreg: median | min |",
        "|---|---|---|---|---|",
    ]
    for name, times in seconds.items():
        ours = "wsreg forward + Jacobian" if "backward" in name else "wsreg forward"
        ratios = [f"{f(times) / f(seconds[ours]):.0f}" for f in (statistics.median, min)]
        cells = ratios if name.startswith("nanodrr") else ["", ""]
        lines.append(
            f"| {name} | {statistics.median(times):.4f} | {min(times):.4f} | {' | '.join(cells)} |"
        )
    lines += [
        "",
        f"| difference from nanodrr with {steps} samples | image mean | image max | gradient max |",
        "|---|---|---|---|",
    ]
    for name, a in agreements.items():
        lines.append(f"| {name} | {a.image_mean:.1e} | {a.image_max:.1e} | {a.gradient_max:.1e} |")
    lines += ["", "Differences are relative to the largest value.", "", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Options))
