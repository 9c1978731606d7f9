"""``wsreg evaluate``: a method on every X-ray of a data set, against the true poses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.console import progress_bar, step
from wsreg.errors import InputError
from wsreg.vocabulary import MethodName, PresetName

if TYPE_CHECKING:
    from wsreg.evaluation.trial import Trial
    from wsreg.methods.artefact import Artefact
    from wsreg.methods.method import Method
    from wsreg.methods.preset import Preset


PRINTED = ("mtre_3d_mm", "mpd_mm", "mtre_diffpose_mm", "re_deg", "te_mm")
"""Distances that are printed; the files have all."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Register every X-ray of a data set by one method and measure the answers.

    Writes xrays.csv (a row for each X-ray), summary.csv and summary.md.  What the method trains is
    trained first, unless it is there.  A run that was stopped goes on when started again.
    """

    data: Annotated[Path, arg(metavar="FILE.h5")]
    """DeepFluoro's file or a cohort."""
    method: MethodName
    """ours, ours-search and diffdrr train nothing; docs/methods.md says what each one does."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write to."""
    specimen: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Only these; networks of regions learn from all others."""
    preset: PresetName = "small"
    """small: for two cores; paper: 256 pixels and the paper's epochs, for a GPU; tiny: a trial."""
    artefacts: Annotated[Path | None, arg(metavar="DIR")] = None
    """Folder of what is trained, shared by methods; artefacts in --out if left out."""
    no_training: bool = False
    """Name what must be trained instead of training it."""
    xrays: int | None = None
    """At most so many X-rays of each specimen, the first ones, instead of the preset's number."""
    quiet: bool = False
    """Print errors only."""

    def run(self) -> int:
        """Train what is missing, register, write, and return the exit status."""
        from wsreg.files.lock import held_folder

        with held_folder(self.out):
            self._evaluate()
        return 0

    def _evaluate(self) -> None:
        from wsreg.datasets.reader import DeepFluoroFile
        from wsreg.methods.preset import PRESETS
        from wsreg.methods.run import artefacts_of, check_specimens, xrays_of
        from wsreg.methods.table import METHODS

        if self.xrays is not None and self.xrays < 1:
            raise InputError(f"--xrays must be at least 1, got {self.xrays}")
        method, preset = METHODS[self.method], PRESETS[self.preset]
        most = preset.xrays if self.xrays is None else self.xrays
        with DeepFluoroFile(self.data) as file:
            learnt = any(one.kind != "encoder" for one in artefacts_of(method, ("any",)))
            specimens = check_specimens(file, self.specimen, learnt)
            keys = [key for name in specimens for key in xrays_of(file, name, most)]
            virtual = file.virtual
        folders = self._prepared(artefacts_of(method, specimens), preset)
        trials = self._registered(method, preset, keys, folders)
        self._write(method, trials, virtual)

    def _prepared(self, artefacts: Sequence[Artefact], preset: Preset) -> Mapping[str, Path]:
        """Return the folders of artefacts, all of which are made then."""
        from wsreg.methods.artefact import data_sha256, make_artefact
        from wsreg.methods.run import missing_artefacts
        from wsreg.threads import cores_for_helpers

        root = self.artefacts or self.out / "artefacts"
        folders = {one.name: root / one.name for one in artefacts}
        with step("Hashing the data", quiet=self.quiet):
            data_sha256(self.data)
        missing = missing_artefacts(artefacts, self.data, folders, preset)
        if missing and self.no_training:
            names = ", ".join(one.name for one in missing)
            raise InputError(
                f"method {self.method} needs artefacts that {root} has not, {names}; without "
                "--no-training they are trained"
            )
        for number, one in enumerate(missing, start=1):
            text = f"Training {one.name} ({number} of {len(missing)})"
            with progress_bar(text, quiet=self.quiet) as progress:
                make_artefact(
                    one, self.data, folders[one.name], folders, preset, progress,
                    workers=cores_for_helpers(),
                )  # fmt: skip
        return folders

    def _registered(
        self,
        method: Method,
        preset: Preset,
        keys: Sequence[tuple[str, str]],
        folders: Mapping[str, Path],
    ) -> list[Trial]:
        """Return the trials of X-rays by (specimen, projection), those of earlier runs as well."""
        from wsreg.methods.run import held_trials, run_specimen

        counts = Counter(specimen for specimen, _ in keys)
        journals = {name: self.out / "trials" / f"{method.name}-{name}.jsonl" for name in counts}
        held = {
            key
            for name, path in journals.items()
            for key in held_trials(method, self.data, name, folders, preset, path)
        }
        done = len(held.intersection(keys))
        trials: list[Trial] = []
        with progress_bar("Registering", quiet=self.quiet) as progress:
            progress("registering", done, len(keys))

            def count(trial: Trial) -> None:
                nonlocal done
                done += trial.key not in held
                progress("registering", done, len(keys))

            for name, path in journals.items():
                trials += run_specimen(
                    method, self.data, name, folders, preset, path, xrays=counts[name],
                    progress=count,
                )  # fmt: skip
        return trials

    def _write(self, method: Method, trials: Sequence[Trial], virtual: bool) -> None:
        """Write the tables, and print the summary."""
        from wsreg.datasets.layout import QUESTIONABLE
        from wsreg.evaluation.summary import summarise
        from wsreg.evaluation.tables import (
            csv_rows,
            distance_table,
            failure_table,
            trial_rows,
            verdict_table,
        )
        from wsreg.evaluation.verdicts import summarise_verdicts
        from wsreg.files.whole import staged_folder, write_text
        from wsreg.outputs.csv_file import write_csv

        groups = summarise(trials, frozenset() if virtual else QUESTIONABLE)
        head = [
            f"# {method.title} on {self.data.name}",
            f"{len(trials)} X-rays, preset {self.preset}. A trial without an answer is a failure: "
            "infinitely far off in medians, P95 and fractions.",
            failure_table(groups),
        ]
        verdicts = [
            "Verdicts (gross failure: over 10 mm in 3D; success: under 1 mm projected):",
            verdict_table(summarise_verdicts(trials)),
        ]
        whole = "\n\n".join([*head, distance_table(groups), *verdicts])
        with staged_folder(self.out) as staging:
            for name, rows in {
                "xrays.csv": trial_rows(trials), "summary.csv": csv_rows(groups),
            }.items():  # fmt: skip
                write_csv(rows, list(rows[0]), staging / name)
            write_text(staging / "summary.md", whole + "\n")
        if not self.quiet:
            print("\n\n".join([*head, distance_table(groups, PRINTED), *verdicts]))
            print(f"\n{self.out}/: summary.md (all distances), summary.csv, xrays.csv")
