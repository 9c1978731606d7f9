"""Settings: what is refused, and what a result records of them."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import ClassVar, get_args

import pytest
import torch
from torch import Tensor

from wsreg.errors import InputError
from wsreg.optimisation.adam import AdamConfig
from wsreg.registration.config import (
    LEVELS,
    LevelConfig,
    PoseScale,
    RegistrationConfig,
    judging_measure,
    levels_with,
)
from wsreg.registration.starts.config import SearchConfig
from wsreg.similarity.measure import PreparedMeasure
from wsreg.similarity.measures import MEASURES
from wsreg.similarity.mse import Mse
from wsreg.similarity.ncc import GlobalNcc, LocalNcc, MultiscaleNcc
from wsreg.similarity.window_ncc import WindowConfig
from wsreg.vocabulary import Method, SimilarityName


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """A measure that Gauss-Newton cannot take."""

    name: ClassVar[str] = "difference"
    least_squares: ClassVar[bool] = False

    power: int = 2

    def prepare(self, fixed: Tensor, mask: Tensor) -> PreparedMeasure:
        raise NotImplementedError


DIFFERENCE = LevelConfig(image_px=32, voxel_mm=8.0, measure=Difference())


def test_the_papers_rates_are_the_defaults() -> None:
    rates = RegistrationConfig().adam_rates
    assert (rates.rotation_rad, rates.shift_mm, rates.depth_mm) == (7.5e-3, 7.5, 7.5)


def test_levels_go_from_coarse_to_fine() -> None:
    assert RegistrationConfig().levels == LEVELS
    assert [level.image_px for level in LEVELS] == [48, 96, 192]
    assert [level.voxel_mm for level in LEVELS] == [6.0, 3.0, None]  # the CT's own grid


def test_a_scale_is_in_the_order_of_the_parameters_of_each_body() -> None:
    scale = PoseScale(rotation_rad=0.1, shift_mm=2.0, depth_mm=3.0)
    assert scale.vector(1).tolist() == [0.1, 0.1, 0.1, 2.0, 2.0, 3.0]
    assert scale.vector(2).tolist() == 2 * [0.1, 0.1, 0.1, 2.0, 2.0, 3.0]
    assert scale.vector(1).dtype == torch.float64


def test_a_level_needs_a_measure() -> None:
    names = ", ".join(MEASURES)
    with pytest.raises(InputError, match=f"a level must have a measure, one of {names}, got None"):
        LevelConfig(image_px=48, voxel_mm=6.0)
    for nothing in ("local-ncc", LocalNcc):
        with pytest.raises(InputError, match=f"a level must have a measure, one of {names}, got"):
            LevelConfig(image_px=48, voxel_mm=6.0, measure=nothing)  # type: ignore[arg-type]


def test_numbers_that_leave_nothing_to_do_are_refused() -> None:
    with pytest.raises(InputError, match="probes must be at least 0, got -1"):
        RegistrationConfig(probes=-1)
    with pytest.raises(InputError, match="of a search must be at least 1, got 128, 0, 5 and 2"):
        SearchConfig(refined=0)
    with pytest.raises(InputError, match="decay_every at least 1, got 250 and 0"):
        AdamConfig(decay_every=0)


@pytest.mark.parametrize(("image_px", "voxel_mm"), [(1, 2.0), (48, 0.0), (48, math.nan)])
def test_a_level_has_a_size(image_px: int, voxel_mm: float) -> None:
    with pytest.raises(InputError, match=rf"at least 2 and its voxel_mm positive.*{image_px} and"):
        LevelConfig(image_px=image_px, voxel_mm=voxel_mm, measure=GlobalNcc())


def test_gauss_newton_needs_least_squares_and_adam_does_not() -> None:
    message = (
        "method gauss-newton needs a measure with a least-squares form, "
        "one of global-ncc, local-ncc, multiscale-ncc, gradient-ncc, mse, mae, psnr, got "
    )
    adam = r"; method adam \(--method adam\) takes any"
    with pytest.raises(InputError, match=f"{message}difference{adam}"):
        RegistrationConfig(levels=(LEVELS[0], DIFFERENCE))
    for name in ("ssim", "mutual-information"):
        with pytest.raises(InputError, match=f"{message}{name}{adam}"):
            RegistrationConfig(levels=levels_with(name))
    assert RegistrationConfig(levels=(DIFFERENCE,), method="adam").levels == (DIFFERENCE,)


@pytest.mark.parametrize("name", MEASURES)
def test_levels_with_another_measure_differ_in_that_only(name: str) -> None:
    levels = levels_with(name)
    assert [level.measure.name for level in levels] == [name] * 3
    as_ever = [
        dataclasses.replace(level, measure=own.measure)
        for level, own in zip(levels, LEVELS, strict=True)
    ]
    assert tuple(as_ever) == LEVELS
    assert (levels == LEVELS) == (name == "multiscale-ncc")
    method: Method = "gauss-newton" if levels[0].measure.least_squares else "adam"
    record = RegistrationConfig(method=method, levels=levels).record()
    assert [level["measure"]["name"] for level in record["levels"]] == [name] * 3


def test_ncc_in_windows_has_the_windows_of_each_level() -> None:
    assert [level.measure for level in levels_with("local-ncc")] == [
        LocalNcc(windows_px=(7,)), LocalNcc(windows_px=(9,)), LocalNcc(windows_px=(5,)),
    ]  # fmt: skip


def test_a_similarity_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=f"similarity must be one of {', '.join(MEASURES)}, got "):
        levels_with("ncc")
    assert get_args(SimilarityName) == tuple(MEASURES)


def test_the_verdict_goes_by_the_default_measure_of_the_nearest_size() -> None:
    for size, default in ((24, 0), (60, 0), (96, 1), (128, 1), (512, 2)):
        level = LevelConfig(image_px=size, voxel_mm=4.0, measure=Mse())
        assert judging_measure(level) == LEVELS[default].measure
    for measure in (GlobalNcc(), LocalNcc()):
        level = LevelConfig(image_px=96, voxel_mm=4.0, measure=measure)
        assert judging_measure(level) == LEVELS[1].measure
    for level in LEVELS:
        assert judging_measure(level) is None


def test_other_mistakes_are_named() -> None:
    with pytest.raises(
        InputError, match="method must be one of gauss-newton, adam, paper, got 'newton'"
    ):
        RegistrationConfig(method="newton")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="levels must name at least one level, got none"):
        RegistrationConfig(levels=())


def test_the_record_is_json_and_says_which_measure_it_was() -> None:
    config = RegistrationConfig(
        levels=(
            LevelConfig(image_px=32, voxel_mm=8.0, measure=LocalNcc(windows_px=(5, 7))),
            LevelConfig(image_px=64, voxel_mm=4.0, measure=MultiscaleNcc(global_weight=0.25)),
            dataclasses.replace(DIFFERENCE, voxel_mm=None),
        ),
        method="adam",
    )
    record = json.loads(json.dumps(config.record(), allow_nan=False))
    first, second, third = record["levels"]
    assert (first["image_px"], first["voxel_mm"]) == (32, 8.0)
    assert first["measure"]["name"] == "local-ncc"
    assert first["measure"]["windows_px"] == [5, 7]
    assert first["measure"]["windows"] == dataclasses.asdict(WindowConfig())
    assert second["measure"]["global_weight"] == 0.25
    assert third["voxel_mm"] is None
    assert third["measure"] == {"name": "difference", "power": 2}
    assert record["search"]["poses"] == 128
    assert record["longest_step"]["depth_mm"] == 60.0
    # Every setting is there.
    assert set(record) == {field.name for field in dataclasses.fields(RegistrationConfig)}


def test_bodies_come_apart_after_the_first_level() -> None:
    assert [level.apart for level in LEVELS] == [False, True, True]
    assert RegistrationConfig().record()["levels"][0]["apart"] is False
    ball = RegistrationConfig().record()["ties"]["ball"]
    assert ball == {"rotation_rad": 0.15, "shift_mm": 0.5}
