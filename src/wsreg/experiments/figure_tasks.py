"""Tasks that draw the paper's figures and ours, each as PNG and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from wsreg.datasets.reader import DeepFluoroFile
from wsreg.evaluation.trial import Trial
from wsreg.experiments import curves, overlap, scenes
from wsreg.experiments.table_tasks import scores_in
from wsreg.experiments.tasks import entries_in
from wsreg.files.json_files import read_json, write_json
from wsreg.jobs.task import Place
from wsreg.methods.preset import PRESETS
from wsreg.methods.run import xrays_of
from wsreg.methods.variants import CAPTURE_VARIANTS, DESCENT_MM, SOLVERS, FromOff, Solver
from wsreg.outputs.figures import write_for_print
from wsreg.vocabulary import PresetName

ERRORS_FILE = "errors.json"

FIGURES = {
    "figure1": "Figure 1: bones of the CT with landmarks, and their masks on an X-ray.",
    "figure4": "Figure 4: landmarks under the true (blue) and the estimated pose (red).",
    "figure5": "Figure 5: Dice of the networks, and landmarks under true and estimated poses.",
    "distributions": "Share of all X-rays that are nearer than so much, by method.",
    "risk": "Gross failures among the most trusted answers, by method.",
    "capture-range": "X-rays of one specimen that are found, by how far off the start is; the CT "
    "as one body, by the image alone, no search.",
    "convergence": f"Errors from step to step, from starts {DESCENT_MM} mm off; the same X-rays.",
}
"""Names of files, and what they show."""


def draw_anatomy(place: Place, *, specimen: str, projection: str) -> None:
    """Draw Figure 1."""
    with DeepFluoroFile(place.files["data"]) as file:
        figure = scenes.anatomy_figure(file.sample(specimen, projection))
    write_for_print(figure, place.out / "figure1")


def draw_landmarks(place: Place, *, xrays: Sequence[Sequence[str]]) -> None:
    """Draw Figure 4, a row for each X-ray, (specimen, projection)."""
    methods = {entry.title: _by_key(entry.trials) for entry in entries_in(place.made).values()}
    with DeepFluoroFile(place.files["data"]) as file:
        samples = [file.sample(specimen, projection) for specimen, projection in xrays]
    write_for_print(scenes.landmarks_figure(samples, methods), place.out / "figure4")


def draw_overlap(place: Place, *, specimen: str, projection: str) -> None:
    """Draw Figure 5; of a scheme without an answer it says so."""
    poses = {
        entry.title: _by_key(entry.trials)[specimen, projection].camera_from_ct
        for entry in entries_in(place.made).values()
    }
    answers = {
        title: torch.tensor(p, dtype=torch.float64) if p else None for title, p in poses.items()
    }
    with DeepFluoroFile(place.files["data"]) as file:
        sample = file.sample(specimen, projection)
    figure = overlap.overlap_figure(scores_in(place.made), sample, answers)
    write_for_print(figure, place.out / "figure5")


def draw_distributions(place: Place) -> None:
    """Draw the distribution of each method's errors."""
    figure = curves.distribution_figure(list(entries_in(place.made).values()))
    write_for_print(figure, place.out / "distributions")


def draw_risk(place: Place) -> None:
    """Draw risk against coverage."""
    figure = curves.risk_coverage_figure(list(entries_in(place.made).values()))
    write_for_print(figure, place.out / "risk")


def draw_capture_range(place: Place) -> None:
    """Draw which starts lead to the answer."""
    by_solver: dict[str, dict[float, Sequence[Trial]]] = {}
    for name, entry in entries_in(place.made).items():
        variant = CAPTURE_VARIANTS[name]
        by_solver.setdefault(variant.title, {})[variant.distance_mm] = entry.trials
    write_for_print(curves.capture_range_figure(by_solver), place.out / "capture-range")


def descend(
    place: Place,
    *,
    solver: Solver,
    specimen: str,
    preset: PresetName,
    xrays: int,
    settings: Mapping[str, Any],
) -> None:
    """Register the first X-rays of a specimen and keep the error after each step.

    Args:
        place: with the data.
        solver: by which.
        specimen: whose.
        preset: how finely.
        xrays: so many.
        settings: the preset's in full, for the key of the task.
    """
    descent = FromOff(solver=solver, distance_mm=DESCENT_MM).descent(PRESETS[preset], trace=True)
    with DeepFluoroFile(place.files["data"]) as file:
        samples = [file.sample(*key) for key in xrays_of(file, specimen, xrays)]
    rows = [curves.errors_on_the_way(one, descent(one).trace) for one in samples]
    write_json(place.out / ERRORS_FILE, {"title": SOLVERS[solver], "errors_mm": rows})


def draw_convergence(place: Place) -> None:
    """Draw how errors fall from step to step."""
    records = [read_json(folder / ERRORS_FILE) for folder in place.made.values()]
    rows = {record["title"]: record["errors_mm"] for record in records}
    figure = curves.descent_figure(rows, "3D distance (mm)")
    write_for_print(figure, place.out / "convergence")


def _by_key(trials: Sequence[Trial]) -> dict[tuple[str, str], Trial]:
    return {trial.key: trial for trial in trials}
