from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wsreg.cohort.build import build_cohort
from wsreg.cohort.presets import Preset
from wsreg.errors import InputError
from wsreg.experiments.figure_tasks import FIGURES
from wsreg.experiments.graph import EXPERIMENTS, graph, left_out
from wsreg.experiments.results import ends_of
from wsreg.experiments.tasks import register, train
from wsreg.jobs.task import in_order, recipes_of
from wsreg.methods.preset import PRESETS
from wsreg.methods.variants import SIMILARITY_VARIANTS
from wsreg.specimens.specimen import Detail

ONE, CASE = "17-1882", "18-2799"
COARSE = Preset(
    name="coarse",
    xrays={ONE: 2, CASE: 1},
    ct_mm=6.0,
    image_px=48,
    detail=Detail(bone_mm=3.0, body_mm=6.0),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort") / "cohort.h5"
    build_cohort(path, COARSE, 0, (ONE, CASE), workers=1)
    return path


def test_methods_share_what_they_train(data: Path) -> None:
    tasks = {task.name: task for task in in_order(graph("table1", data, (ONE,), "tiny"))}
    trained = {name for name, task in tasks.items() if task.function is train}
    encoders = {f"encoder-{losses}-{ONE}" for losses in ("geo", "geo-ncc", "geo-ncc-roi")}
    assert trained >= {f"unet-{ONE}", f"medsam-{ONE}", f"encoder-geo-ncc-roi-{ONE}"}
    assert trained <= {f"unet-{ONE}", f"medsam-{ONE}", *encoders}
    assert tasks[f"encoder-geo-ncc-roi-{ONE}"].needs == (f"unet-{ONE}",)
    assert tasks[f"trials-diffdrr-{ONE}"].needs == ()
    assert set(tasks["table1"].needs) == {n for n, t in tasks.items() if t.function is register}
    assert len(tasks["table1"].needs) == 8


def test_more_x_rays_are_other_trials_of_the_same_networks(data: Path) -> None:
    few = recipes_of(in_order(graph("table1", data, (ONE,), "tiny", 1)))
    more = recipes_of(in_order(graph("table1", data, (ONE,), "tiny", 2)))
    changed = {name for name in few if few[name] != more[name]}
    assert changed == {"table1", *(name for name in few if name.startswith("trials-"))}


def test_the_case_study_is_of_its_specimen(data: Path) -> None:
    tasks = graph("case-study", data, (ONE, CASE), "tiny")
    assert all(CASE in task.name for task in tasks if task.name != "case-study")
    with pytest.raises(InputError, match=f"case study is of {CASE}, got {ONE}"):
        graph("case-study", data, (ONE,), "tiny")
    names = {task.name for task in graph("all", data, (ONE,), "tiny")}
    assert not {"case-study", "figure5"} & names
    assert {"table1", "table2", "table3", "figure1", "figure4", "risk"} <= names
    assert left_out("all", (ONE,)) == [
        f"case-study and figure5 left out: of {CASE}, which is not among the specimens"
    ]
    assert left_out("all", (ONE, CASE)) == left_out("table1", (ONE,)) == []


def test_table_2_scores_each_network_on_whom_it_has_not_seen(data: Path) -> None:
    tasks = {task.name: task for task in graph("table2", data, (ONE, CASE), "tiny")}
    scored = {f"dice-{kind}-{name}" for kind in ("unet", "medsam") for name in (ONE, CASE)}
    assert set(tasks["table2"].needs) == scored
    assert tasks[f"dice-medsam-{CASE}"].needs == (f"medsam-{CASE}",)


def test_table_3_has_every_similarity_on_few_x_rays(data: Path) -> None:
    tasks = {task.name: task for task in graph("table3", data, (ONE, CASE), "tiny")}
    assert len(tasks["table3"].needs) == 2 * len(SIMILARITY_VARIANTS)
    one = tasks[f"trials-adam-ssim-rois-{ONE}"]
    assert one.needs == (f"unet-{ONE}", f"encoder-geo-ncc-roi-{ONE}")
    assert one.arguments["xrays"] == PRESETS["tiny"].similarity_xrays == 1
    more = {task.name: task for task in graph("table3", data, (ONE, CASE), "tiny", 2)}
    assert more[one.name].arguments["xrays"] == 2


def test_all_is_the_experiments_together(data: Path) -> None:
    every = recipes_of(in_order(graph("all", data, (ONE, CASE), "tiny")))
    for what in EXPERIMENTS:
        own = recipes_of(in_order(graph(what, data, (ONE, CASE), "tiny")))
        assert own.items() <= every.items()
    ends = set(ends_of(graph("all", data, (ONE, CASE), "tiny")))
    assert ends == {"table1", "table2", "table3", "case-study", *FIGURES}


def test_where_the_data_lie_makes_no_difference(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    shutil.copyfile(data, copy)
    here = recipes_of(in_order(graph("all", data, (ONE, CASE), "tiny")))
    assert recipes_of(in_order(graph("all", copy, (ONE, CASE), "tiny"))) == here
