"""``wsreg segment``: X-rays and a trained model in, regions out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.batch import Outcome, Scheduler, outcomes
from wsreg.cli.options import Geometry, OptionalFile, XrayDetails, Xrays, xray_reader
from wsreg.cli.regions import model_named
from wsreg.cli.register import result_folders
from wsreg.errors import InputError
from wsreg.files.names import stem

if TYPE_CHECKING:
    from torch import Tensor

    from wsreg.outputs.csv_file import Row
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
    scheduler: Scheduler = None
    """Share several X-rays out among the workers of this Dask scheduler, which must see the same
    files, or among processes here (local)."""
    quiet: bool = False
    """Print errors only."""
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)

    def run(self) -> int:
        """Segment every X-ray and return the exit status."""
        from wsreg.outputs.segmentation_files import TABLE_FILE, write_region_table

        if not self.xrays:
            raise InputError("segment needs at least one X-ray, got none")
        if (self.out / TABLE_FILE).exists() and not self.force:
            raise InputError(
                f"output folder {self.out} already holds results ({TABLE_FILE}); "
                "name another or pass --force to replace them"
            )
        rows: list[Row] = []
        bad = False
        count = len(self.xrays)
        elsewhere = dataclasses.replace(self, scheduler=None)
        scheduler = self.scheduler if count > 1 else None
        for found in outcomes(self, count, scheduler=scheduler, elsewhere=elsewhere):
            found.show(quiet=self.quiet)
            rows += found.rows
            bad = bad or found.bad
            write_region_table(rows, self.out / TABLE_FILE)
        return int(bad)

    def begin(self) -> Callable[[int], Outcome]:
        """Read the models, and return what segments one X-ray."""
        from wsreg.segmentation.segmenter import load_segmenter

        folders = result_folders(self.xrays, self.out)
        names = [f.name for f in folders] if len(folders) > 1 else [stem(self.xrays[0])]
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
        )
