"""X-rays centred above or below the pelvis, where the body goes on and the CT does not: found?

    python benchmarks/off_centre.py [--write]

Of virtual people of a seed that no other benchmark has.  X-rays are kept under
``benchmarks/output`` and every trial is appended to a journal there, so a run that is interrupted
goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from tqdm import tqdm

from hardware import describe_hardware
from results_file import write_section
from wsreg import __version__, prepare, read_radiograph, register
from wsreg.cohort.build import acquisition_of
from wsreg.cohort.exposure import Acquisition, expose, sample_acquisition
from wsreg.cohort.presets import PRESETS, SPECIMENS, person_of
from wsreg.evaluation.distances import mpd_mm, mtre_3d_mm
from wsreg.files.journal import open_row_journal
from wsreg.specimens.ct import scan
from wsreg.specimens.specimen import Specimen, build_specimen
from wsreg.threads import thread_count

OUTPUT = Path(__file__).parent / "output" / "off-centre"
PRESET = PRESETS["small"]
OFF_MM = (50.0, 110.0)
"""How far above or below an X-ray is centred, besides what those of a cohort are off."""
WAYS = {"above": 1.0, "below": -1.0}
SUCCESS_MM, FAILURE_MM = 1.0, 10.0
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run.

    Args:
        seed: of the people, poses and noise.
        xrays: of each person, above and below each.
        write: put the report into docs/results.md.
    """

    seed: int = 41
    xrays: int = 3
    write: bool = False


def off_centre(specimen: Specimen, name: str, seed: int, way: str, number: int) -> Acquisition:
    """Draw an X-ray of a cohort, moved along the body."""
    place = (seed, list(SPECIMENS).index(name), list(WAYS).index(way), number)
    generator = np.random.default_rng(place)
    pose = acquisition_of(specimen, PRESET, name, seed, number).camera_from_ct.clone()
    pose[:3, 3] -= WAYS[way] * generator.uniform(*OFF_MM) * pose[:3, 2]
    return sample_acquisition(specimen, PRESET.camera, generator, pose)


def trials_of(name: str, options: Options, done: set[str]) -> Iterator[Row]:
    """Expose, search, and measure, all X-rays of a person that are not done."""
    wanted = [
        (f"{name}/{way}/{number}", way, number) for way in WAYS for number in range(options.xrays)
    ]
    wanted = [one for one in wanted if one[0] not in done]
    if not wanted:
        return
    specimen = build_specimen(person_of(name, options.seed), PRESET.detail)
    ct = prepare(scan(specimen, PRESET.ct_mm))
    landmarks_mm = torch.from_numpy(np.stack(list(specimen.anatomy.landmarks_mm.values())))
    for trial, way, number in wanted:
        seen = off_centre(specimen, name, options.seed, way, number)
        path = OUTPUT / f"{options.seed}-{trial.replace('/', '-')}.npy"
        if not path.exists():
            np.save(path, expose(specimen, PRESET.camera, seen).transmission)
        xray = read_radiograph(path, camera=PRESET.camera, intensity="transmission")
        found = register(xray, ct)
        truth = seen.camera_from_ct
        projected = float(mpd_mm(landmarks_mm, found.camera_from_ct, truth, PRESET.camera))
        yield {
            "trial": trial,
            "way": way,
            "mpd_mm": projected if np.isfinite(projected) else 1e3,
            "mtre_3d_mm": float(mtre_3d_mm(landmarks_mm, found.camera_from_ct, truth)),
            "verdict": found.verdict.status,
            "seconds": found.seconds["total"],
        }


def run(options: Options) -> list[Row]:
    """Run what has not been run, and give back every row."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    plan = {"seed": options.seed, "xrays": options.xrays, "wsreg": __version__}
    journal = open_row_journal(OUTPUT / f"trials-{options.seed}.jsonl", plan)
    rows = [dict(row) for row in journal.rows]
    done = {row["trial"] for row in rows}
    for name in tqdm(SPECIMENS, desc="people"):
        for row in trials_of(name, options, done):
            rows.append(row)
            journal.append(row)
    return rows


def report(rows: Sequence[Row], options: Options) -> str:
    """The table as markdown."""
    lines = [
        "### X-rays centred above and below the pelvis", "",
        f"{describe_hardware(thread_count(), ('torch', 'numba', 'wsreg'))}.  People and poses of "
        f"seed {options.seed}, {OFF_MM[0]:.0f} to {OFF_MM[1]:.0f} mm farther along the body than a "
        "cohort's; search around PA, pelvis, femurs and soft tissue apart.  Found: under "
        f"{SUCCESS_MM:.0f} mm projected and {FAILURE_MM:.0f} mm in 3D.", "",
        "| centred | n | found | pass / check / fail | wrong that pass | projected, median mm |",
        "|---|---:|---:|---|---:|---:|",
    ]  # fmt: skip
    for way in WAYS:
        some = [row for row in rows if row["way"] == way]
        statuses = [row["verdict"] for row in some]
        counts = " / ".join(str(statuses.count(status)) for status in ("pass", "check", "fail"))
        wrong = sum(not _found(row) and row["verdict"] == "pass" for row in some)
        lines.append(
            f"| {way} | {len(some)} | {sum(map(_found, some))} | {counts} | {wrong} "
            f"| {np.median([row['mpd_mm'] for row in some]):.2f} |"
        )
    return "\n".join(lines)


def _found(row: Row) -> bool:
    return bool(row["mpd_mm"] < SUCCESS_MM and row["mtre_3d_mm"] < FAILURE_MM)


def main(options: Options) -> None:
    """Run, print, and write where asked."""
    text = report(run(options), options)
    print(text)
    if options.write:
        write_section("off centre", text)


if __name__ == "__main__":
    main(tyro.cli(Options))
