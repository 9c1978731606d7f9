"""Who finds the regions of the X-ray, and who those that they are compared with.

Paper, section 2.2 and its case study (section 3.2).  Regions in the X-ray are hard masks, as in
the paper; where a network finds them in the rendered image, they are probabilities with a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from wsreg.errors import InputError
from wsreg.radiographs.radiograph import Radiograph
from wsreg.segmentation.network_rois import (
    network_against_rendered,
    network_on_both_sides,
    network_on_moving_side,
)
from wsreg.segmentation.rois import RoiTarget
from wsreg.segmentation.segmenter import Segmenter
from wsreg.vocabulary import Scheme
from wsreg.volumes.volume import Volume

SCHEMES: Mapping[Scheme, str] = {
    "ours": "a model or masks for the X-ray",
    "unet": "a U-Net for the X-ray",
    "medsam": "a MedSAM for the X-ray",
    "mixed": "a model or masks for the X-ray and a U-Net for the rendered image",
}
"""What each scheme needs."""


def rois_by_scheme(
    scheme: Scheme,
    radiograph: Radiograph,
    volume: Volume,
    *,
    fixed: Segmenter | RoiTarget | None,
    moving: Segmenter | None = None,
    boxes: Tensor | None = None,
) -> RoiTarget:
    """Return the regions of an X-ray with what they are compared with.

    Args:
        scheme: ``ours`` compares with the CT's labels, rendered, each body at its own pose;
            ``unet`` and ``medsam`` with what the same network finds in the rendered image, MedSAM
            in the boxes of the X-ray; ``mixed`` with what another one, a U-Net, finds there.
        radiograph: the X-ray.
        volume: the CT.
        fixed: what finds the regions in the X-ray, or the regions.
        moving: what finds them in the rendered image, for ``mixed``.
        boxes: [R,4] pixels of the X-ray, for a MedSAM.

    Raises:
        InputError: an unknown scheme, a model that is missing or of the wrong kind, regions that
            the other side lacks, or boxes that are missing.
    """
    check_scheme(scheme, fixed, moving)
    if fixed is not None and moving is not None:
        return network_on_moving_side(fixed, moving, radiograph, volume, boxes)
    if isinstance(fixed, RoiTarget):
        return fixed
    assert fixed is not None
    if scheme == "ours":
        return network_against_rendered(fixed, radiograph, volume, boxes)
    return network_on_both_sides(fixed, radiograph, boxes)


def check_scheme(
    scheme: Scheme, fixed: Segmenter | RoiTarget | None, moving: Segmenter | None
) -> None:
    """Refuse a scheme without what it needs.

    Raises:
        InputError: see :func:`rois_by_scheme`.
    """
    if scheme not in SCHEMES:
        raise InputError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    of_fixed = kind_of(fixed)
    fits = of_fixed == scheme if scheme in ("unet", "medsam") else fixed is not None
    if not fits or (moving is None) == (scheme == "mixed"):
        came = f"{of_fixed} for the X-ray, {kind_of(moving)} for the rendered image"
        raise InputError(f"scheme {scheme} needs {SCHEMES[scheme]}, got {came}")
    if moving is not None and moving.needs_boxes:
        raise InputError(
            "scheme mixed needs a model without boxes for the rendered image, a U-Net, got a "
            f"{moving.card.kind}"
        )


def kind_of(source: Segmenter | RoiTarget | None) -> str:
    """Return in a word what finds regions."""
    if source is None:
        return "none"
    return "masks" if isinstance(source, RoiTarget) else source.card.kind
