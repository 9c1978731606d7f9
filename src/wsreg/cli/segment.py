"""``wsreg segment``: X-rays and a trained model in, regions out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.options import Geometry, OptionalFile, XrayDetails, Xrays, xray_reader
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
    """Folder written by wsreg train segmentation."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to write to."""
    boxes: OptionalFile = None
    """For a MedSAM model, where to look: JSON {"xray": {"left-femur": [left, top, right, bottom]}}
    in pixels; X-rays are named by their files without suffix."""
    boxes_from: Annotated[Path | None, arg(metavar="DIR")] = None
    """For a MedSAM model, a U-Net that finds the boxes instead."""
    force: bool = False
    """Replace results that are already there."""
    quiet: bool = False
    """Print errors only."""
    geometry: Geometry = field(default_factory=Geometry)
    xray_details: Annotated[XrayDetails, arg(name="X-ray")] = field(default_factory=XrayDetails)

    def run(self) -> int:
        """Segment every X-ray and return the exit status."""
        from wsreg.outputs.segmentation_files import TABLE_FILE, write_region_table
        from wsreg.segmentation.segmenter import load_segmenter

        if not self.xrays:
            raise InputError("segment needs at least one X-ray, got none")
        if (self.out / TABLE_FILE).exists() and not self.force:
            raise InputError(
                f"output folder {self.out} already holds results ({TABLE_FILE}); "
                "name another or pass --force to replace them"
            )
        folders = result_folders(self.xrays, self.out)
        names = [f.name for f in folders] if len(folders) > 1 else [stem(self.xrays[0])]
        segmenter = load_segmenter(self.model)
        prompt = self._prompt(segmenter, names)
        read = xray_reader(self.xray_details, self.geometry)
        rows: list[Row] = []
        failures = 0
        for path, folder, name in zip(self.xrays, folders, names, strict=True):
            try:
                rows += self._segment(name, read(path), folder, segmenter, prompt)
            except InputError as error:
                if len(folders) == 1:
                    raise
                failures += 1
                print(f"wsreg: error: {error}", file=sys.stderr)
            write_region_table(rows, self.out / TABLE_FILE)
        return int(failures > 0)

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
        finder = load_segmenter(self.boxes_from, kind="unet")
        return lambda name, radiograph: boxes_found_by(finder, radiograph, segmenter.roi_names)

    def _segment(
        self,
        name: str,
        radiograph: Radiograph,
        folder: Path,
        segmenter: Segmenter,
        prompt: Callable[[str, Radiograph], Tensor | None],
    ) -> list[Row]:
        from wsreg.outputs.segmentation_files import region_rows, write_segmentation
        from wsreg.segmentation.regions import segment_radiograph

        found = segment_radiograph(segmenter, radiograph, prompt(name, radiograph))
        files = write_segmentation(folder, radiograph, found, segmenter.roi_names)
        rows = region_rows(name, radiograph, found, segmenter.roi_names)
        areas = {str(row["roi"]): row["area_px"] for row in rows}
        if not any(areas.values()):
            print(f"wsreg: warning: {name}: no region found, all is background", file=sys.stderr)
        if not self.quiet:
            seen = ", ".join(roi for roi, area in areas.items() if area) or "nothing"
            print(f"{name}: {seen}", f"{folder}/: {', '.join(files)}", sep="\n")
        return rows
