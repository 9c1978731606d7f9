"""Tasks that experiments share: trainings, registrations by any method, Dice of networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsreg.experiments.estimates import Seconds, training_group, training_seconds, trials_seconds
from wsreg.experiments.table_tasks import score_dice
from wsreg.experiments.tasks import ALL_METHODS, register, train
from wsreg.jobs.task import Task
from wsreg.methods.artefact import Artefact, needs
from wsreg.methods.preset import Preset
from wsreg.methods.run import artefacts_of


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an experiment is made of.

    Args:
        data: DeepFluoro's file or a cohort.
        projections: of each specimen that is to be registered, all of the file.
        preset: how large.
        xrays: of each specimen at most, instead of the preset's numbers.
        seconds: about how long things take.
    """

    data: Path
    projections: Mapping[str, tuple[str, ...]]
    preset: Preset
    xrays: int | None
    seconds: Seconds

    @property
    def specimens(self) -> tuple[str, ...]:
        """Return the specimens that are to be registered."""
        return tuple(self.projections)

    def most(self, presets: int | None) -> int | None:
        """Return how many X-rays of a specimen there are at most, by what the preset says."""
        return presets if self.xrays is None else self.xrays

    def count(self, specimen: str, most: int | None) -> int:
        """Return how many X-rays of a specimen that makes."""
        return len(self.projections[specimen][:most])

    def first_xray(self, specimen: str) -> tuple[str, str]:
        """Return (specimen, projection) of the X-ray that pictures show."""
        return specimen, self.projections[specimen][0]


def by_name(tasks: Iterable[Task]) -> dict[str, Task]:
    """Return tasks by name, each once."""
    return {task.name: task for task in tasks}


def trials(name: str, asked: Asked, specimens: Iterable[str], most: int | None) -> list[Task]:
    """Return a method's registrations of specimens, and all the training that they need."""
    tasks = []
    for specimen in specimens:
        artefacts = artefacts_of(ALL_METHODS[name], (specimen,))
        tasks += [training(artefact, asked) for artefact in artefacts]
        tasks.append(
            Task(
                name=f"trials-{name}-{specimen}",
                function=register,
                arguments={
                    "method": name, "specimen": specimen, "preset": asked.preset.name,
                    "xrays": most, "settings": asked.preset.record(),
                },
                files={"data": asked.data},
                needs=tuple(artefact.name for artefact in artefacts),
                seconds=trials_seconds(asked.seconds, name, asked.count(specimen, most)),
                group=name,
            )
        )  # fmt: skip
    return tasks


def dice(network: str, asked: Asked, specimens: Iterable[str]) -> list[Task]:
    """Return the Dice of the networks that have not seen the specimens, and their training."""
    tasks = []
    for specimen in specimens:
        artefact = Artefact(kind="unet" if network == "unet" else "medsam", specimen=specimen)
        most = asked.most(asked.preset.xrays)
        tasks += [
            training(artefact, asked),
            Task(
                name=f"dice-{network}-{specimen}",
                function=score_dice,
                arguments={"network": network, "specimen": specimen, "xrays": most},
                files={"data": asked.data},
                needs=(artefact.name,),
                seconds=asked.seconds.beginning
                + asked.count(specimen, most) * asked.seconds.dice,
            ),
        ]  # fmt: skip
    return tasks


def training(artefact: Artefact, asked: Asked) -> Task:
    """Return the training of an artefact."""
    return Task(
        name=artefact.name,
        function=train,
        arguments={
            "artefact": dataclasses.asdict(artefact),
            "preset": asked.preset.name,
            "settings": _settings(artefact, asked.preset),
        },
        files={"data": asked.data},
        needs=tuple(one.name for one in needs(artefact)),
        seconds=training_seconds(asked.seconds, artefact),
        group=training_group(artefact),
    )


def _settings(artefact: Artefact, preset: Preset) -> Mapping[str, Any]:
    """Return what a training depends on; where the package lies is not part of it."""
    record = preset.training_record(artefact.kind)
    begun = record.get("begin_with")
    return record if begun is None else {**record, "begin_with": Path(begun).name}
