"""X-rays that are stored turned or mirrored: found, said, and the pose is of the image as stored.

Only where that is mirrored it is of the image mirrored back, for no pose describes it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from wsreg.evaluation.distances import mtre_3d_mm
from wsreg.geometry.camera import Camera
from wsreg.geometry.carm import CArmAngles
from wsreg.geometry.rigid import perturb
from wsreg.radiographs.radiograph import Radiograph
from wsreg.registration import solver
from wsreg.registration.attempts import Attempt
from wsreg.registration.config import RegistrationConfig
from wsreg.registration.register import register as register_bodies
from wsreg.registration.result import RegistrationResult
from wsreg.registration.strategy import Answer
from wsreg.segmentation.rendered import rendered_rois
from wsreg.segmentation.rois import RoiTarget
from wsreg.simulation.joseph import project_attenuation
from wsreg.volumes.views import view_pose
from wsreg.volumes.volume import Volume

OFF_CENTRE = Camera(
    source_to_detector_mm=1000.0, rows=96, columns=128, pixel_spacing_mm=(4.5, 4.0),
    principal_point_px=(80.0, 30.0),
)  # fmt: skip
CENTRED = Camera(
    source_to_detector_mm=1000.0, rows=112, columns=112, pixel_spacing_mm=(4.4, 4.4)
)  # fmt: skip
STEP = torch.tensor([0.08, -0.1, 0.06, 9.0, -12.0, 15.0], dtype=torch.float64)
NAMED = ("none", "quarter turn", "half turn", "quarter turn")
FACTS = ("The CT is cut off and covers ", "Each percent by which the source-to-detector ")
MIRROR = "The X-ray fits the CT with left and right exchanged"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """An X-ray as stored, and what is right: the camera and pose of the image not mirrored."""

    radiograph: Radiograph
    camera: Camera
    truth: Tensor


register = functools.partial(register_bodies, bodies=None)


def exposed(volume: Volume, camera: Camera, truth: Tensor) -> Stored:
    image = project_attenuation(volume, camera, truth)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return stored(image + 0.01 * noise, camera, camera, truth)


def stored(image: Tensor, own: Camera, camera: Camera, truth: Tensor) -> Stored:
    mask = torch.ones_like(image, dtype=torch.bool)
    return Stored(
        radiograph=Radiograph(image=image.contiguous(), mask=mask, camera=own),
        camera=camera,
        truth=truth,
    )


def turned(of: Stored) -> Stored:
    """The image a quarter further: what lay to the right lies below."""
    (row_mm, column_mm), (column, row) = of.camera.pixel_spacing_mm, of.camera.centre_px
    camera = Camera(
        source_to_detector_mm=of.camera.source_to_detector_mm,
        rows=of.camera.columns,
        columns=of.camera.rows,
        pixel_spacing_mm=(column_mm, row_mm),
        principal_point_px=(of.camera.rows - 1 - row, column),
    )
    quarter = torch.tensor(
        [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64
    )
    image = of.radiograph.image.T.flip(-1)
    return stored(image, camera, camera, quarter @ of.truth)


def mirrored(of: Stored) -> Stored:
    """The image with its columns in reverse order."""
    column, row = of.camera.centre_px
    own = dataclasses.replace(
        of.camera, principal_point_px=(of.camera.columns - 1 - column, row)
    )  # fmt: skip
    return stored(of.radiograph.image.flip(-1), own, of.camera, of.truth)


def truth_of(volume: Volume, camera: Camera, view: str | CArmAngles = "PA") -> Tensor:
    return perturb(view_pose(volume, camera, view), STEP, volume.centre_mm)


def error_mm(volume: Volume, found: RegistrationResult, right: Stored) -> float:
    return float(mtre_3d_mm(volume.corners_mm, found.camera_from_ct, right.truth))


@pytest.fixture(name="xray", scope="module")
def _xray(torso: Volume) -> Stored:
    return exposed(torso, OFF_CENTRE, truth_of(torso, OFF_CENTRE))


@pytest.mark.parametrize(("quarters", "mirror"), list(itertools.product(range(4), (False, True))))
def test_an_xray_stored_in_any_orientation_is_found_and_said(
    torso: Volume, xray: Stored, brisk: RegistrationConfig, quarters: int, mirror: bool
) -> None:
    """Neither square nor with its principal point in the middle."""
    for _ in range(quarters):
        xray = turned(xray)
    xray = mirrored(xray) if mirror else xray
    found = register(xray.radiograph, torso, config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.camera == xray.camera
    assert found.views[0].camera == xray.camera
    image = xray.radiograph.image.flip(-1) if mirror else xray.radiograph.image
    seen = found.comparison.mask
    assert float(seen.float().mean()) > 0.6
    torch.testing.assert_close(found.comparison.fixed[seen], image[seen])
    name = NAMED[quarters]
    if not mirror:
        assert found.views[0].orientation == name
        assert found.verdict.status == "pass", found.verdict
        said = f"The X-ray lies turned by a {name} against the view asked for."
        assert (said in found.verdict.reasons) == bool(quarters)
        return
    assert found.views[0].orientation == ("mirrored" if not quarters else f"mirrored, {name}")
    assert found.verdict.status == "check"
    reason, *facts = found.verdict.reasons
    assert reason.startswith(MIRROR)
    assert (f"exchanged and after a {name}, and" in reason) == bool(quarters)
    assert reason.endswith("say --mirror.")
    assert all(one.startswith(FACTS) for one in facts)


def test_a_principal_point_in_the_middle_stays_there(
    torso: Volume, brisk: RegistrationConfig
) -> None:
    xray = mirrored(turned(turned(exposed(torso, CENTRED, truth_of(torso, CENTRED)))))
    found = register(xray.radiograph, torso, CENTRED, config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.camera == CENTRED
    assert found.views[0].orientation == "mirrored, half turn"


def attempts_made(monkeypatch: pytest.MonkeyPatch) -> list[Attempt]:
    made = list[Attempt]()
    attempted = solver._attempted

    def spy(attempt: Attempt, *arguments: Any, **named: Any) -> Answer:
        made.append(attempt)
        return attempted(attempt, *arguments, **named)

    monkeypatch.setattr(solver, "_attempted", spy)
    return made


@pytest.mark.parametrize(
    ("quarters", "header", "attempts"),
    [(1, ("H", "R"), 1), (3, ("F", "L"), 1), (1, None, 3), (0, ("H", "R"), 3)],
)
def test_a_turn_that_the_header_says_is_tried_first(
    monkeypatch: pytest.MonkeyPatch, torso: Volume, xray: Stored, brisk: RegistrationConfig,
    quarters: int, header: tuple[str, str] | None, attempts: int,
) -> None:  # fmt: skip
    """A PA has the right side at its right and the feet below; a wrong header costs time."""
    for _ in range(quarters):
        xray = turned(xray)
    made = attempts_made(monkeypatch)
    radiograph = dataclasses.replace(xray.radiograph, patient_orientation=header)
    found = register(radiograph, torso, config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.views[0].orientation == NAMED[quarters]
    search = Attempt(init="search")
    wide, quarter = (
        dataclasses.replace(search, wide=True),
        dataclasses.replace(search, quarter=True),
    )
    assert made == [search, wide, quarter][:attempts]


def test_a_turn_that_the_header_says_of_a_mirrored_image(
    monkeypatch: pytest.MonkeyPatch, torso: Volume, xray: Stored, brisk: RegistrationConfig
) -> None:
    xray, made = mirrored(turned(xray)), attempts_made(monkeypatch)
    radiograph = dataclasses.replace(xray.radiograph, patient_orientation=("F", "R"))
    found = register(radiograph, torso, config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.views[0].orientation == "mirrored, quarter turn"
    assert made == [Attempt(init="search")]


@pytest.mark.parametrize(("asked", "shown"), [("AP", "PA"), ("pa", "AP"), ("LAT", "RLAT")])
def test_a_mirrored_image_of_the_other_side_is_named_with_its_side(
    torso: Volume, brisk: RegistrationConfig, asked: str, shown: str
) -> None:
    """It looks much like the view asked for."""
    xray = mirrored(exposed(torso, CENTRED, truth_of(torso, CENTRED, shown)))
    found = register(xray.radiograph, torso, view=asked, config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.views[0].orientation == "mirrored"
    assert found.verdict.status == "check"
    assert found.verdict.reasons[0].startswith(MIRROR)
    assert found.verdict.reasons[0].endswith(f"say --mirror --view {shown}.")


def test_the_other_side_is_named_where_nothing_is_mirrored(
    torso: Volume, xray: Stored, brisk: RegistrationConfig
) -> None:
    found = register(xray.radiograph, torso, view="AP", config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.views[0].orientation == "none"
    assert found.verdict.status == "check"
    assert found.verdict.reasons[0] == "The X-ray shows PA, not the view asked for."


def test_an_image_mirrored_against_its_header_is_found(
    torso: Volume, brisk: RegistrationConfig
) -> None:
    angles = CArmAngles(primary_rad=math.radians(30.0), secondary_rad=math.radians(12.0))
    right = exposed(torso, OFF_CENTRE, truth_of(torso, OFF_CENTRE, angles))
    for xray, orientation in ((right, "none"), (mirrored(right), "mirrored")):
        radiograph = dataclasses.replace(xray.radiograph, angles=angles)
        found = register(radiograph, torso, init="dicom", config=brisk)
        assert error_mm(torso, found, xray) < 1.0
        assert found.views[0].orientation == orientation
        mirror = [reason for reason in found.verdict.reasons if reason.startswith(MIRROR)]
        assert len(mirror) == (orientation != "none")
        assert all(reason.endswith("say --mirror.") for reason in mirror)


def test_a_given_pose_that_fits_is_not_doubted(
    torso: Volume, xray: Stored, brisk: RegistrationConfig
) -> None:
    """Of a mirrored image none fits, and none passes."""
    beside = torch.tensor([0.05, 0.03, -0.04, 5.0, -4.0, 8.0], dtype=torch.float64)
    start = perturb(xray.truth, beside, torso.centre_mm)
    found = register(xray.radiograph, torso, init=start, config=brisk)
    assert error_mm(torso, found, xray) < 1.0
    assert found.verdict.status == "pass"
    assert found.views[0].orientation == "none"
    assert found.config["evidence"]["other_reading"] is None
    wrong = register(mirrored(xray).radiograph, torso, init=start, config=brisk)
    assert wrong.verdict.status != "pass"


@pytest.mark.parametrize(("change", "orientation"), [
    ({"mirrored": False}, "mirrored"), ({"half_turned": False}, "half turn"),
])  # fmt: skip
def test_what_is_not_looked_for_is_not_found(
    torso: Volume, xray: Stored, brisk: RegistrationConfig, change: dict[str, bool],
    orientation: str,
) -> None:  # fmt: skip
    """Nor does anything else pass."""
    xray = mirrored(xray) if orientation == "mirrored" else turned(turned(xray))
    search = dataclasses.replace(brisk.search, **change)
    config = dataclasses.replace(brisk, search=search)
    found = register(xray.radiograph, torso, config=config)
    assert found.verdict.status != "pass"
    assert error_mm(torso, found, xray) > 20.0
    if orientation == "mirrored":
        assert found.config["evidence"]["other_reading"] is None


def test_regions_are_mirrored_with_their_xray(
    torso: Volume, xray: Stored, brisk: RegistrationConfig
) -> None:
    wrong = mirrored(xray)
    values = {name: value for value, name in torso.label_names.items()}
    names = ("hip_left", "femur_right")
    labels = tuple((values[name],) for name in names)
    masks = (rendered_rois(torso, OFF_CENTRE, xray.truth[None], labels)[0] > 0.5).float()
    rois = RoiTarget(names=names, masks=masks.flip(-1), labels=labels)
    found = register(wrong.radiograph, torso, rois=rois, config=brisk)
    assert error_mm(torso, found, wrong) < 1.0
    assert min(found.config["evidence"]["roi_dice"].values()) > 0.9
    assert found.verdict.reasons[0].startswith(MIRROR)


def test_the_papers_loop_mirrors_too(
    torso: Volume, xray: Stored, brisk: RegistrationConfig
) -> None:
    finest = dataclasses.replace(brisk.levels[1], apart=True)
    config = dataclasses.replace(
        brisk, method="adam", levels=(brisk.levels[0], finest),
        adam=dataclasses.replace(brisk.adam, steps=40),
        search=dataclasses.replace(brisk.search, poses=256),
    )  # fmt: skip
    wrong = mirrored(xray)
    found = register(wrong.radiograph, torso, config=config)
    assert found.views[0].orientation == "mirrored"
    assert found.camera == wrong.camera
    assert any(reason.startswith(MIRROR) for reason in found.verdict.reasons)
