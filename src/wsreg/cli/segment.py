"""``wsreg segment``: X-rays and a trained model in, regions out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from wsreg.cli.batch import Outcome, Scheduler
from wsreg.cli.kept import Kept, check_resume, run_batch
from wsreg.cli.options import Geometry, OptionalFile, XrayDetails, Xrays, xray_reader
from wsreg.cli.regions import model_named
from wsreg.cli.register import result_folders, xray_names
from wsreg.cli.setups import run_setup
from wsreg.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.segmentation.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Find regions in X-rays with a trained model.

    Writes labels.png, labels.nii.gz, label_names.json, probabilities.npz and overlay.png, with
    several X-rays in a folder for each, and one rois.csv with area and centroid of each region.
    """

    xrays: Xrays
    """PNG, TIFF, NPY, NIfTI or DICOM."""
    model: Annotated[Path, arg(metavar="DIR")]
    """Folder written by wsreg train segmentation; unet:generic comes with wsreg."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write to."""
    boxes: OptionalFile = None
    """For a MedSAM model, where to look: JSON {"xray": {"left-femur": [left, top, right, bottom]}}
    in pixels; X-rays are named by their files without suffix."""
    boxes_from: Annotated[Path | None, arg(metavar="DIR")] = None
    """For a MedSAM model, a U-Net that finds the boxes instead."""
    force: bool = False
    """Replace results that are already there."""
    resume: bool = False
    """Go on with a batch that was stopped: what it finished of these X-rays stays, if files and
    settings are still the same."""
    scheduler: Scheduler = None
    """Share several X-rays out among the workers of this Dask scheduler, which must see the same
    files, or among processes here (local)."""
    quiet: bool = False
    """Print errors only."""
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)

    def run(self) -> int:
        """Segment every X-ray and return the exit status."""
        from wsreg.files.lock import held_folder

        if not self.xrays:
            raise InputError("segment needs at least one X-ray, got none")
        check_resume(self.resume, self.force, len(self.xrays))
        with held_folder(self.out):
            return self._segment_all()

    def _segment_all(self) -> int:
        from wsreg.files.whole import staged_folder, tidy
        from wsreg.outputs.segmentation_files import JOURNAL_FILE, TABLE_FILE, write_region_table

        goes_on = self.resume and (self.out / JOURNAL_FILE).exists()
        if (self.out / TABLE_FILE).exists() and not self.force and not goes_on:
            raise InputError(
                f"output folder {self.out} already holds results ({TABLE_FILE}); "
                "name another or pass --force to replace them"
            )
        several, folders = len(self.xrays) > 1, result_folders(self.xrays, self.out)
        for folder in folders:
            tidy(folder)

        def begun() -> None:
            if not goes_on and (self.out / TABLE_FILE).exists():
                with staged_folder(self.out, (TABLE_FILE, JOURNAL_FILE)):
                    pass

        kept = Kept(
            path=self.out / JOURNAL_FILE, setup=self._setup() if several else None,
            xrays=self.xrays, folders=folders, resume=self.resume,
        )  # fmt: skip
        return run_batch(
            self, kept, scheduler=self.scheduler if several else None,
            elsewhere=dataclasses.replace(self, scheduler=None), begun=begun,
            write=lambda rows: write_region_table(rows, self.out / TABLE_FILE),
        )  # fmt: skip

    def _setup(self) -> dict[str, Any]:
        """Return what tells a batch from others, but for its X-rays."""
        from wsreg.networks.checkpoint import CARD_FILE, WEIGHTS_FILE

        models = {"model": self.model, "boxes_from": self.boxes_from}
        files = {
            f"{role} {name}": model_named(str(folder))[1] / name
            for role, folder in models.items()
            if folder is not None
            for name in (WEIGHTS_FILE, CARD_FILE)
        }
        more = {
            "boxes": self.boxes, "camera": self.geometry.camera, "mask": self.xray_details.mask,
        }  # fmt: skip
        files |= {role: path for role, path in more.items() if path is not None}
        unsaid = ("xrays", "model", "boxes_from", "out", "force", "resume", "quiet", "scheduler")
        return run_setup(self, unsaid, files)

    def begin(self) -> Callable[[int], Outcome]:
        """Read the models, and return what segments one X-ray."""
        from wsreg.outputs.segmentation_files import remove_segmentation
        from wsreg.segmentation.segmenter import load_segmenter

        folders = result_folders(self.xrays, self.out)
        names = xray_names(self.xrays)
        kind, model = model_named(str(self.model))
        segmenter = load_segmenter(model, kind=kind)
        prompt = self._prompt(segmenter, names)
        read = xray_reader(self.xray_details, self.geometry)

        def outcome(number: int) -> Outcome:
            name, folder = names[number], folders[number]
            try:
                return self._segment(name, read(self.xrays[number]), folder, segmenter, prompt)
            except InputError as error:
                if len(folders) == 1:
                    raise
                remove_segmentation(folder)  # of an earlier run
                return Outcome(rows=(), warning=f"error: {error}", bad=True)

        return outcome

    def _prompt(
        self, segmenter: Segmenter, names: list[str]
    ) -> Callable[[str, Radiograph], Tensor | None]:
        """Return a function from an X-ray and its name to the boxes in which to look."""
        from wsreg.segmentation.boxes import read_boxes
        from wsreg.segmentation.regions import boxes_found_by
        from wsreg.segmentation.segmenter import load_segmenter

        if self.boxes is not None and self.boxes_from is not None:
            raise InputError("boxes must come from --boxes or from --boxes-from, got both")
        if not segmenter.needs_boxes:
            if self.boxes is not None or self.boxes_from is not None:
                raise InputError(f"a {segmenter.card.kind} model takes no boxes")
            return lambda name, radiograph: None
        if self.boxes is not None:
            given: Mapping[str, Tensor] = read_boxes(self.boxes, names, segmenter.roi_names)
            return lambda name, radiograph: given[name]
        if self.boxes_from is None:
            raise InputError(
                "a medsam model needs boxes: --boxes FILE, or --boxes-from DIR with a U-Net"
            )
        finder = load_segmenter(model_named(str(self.boxes_from))[1], kind="unet")
        return lambda name, radiograph: boxes_found_by(finder, radiograph, segmenter.roi_names)

    def _segment(
        self,
        name: str,
        radiograph: Radiograph,
        folder: Path,
        segmenter: Segmenter,
        prompt: Callable[[str, Radiograph], Tensor | None],
    ) -> Outcome:
        from wsreg.outputs.segmentation_files import region_rows, write_segmentation
        from wsreg.segmentation.regions import segment_radiograph

        found = segment_radiograph(segmenter, radiograph, prompt(name, radiograph))
        files = write_segmentation(folder, radiograph, found, segmenter.roi_names)
        rows = region_rows(name, radiograph, found, segmenter.roi_names)
        areas = {str(row["roi"]): row["area_px"] for row in rows}
        seen = ", ".join(roi for roi, area in areas.items() if area)
        return Outcome(
            rows=tuple(rows),
            text="\n".join((f"{name}: {seen or 'nothing'}", f"{folder}/: {', '.join(files)}")),
            warning="" if seen else f"warning: {name}: no region found, all is background",
            files=tuple(files),
        )
