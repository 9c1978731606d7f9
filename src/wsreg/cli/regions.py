"""Options for the regions of interest of a registration, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from wsreg.cli.options import OptionalFile
from wsreg.errors import InputError
from wsreg.vocabulary import Method, Scheme

if TYPE_CHECKING:
    from torch import Tensor

    from wsreg.radiographs.radiograph import Radiograph
    from wsreg.segmentation.rois import RoiTarget
    from wsreg.segmentation.segmenter import Segmenter
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
    compared with the CT's labels (--labels), rendered.  unet:generic comes with wsreg: it knows
    pelvises and no patient."""
    roi_names: OptionalFile = None
    """Names of the numbers in a label image: .json or .csv; DeepFluoro's 1-6, or the CT's labels,
    if left out."""
    roi_boxes: OptionalFile = None
    """For a MedSAM model, where to look; see wsreg segment."""
    roi_boxes_from: Annotated[str | None, arg(metavar="unet:DIR")] = None
    """For a MedSAM model, a U-Net that finds the boxes instead; with --scheme mixed that of
    --roi-moving by default."""
    scheme: Scheme = "ours"
    """What the regions are compared with: the CT's labels, rendered (ours), what the same model
    finds in the rendered image (unet, medsam: the paper's schemes), or what the U-Net of
    --roi-moving finds there (mixed).  All but ours are solved by Adam."""
    roi_moving: Annotated[str | None, arg(metavar="unet:DIR")] = None
    """For --scheme mixed, the U-Net that finds the regions in the rendered image."""
    roi_weight: float | None = None
    """Weight of 1 - Dice in the loss to the end (the paper's beta 2, 0.1 for Adam by default).
    Without it Gauss-Newton lets regions lead, and the image has the last word."""

    @property
    def method(self) -> Method:
        """Return the solver that a scheme asks for."""
        return "gauss-newton" if self.scheme == "ours" else "adam"

    def files(self) -> dict[str, Path | None]:
        """Return the files behind the regions, by role."""
        models = {"roi": self.roi, "roi_moving": self.roi_moving, "boxes_from": self.roi_boxes_from}
        paths = {
            role: None if text is None else model_named(text)[1] for role, text in models.items()
        }
        return {**paths, "roi_names": self.roi_names, "roi_boxes": self.roi_boxes}


def roi_finder(options: Regions, volume: Volume, xrays: Sequence[str]) -> FindRois:
    """Return a function from an X-ray and its name (one of ``xrays``) to its regions.

    Raises:
        InputError: options that do not go together, or a model or file that cannot be read.
    """
    if options.roi is None:
        _refuse_options_without_roi(options)
        return lambda name, radiograph: None
    kind, path = model_named(options.roi)
    if options.roi == "rendered" and not path.exists():
        raise InputError(
            "--roi must say where the X-ray's regions come from (mask.png, unet:DIR, medsam:DIR), "
            "got rendered, which is what they are compared with anyway"
        )
    if options.scheme == "ours" and volume.labels is None:
        raise InputError("--roi needs the label map of the CT (--labels) to compare with")
    moving = _moving_model(options)
    if kind is not None:
        return _by_model(options, kind, path, volume, xrays, moving)
    if options.roi_boxes is not None or options.roi_boxes_from is not None:
        raise InputError(
            f"--roi-boxes and --roi-boxes-from are for a model, --roi medsam:DIR, got {options.roi}"
        )
    return _by_file(options, path, volume, xrays, moving)


def _refuse_options_without_roi(options: Regions) -> None:
    for name in ("roi_names", "roi_boxes", "roi_boxes_from", "roi_moving", "roi_weight"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} needs --roi")
    if options.scheme != "ours":
        from wsreg.segmentation.schemes import SCHEMES

        raise InputError(f"--scheme {options.scheme} needs {SCHEMES[options.scheme]} (--roi)")


def _moving_model(options: Regions) -> Segmenter | None:
    """Return the model that finds regions in rendered images, where it is another one."""
    from wsreg.segmentation.segmenter import load_segmenter

    if options.scheme == "mixed" and options.roi_moving is None:
        raise InputError(
            "--scheme mixed needs a U-Net for the rendered image, --roi-moving unet:DIR"
        )
    if options.roi_moving is None:
        return None
    if options.scheme != "mixed":
        raise InputError(f"--roi-moving is for --scheme mixed, got --scheme {options.scheme}")
    return load_segmenter(_unet_folder(options.roi_moving, "--roi-moving"), kind="unet")


def _unet_folder(text: str, option: str) -> Path:
    kind, path = model_named(text)
    if kind != "unet":
        raise InputError(f"{option} must be a U-Net, unet:DIR, got {text}")
    return path


def model_named(roi: str) -> tuple[str | None, Path]:
    """Return kind and folder of a model, or no kind and a path.

    Raises:
        InputError: it names nothing, or ``generic`` is a model and a folder here.
    """
    from wsreg.networks.generic import segmenter_folder

    kind, colon, folder = roi.partition(":")
    if not roi.strip() or (colon and kind in MODEL_KINDS and not folder.strip()):
        raise InputError(
            f"regions must come from a file or a model's folder (mask.png, unet:DIR, medsam:DIR), "
            f"got {roi!r}"
        )
    if not colon or kind not in MODEL_KINDS:
        return None, Path(roi)
    return kind, segmenter_folder(Path(folder), "unet" if kind == "unet" else "medsam")


def _by_file(
    options: Regions, path: Path, volume: Volume, xrays: Sequence[str], moving: Segmenter | None
) -> FindRois:
    from wsreg.segmentation.masks import read_rois
    from wsreg.segmentation.schemes import SCHEMES, rois_by_scheme
    from wsreg.volumes.label_names import read_label_names

    if len(xrays) > 1 and not path.is_dir():
        raise InputError(f"--roi must be a folder or a model for {len(xrays)} X-rays, got {path}")
    scheme = options.scheme
    if scheme in ("unet", "medsam"):
        raise InputError(
            f"--scheme {scheme} needs {SCHEMES[scheme]}, --roi {scheme}:DIR, got {path}"
        )
    names = None if options.roi_names is None else read_label_names(options.roi_names)

    def find(name: str, radiograph: Radiograph) -> RoiTarget:
        file = path
        if path.is_dir():
            file = (
                path if len(xrays) == 1 else _folder(path, name, radiograph)
            ) / PROBABILITIES_FILE
        rows, columns = radiograph.image.shape
        masks = read_rois(file, (rows, columns), volume, names)
        return rois_by_scheme(scheme, radiograph, volume, fixed=masks, moving=moving)

    return find


def _folder(path: Path, name: str, radiograph: Radiograph) -> Path:
    """Return the folder of an X-ray: of its file's name, or of the view's that the result has."""
    view = path / radiograph.name
    return view if view.is_dir() and not (path / name).is_dir() else path / name


def _by_model(
    options: Regions, kind: str, folder: Path, volume: Volume, xrays: Sequence[str],
    moving: Segmenter | None,
) -> FindRois:  # fmt: skip
    from wsreg.segmentation.schemes import check_scheme, rois_by_scheme
    from wsreg.segmentation.segmenter import load_segmenter

    segmenter = load_segmenter(folder, kind=kind)
    check_scheme(options.scheme, segmenter, moving)
    if options.roi_names is not None:
        raise InputError("--roi-names is for label images; a model knows its regions")
    boxes_of = _box_finder(options, segmenter, xrays, moving)

    def find(name: str, radiograph: Radiograph) -> RoiTarget:
        return rois_by_scheme(
            options.scheme, radiograph, volume,
            fixed=segmenter, moving=moving, boxes=boxes_of(name, radiograph),
        )  # fmt: skip

    return find


def _box_finder(
    options: Regions, segmenter: Segmenter, xrays: Sequence[str], moving: Segmenter | None
) -> Callable[[str, Radiograph], Tensor | None]:
    """Return a function from an X-ray and its name to the boxes in which a MedSAM is to look."""
    from wsreg.segmentation.boxes import read_boxes
    from wsreg.segmentation.regions import boxes_found_by
    from wsreg.segmentation.segmenter import load_segmenter

    file, by_unet = options.roi_boxes, options.roi_boxes_from
    if not segmenter.needs_boxes:
        if file is not None or by_unet is not None:
            raise InputError(f"--roi {options.roi}: a {segmenter.card.kind} model takes no boxes")
        return lambda name, radiograph: None
    if file is not None and by_unet is not None:
        raise InputError("boxes must come from --roi-boxes or from --roi-boxes-from, got both")
    if file is not None:
        given = read_boxes(file, xrays, segmenter.roi_names)
        return lambda name, radiograph: given[name]
    finder = moving
    if by_unet is not None:
        finder = load_segmenter(_unet_folder(by_unet, "--roi-boxes-from"), kind="unet")
    if finder is None:
        raise InputError(
            f"--roi {options.roi}: a medsam model needs --roi-boxes, or --roi-boxes-from a U-Net"
        )
    found = finder
    return lambda name, radiograph: boxes_found_by(found, radiograph, segmenter.roi_names)
