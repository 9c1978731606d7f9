from __future__ import annotations

from pathlib import Path

from wsreg.training.log import append_log


def test_steps_that_are_run_again_replace_what_was_logged(tmp_path: Path) -> None:
    for step, loss in ((2, 1.0), (4, 0.5), (2, 0.9), (4, 0.4)):
        append_log(tmp_path, step, {"loss": loss, "dice left-femur": 0.25})
    assert (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines() == [
        "step,loss,dice left-femur",
        "2,0.90000,0.25000",
        "4,0.40000,0.25000",
    ]


def test_tensorboard_finds_the_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    append_log(tmp_path, 2, {"loss": 1.0, "dice left-femur": 0.25})
    append_log(tmp_path, 4, {"loss": 0.5, "dice left-femur": 0.5})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4]
    assert [event.value for event in events.Scalars("dice/left-femur")] == [0.25, 0.5]
