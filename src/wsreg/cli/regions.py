"""Options for the regions of interest of a registration, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from wsreg.cli.options import OptionalFile
from wsreg.errors import InputError

if TYPE_CHECKING:
    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.segmentation.rois import RoiTarget
    from wsreg.volumes.volume import Volume

MODEL_KINDS = ("unet", "medsam")
PROBABILITIES_FILE = "probabilities.npz"

FindRois = Callable[[str, "Radiograph"], "RoiTarget | None"]


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Regions of interest (bones) in the X-ray, whose overlap with the CT's guides the search."""

    roi: Annotated[str | None, arg(metavar="FILE|DIR|unet:DIR|medsam:DIR")] = None
    """Where the regions in the X-ray come from: a label image or probabilities.npz on the pixels
    of the X-ray as read (after --mirror), a folder written by wsreg segment, or a model.  They are
    compared with the CT's labels (--labels), rendered."""
    roi_names: OptionalFile = None
    """Names of the numbers in a label image: .json or .csv; DeepFluoro's 1-6, or the CT's labels,
    if left out."""
    roi_boxes: OptionalFile = None
    """For a MedSAM model, where to look; see wsreg segment."""
    roi_moving: Literal["rendered", "network"] = "rendered"
    """What the regions are compared with: the CT's labels, or what the same model finds in the
    rendered image (with --method adam)."""

    def files(self) -> dict[str, Path | None]:
        """Return the files behind the regions, by role."""
        path = None if self.roi is None else _model(self.roi)[1]
        return {"roi": path, "roi_names": self.roi_names, "roi_boxes": self.roi_boxes}


def roi_finder(options: Regions, volume: Volume, xrays: Sequence[str]) -> FindRois:
    """Return a function from an X-ray and its name (one of ``xrays``) to its regions.

    Raises:
        InputError: options that do not go together, or a model or file that cannot be read.
    """
    if options.roi is None:
        _refuse_options_without_roi(options)
        return lambda name, radiograph: None
    kind, path = _model(options.roi)
    if options.roi == "rendered" and not path.exists():
        raise InputError(
            "--roi must say where the X-ray's regions come from (mask.png, unet:DIR, medsam:DIR), "
            "got rendered, which is what they are compared with anyway"
        )
    if options.roi_moving == "rendered" and volume.labels is None:
        raise InputError("--roi needs the label map of the CT (--labels) to compare with")
    if kind is not None:
        return _by_model(options, kind, path, volume, xrays)
    if options.roi_moving == "network" or options.roi_boxes is not None:
        raise InputError(
            "--roi-moving network and --roi-boxes need a model, --roi unet:DIR or medsam:DIR, "
            f"got {options.roi}"
        )
    return _by_file(options, path, volume, xrays)


def _refuse_options_without_roi(options: Regions) -> None:
    for name in ("roi_names", "roi_boxes"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} needs --roi")
    if options.roi_moving == "network":
        raise InputError("--roi-moving network needs --roi unet:DIR or medsam:DIR")


def _model(roi: str) -> tuple[str | None, Path]:
    """Return kind and folder of a model, or no kind and a path."""
    kind, colon, folder = roi.partition(":")
    return (kind, Path(folder)) if colon and kind in MODEL_KINDS else (None, Path(roi))


def _by_file(options: Regions, path: Path, volume: Volume, xrays: Sequence[str]) -> FindRois:
    from wsreg.segmentation.masks import read_rois
    from wsreg.volumes.label_names import read_label_names

    if len(xrays) > 1 and not path.is_dir():
        raise InputError(f"--roi must be a folder or a model for {len(xrays)} X-rays, got {path}")
    names = None if options.roi_names is None else read_label_names(options.roi_names)

    def find(name: str, radiograph: Radiograph) -> RoiTarget:
        file = path
        if path.is_dir():
            file = (
                path if len(xrays) == 1 else _folder(path, name, radiograph)
            ) / PROBABILITIES_FILE
        rows, columns = radiograph.image.shape
        return read_rois(file, (rows, columns), volume, names)

    return find


def _folder(path: Path, name: str, radiograph: Radiograph) -> Path:
    """Return the folder of an X-ray: of its file's name, or of the view's that the result has."""
    view = path / radiograph.name
    return view if view.is_dir() and not (path / name).is_dir() else path / name


def _by_model(
    options: Regions, kind: str, folder: Path, volume: Volume, xrays: Sequence[str]
) -> FindRois:
    from wsreg.segmentation.boxes import read_boxes
    from wsreg.segmentation.network_rois import network_against_rendered, network_on_both_sides
    from wsreg.segmentation.segmenter import load_segmenter

    segmenter = load_segmenter(folder, kind=kind)
    if options.roi_names is not None:
        raise InputError("--roi-names is for label images; a model knows its regions")
    if segmenter.needs_boxes != (options.roi_boxes is not None):
        needs = "needs --roi-boxes" if segmenter.needs_boxes else "takes no --roi-boxes"
        raise InputError(f"--roi {options.roi}: a {kind} model {needs}")
    boxes = read_boxes(options.roi_boxes, xrays, segmenter.roi_names) if options.roi_boxes else {}

    def find(name: str, radiograph: Radiograph) -> RoiTarget:
        if options.roi_moving == "network":
            return network_on_both_sides(segmenter, radiograph, boxes.get(name))
        return network_against_rendered(segmenter, radiograph, volume, boxes.get(name))

    return find
