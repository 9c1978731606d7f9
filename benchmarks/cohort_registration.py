"""Registration of every X-ray of a cohort, real or virtual: all distances, by specimen and overall.

    python benchmarks/cohort_registration.py --cohort cohort.h5            # run, then report
    python benchmarks/cohort_registration.py --cohort cohort.h5 --write    # into docs/results.md

Pelvis, femurs and soft tissue are sought, each as a body of its own, from one start for each X-ray,
or with ``--search`` from none; ``--one-body`` moves the whole CT as one, ``--bones`` renders the
pelvis alone.  Every trial is appended to a journal
under ``benchmarks/output`` as it ends, so a run that is interrupted goes on where it was.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import RegistrationConfig, RegistrationResult, __version__, register
from wsreg.datasets.layout import QUESTIONABLE
from wsreg.datasets.reader import DeepFluoroFile
from wsreg.datasets.sample import Sample
from wsreg.evaluation.body_errors import body_errors
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.scoring import score
from wsreg.evaluation.starts import seeded_start
from wsreg.evaluation.summary import GroupSummary, summarise
from wsreg.evaluation.tables import csv_rows, distance_table, failure_table, verdict_table
from wsreg.evaluation.trial import Trial
from wsreg.evaluation.verdicts import summarise_verdicts
from wsreg.files.hashes import sha256_of
from wsreg.threads import thread_count

OUTPUT = Path(__file__).parent / "output"
PELVIS = (1, 2, 4)
"""Labels of the bones that move as one: both hemipelves and the upper sacrum."""
CONFIG = RegistrationConfig()


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        cohort: file in DeepFluoro's layout.
        distance: how far off the starts are, mean over the landmarks in mm.
        seed: of the starts.
        search: from no start, by a search around PA.
        bones: render the bones of the pelvis alone.
        one_body: move the whole CT as one.
        only: specimens, by name; all by default.
        limit: at most so many X-rays of each specimen.
        write: put the report into docs/results.md.
    """

    cohort: Path
    distance: float = 20.0
    seed: int = 0
    search: bool = False
    bones: bool = False
    one_body: bool = False
    only: tuple[str, ...] = ()
    limit: int | None = None
    write: bool = False


def labels(options: Options) -> tuple[int, ...]:
    """Labels that are rendered; none stands for the whole CT."""
    return PELVIS if options.bones else ()


def bodies(options: Options) -> str | None:
    """What moves by itself."""
    return None if options.one_body or options.bones else "pelvis"


def run(cohort: DeepFluoroFile, options: Options, journal_path: Path) -> list[Trial]:
    """Score what has not been scored, and give back every trial that is asked for."""
    setup = {
        "method": "wsreg.register",
        "wsreg": __version__,
        "config": CONFIG.record(),
        "render_labels": labels(options),
        "bodies": bodies(options),
        "start_distance_mm": None if options.search else options.distance,
        "start_seed": options.seed,
        "cohort_sha256": sha256_of(options.cohort),
    }

    def method(sample: Sample) -> RegistrationResult:
        start = seeded_start(sample, options.distance, options.seed)
        found = register(
            sample.radiograph,
            sample.volume,
            init="search" if options.search else start,
            bodies=bodies(options),
            render_labels=labels(options),
            config=CONFIG,
        )
        keep_bodies(sample, found, journal_path.with_suffix(".bodies.jsonl"))
        return found

    names = [
        (specimen, projection)
        for specimen in options.only or cohort.specimens
        for projection in cohort.projections(specimen)[: options.limit]
    ]
    journal = open_journal(journal_path, setup)
    with tqdm(desc=options.cohort.stem, total=len(names)) as bar:
        return score(
            method,
            (cohort.sample(*name) for name in names),
            journal=journal,
            progress=lambda trial: bar.update(),
        )


def keep_bodies(sample: Sample, found: RegistrationResult, path: Path) -> None:
    """Append the errors of femurs whose true pose is known."""
    with path.open("a", encoding="utf-8") as stream:
        for name, errors in body_errors(sample, found).items():
            body = found.bodies[name]
            row = {
                "sample": sample.name, "body": name, "verdict": body.verdict.status,
                "shown": body.shown, "deviation": body.standard_deviation.tolist(),
                **dataclasses.asdict(errors),
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")


def body_table(path: Path) -> str:
    """The errors of femurs as a table; the last trial of each counts."""
    if not path.exists():
        return ""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = list({(row["sample"], row["body"]): row for row in lines}.values())
    table = [
        "Femurs in views that are good for them, projected error in mm (of what the image shows of "
        "the femur, and of all of it that the CT holds):",
        "",
        "| femurs | n | shown: median | P95 | under 1 mm | all: median | under 1 mm "
        "| verdict pass / check / fail |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for text, some in (("all", rows), ("that pass", [r for r in rows if r["verdict"] == "pass"])):
        if some:
            table.append(_body_line(text, some))
    return "\n".join(table)


def _body_line(text: str, rows: Sequence[dict[str, Any]]) -> str:
    shown, whole = (np.array([row[name] for row in rows]) for name in ("mpd_shown_mm", "mpd_mm"))
    seen = shown[~np.isnan(shown)]
    verdicts = [row["verdict"] for row in rows]
    counts = " / ".join(str(verdicts.count(name)) for name in ("pass", "check", "fail"))
    return (
        f"| {text} | {len(rows)} | {np.median(seen):.2f} | {np.percentile(seen, 95):.2f} | "
        f"{np.mean(seen < 1):.0%} | {np.median(whole):.2f} | {np.mean(whole < 1):.0%} | {counts} |"
    )


def report(options: Options, trials: Sequence[Trial], groups: Sequence[GroupSummary]) -> str:
    """The tables as markdown."""
    verdicts = summarise_verdicts(trials)
    rendered = "the whole CT as one" if options.one_body else "pelvis, femurs and soft tissue apart"
    if options.bones:
        rendered = "the pelvis alone, hemipelves and sacrum"
    starts = "searched around PA, which is" if options.search else "one start each,"
    start_mm = np.nanmedian([trial.start_mtre_3d_mm for trial in trials])
    return "\n\n".join(
        (
            f"### Registration of `{options.cohort.name}`{', searched' if options.search else ''}",
            f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.",
            f"{len(trials)} X-rays, {starts} {start_mm:.1f} mm off (3D, mean over the "
            f"landmarks, median); Gauss-Newton on {rendered}.  "
            "Seconds are wall time on a shared machine, with the preparation of the CT for the "
            "first X-ray of a specimen.  A trial without an answer counts as a gross failure and "
            "as infinitely far off in medians, P95 and fractions.",
            failure_table(groups),
            distance_table(groups),
            "Verdicts (gross failure: over 10 mm in 3D; success: under 1 mm projected):",
            verdict_table(verdicts),
            "Area under the risk-coverage curve of gross failures: by verdict "
            f"{verdicts.area_by_verdict:.4f}, by final similarity "
            f"{verdicts.area_by_similarity:.4f}, at best {verdicts.area_best:.4f}.",
        )
    )


def write_csv(groups: Sequence[GroupSummary], path: Path) -> None:
    """The summaries as a table for other programs."""
    rows = csv_rows(groups)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    what = "bones" if options.bones else "ct" if options.one_body else "bodies"
    start = "search" if options.search else f"{options.distance:g}mm"
    name = f"{options.cohort.stem}-{what}-{start}-{options.seed}"
    with DeepFluoroFile(options.cohort) as cohort:
        trials = run(cohort, options, OUTPUT / f"{name}.jsonl")
        # A virtual cohort, which says how it was made, uses the same names; its truth is not in
        # question.
        doubtful = frozenset() if cohort.record else QUESTIONABLE
    groups = summarise(trials, doubtful)
    text = report(options, trials, groups)
    text += "\n\n" + body_table((OUTPUT / f"{name}.jsonl").with_suffix(".bodies.jsonl"))
    print(text)
    write_csv(groups, OUTPUT / f"{name}.csv")
    if options.write:
        searched = " search" if options.search else ""
        write_section(f"cohort {options.cohort.stem} {what}{searched}", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
