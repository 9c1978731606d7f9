"""Results and inputs in words, as lines of text.  No header field that could name a patient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsreg.datasets.inspection import FileReport, SpecimenReport
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.registration.result import RegistrationResult
    from wsreg.volumes.volume import Volume

INDENT = "  "
NAMES_SHOWN = 8
PROBLEMS_SHOWN = 20


def notes_of(radiographs: Sequence[Radiograph]) -> list[str]:
    """Return what the reader noted of X-rays, of several with the names of them."""
    if len(radiographs) == 1:
        return list(radiographs[0].notes)
    return [f"{radiograph.name}: {note}" for radiograph in radiographs for note in radiograph.notes]


def result_lines(
    result: RegistrationResult, folder: Path, files: Sequence[str], notes: Sequence[str]
) -> list[str]:
    """Tell verdict, similarity, bodies, time, standard deviations, files, and notes."""
    verdict = result.verdict
    *rotation_deg, across, along, depth = _deviations(result)
    return [
        f"{', '.join(view.name for view in result.views)}: {verdict.status.upper()}",
        *_indented(verdict.reasons),
        *_similarity_lines(result),
        f"{INDENT}time        {result.seconds['total']:.2f} s, {result.renders} renderings",
        f"{INDENT}deviation   rotation {' '.join(f'{v:.2f}' for v in rotation_deg)} deg; "
        f"across {across:.2f} {along:.2f} mm; depth {depth:.2f} mm (standard deviations)",
        *body_lines(result),
        *_file_lines(folder, files),
        *_indented(f"note: {note}" for note in notes),
    ]


def body_lines(result: RegistrationResult) -> list[str]:
    """Tell of several bodies the verdict, how they have moved against the first, and what shows."""
    if len(result.bodies) == 1:
        return []
    from wsreg.geometry.rigid import twist_between

    (first, _), *others = result.bodies.items()
    width = max(map(len, result.bodies))
    lines = [f"{INDENT}bodies      {'':<{width}}          turned     moved    shown"]
    for name, body in result.bodies.items():
        apart = twist_between(result.camera_from_ct, body.camera_from_ct, body.pivot_mm)
        moved = (
            f"{math.degrees(float(apart[:3].norm())):>6.1f} deg{float(apart[3:].norm()):>7.1f} mm"
        )
        lines.append(
            f"{INDENT}            {name:<{width}}  {body.verdict.status.upper():<5}"
            f"{moved if name != first else '':>20}{body.shown:>8.0%}"
        )
    return lines + [
        f"{INDENT}{name}: {reason}"
        for name, body in others
        if body.verdict.status != "pass"
        for reason in body.verdict.reasons
    ]


def ct_lines(path: Path, volume: Volume) -> list[str]:
    """Tell what was found in a CT, and what is missing."""
    depth, height, width = volume.hu.shape
    size = [n * mm for n, mm in zip((width, height, depth), volume.spacing_mm, strict=True)]
    return [
        f"CT {path.name}",
        f"{INDENT}size         {width} x {height} x {depth} voxels (x, y, z)",
        f"{INDENT}spacing      {_times(volume.spacing_mm, '.3g')} mm",
        f"{INDENT}extent       {_times(size, '.0f')} mm",
        f"{INDENT}orientation  {_orientation(volume)}",
        f"{INDENT}values       {float(volume.hu.min()):g} to {float(volume.hu.max()):g} HU",
        f"{INDENT}labels       {_labels(volume)}",
        *_indented(f"note: {note}" for note in volume.notes),
    ]


def xray_lines(radiograph: Radiograph) -> list[str]:
    """Tell what was found in an X-ray, what was assumed (the reader's notes), what is missing."""
    rows, columns = radiograph.image.shape
    camera, angles = radiograph.camera, radiograph.angles
    lines = [f"X-ray {radiograph.name}", f"{INDENT}size         {rows} rows x {columns} columns"]
    if camera is None:
        lines.append(f"{INDENT}geometry     missing; give --camera, or --sdd and --pixel-spacing")
    else:
        column, row = camera.centre_px
        lines += [
            f"{INDENT}geometry     source to detector {camera.source_to_detector_mm:g} mm, pixels "
            f"{_times(camera.pixel_spacing_mm, '.4g')} mm (rows x columns)",
            f"{INDENT}             optical axis at column {column:g}, row {row:g}",
        ]
    if angles is None:
        lines.append(f"{INDENT}C-arm        angles not known")
    else:
        lines.append(
            f"{INDENT}C-arm        primary {math.degrees(angles.primary_rad):.1f}, "
            f"secondary {math.degrees(angles.secondary_rad):.1f} deg"
        )
    if radiograph.view_position is not None:
        lines.append(f"{INDENT}view         {radiograph.view_position}")
    masked = 1.0 - float(radiograph.mask.float().mean())
    lines.append(f"{INDENT}masked       {masked:.1%} of the image")
    return [*lines, *_indented(f"note: {note}" for note in radiograph.notes)]


def data_set_lines(path: Path, report: FileReport) -> list[str]:
    """Tell what was found in a DeepFluoro file, and what it lacks."""
    kind = "preprocessed" if report.kind == "preprocessed" else "full resolution"
    maker = ", virtual" if report.virtual else ""
    lines = [f"data set {path.name}: DeepFluoro's layout, {kind}{maker}"]
    if report.image_size is not None:
        rows, columns = report.image_size
        lines.append(f"{INDENT}projections  {rows} rows x {columns} columns")
    for specimen in report.specimens:
        names = [specimen.name]
        for fact in _specimen_facts(specimen):
            lines.append(f"{INDENT}{names.pop() if names else '':<12} {fact}")
    if not report.problems:
        return [*lines, f"{INDENT}complete     nothing of the layout is missing"]
    shown = [f"problem: {problem}" for problem in report.problems[:PROBLEMS_SHOWN]]
    more = len(report.problems) - len(shown)
    return [*lines, *_indented(shown), *_indented([f"and {more} more problems"] if more else [])]


def _specimen_facts(specimen: SpecimenReport) -> list[str]:
    published = specimen.published
    wanted = f" (published: {published})" if published not in (None, specimen.projections) else ""
    facts = [f"{specimen.projections} projections{wanted}"]
    if specimen.ct_shape is not None:
        left, right = specimen.femurs
        facts[0] += f", {specimen.turned} stored head down, left femur {left}, right femur {right}"
    if specimen.xray_range is not None:
        facts.append("first X-ray {:.5g} to {:.5g}".format(*specimen.xray_range))
    if specimen.ct_shape is not None and specimen.ct_spacing_mm is not None:
        size, spacing = specimen.ct_shape[::-1], specimen.ct_spacing_mm
        facts.append(f"CT {_times(size, 'd')} voxels of {_times(spacing, '.3g')} mm")
    if specimen.ct_range_hu is not None:
        facts[-1] += ", middle slice {:.5g} to {:.5g} HU".format(*specimen.ct_range_hu)
    if specimen.labels:
        facts.append(f"labels {', '.join(specimen.labels)}")
    if specimen.landmark_distance_px is not None:
        facts.append(
            "3D landmarks under the stored poses lie within "
            f"{specimen.landmark_distance_px:.3g} px of the 2D ones"
        )
    return facts


def _similarity_lines(result: RegistrationResult) -> list[str]:
    """Tell the similarity of each view before and after."""
    lines, title = [], "similarity"
    for view in result.views:
        named = f"  {view.name}" if len(result.views) > 1 else ""
        change = f"{view.similarity_start:.3f} -> {view.similarity_end:.3f}"
        lines.append(f"{INDENT}{title:<10}  {change}{named}")
        title = ""
    return lines


def _file_lines(folder: Path, files: Sequence[str]) -> list[str]:
    """Tell the files; the poses of bodies, and those in views, are on lines of their own."""
    more = [file[: -len(".json")] for file in files if _is_pose(file) and file.endswith(".json")]
    both = [name for name in more if f"{name}.tfm" in files]
    lines = [
        f"{folder}/: {', '.join(file for file in files if not _is_pose(file))}",
        f"{', '.join(both)} (.json, .tfm)" if both else "",
        ", ".join(f"{name}.json" for name in more if name not in both),
    ]
    titles = ("files", "", "")
    return [
        f"{INDENT}{title:<10}  {line}" for title, line in zip(titles, lines, strict=True) if line
    ]


def _is_pose(file: str) -> bool:
    """Return whether a file is the pose of one body of several, or in one view of several."""
    return file.startswith("pose-")


def _deviations(result: RegistrationResult) -> list[float]:
    values = result.standard_deviation.tolist()
    return [*(math.degrees(v) for v in values[:3]), *values[3:]]


def _orientation(volume: Volume) -> str:
    """Tell where the voxel axes point, and how far they are from the patient's."""
    import nibabel
    import numpy as np

    axes = volume.ct_from_voxel[:3, :3].numpy() / np.array(volume.spacing_mm)
    ras_from_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    letters = nibabel.orientations.aff2axcodes(ras_from_lps @ volume.ct_from_voxel.numpy())
    tilt_deg = math.degrees(math.acos(min(1.0, float(np.abs(axes).max(axis=0).min()))))
    oblique = f", oblique by up to {tilt_deg:.1f} deg" if tilt_deg > 0.05 else ""
    return f"x, y, z run to {', '.join(str(letter) for letter in letters)}{oblique}"


def _labels(volume: Volume) -> str:
    if volume.labels is None:
        return "none given (--labels)"
    values = volume.label_values
    shown = [f"{v} {volume.label_names.get(v, '(no name)')}" for v in values[:NAMES_SHOWN]]
    more = f", and {len(values) - NAMES_SHOWN} more" if len(values) > NAMES_SHOWN else ""
    return f"{len(values)}: {', '.join(shown)}{more}"


def _times(values: Iterable[float], form: str) -> str:
    return " x ".join(format(value, form) for value in values)


def _indented(lines: Iterable[str]) -> list[str]:
    return [INDENT + line for line in lines]
