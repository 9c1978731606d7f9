"""Journals: resumed, cut off, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.evaluation.journal import open_journal
from wsreg.evaluation.trial import Trial

TrialMaker = Callable[..., Trial]
SETUP = {"method": "ours", "sizes": (48, 96), "seed": 0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "journal.jsonl"


def test_a_new_journal_is_empty_and_says_what_it_is_of(path: Path) -> None:
    assert open_journal(path, SETUP).trials == {}
    found = json.loads(path.read_text())
    assert found["setup"] == {"method": "ours", "sizes": [48, 96], "seed": 0}


def test_trials_come_back(path: Path, make_trial: TrialMaker) -> None:
    trials = [make_trial(1.0, projection="000"), make_trial(2.0, projection="001")]
    journal = open_journal(path, SETUP)
    for trial in trials:
        journal.append(trial)
    assert len(path.read_text().splitlines()) == 3
    assert list(open_journal(path, SETUP).trials.values()) == trials


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_that_was_half_written_is_forgotten(
    path: Path, make_trial: TrialMaker, kept: int
) -> None:
    journal = open_journal(path, SETUP)
    journal.append(make_trial(1.0, projection="000"))
    whole = path.read_bytes()
    journal.append(make_trial(2.0, projection="001"))
    path.write_bytes(whole + path.read_bytes()[len(whole) :][:kept])
    again = open_journal(path, SETUP)
    assert list(again.trials) == [("A", "000")]
    again.append(make_trial(3.0, projection="001"))
    assert open_journal(path, SETUP).trials["A", "001"].errors.mpd_mm == 3.0


def test_a_first_line_that_was_half_written_is_begun_again(path: Path) -> None:
    open_journal(path, SETUP)
    path.write_bytes(path.read_bytes()[:9])
    assert open_journal(path, SETUP).trials == {}
    assert json.loads(path.read_text())["setup"]["method"] == "ours"


def test_a_journal_of_another_run_is_refused_and_left_alone(path: Path) -> None:
    open_journal(path, SETUP)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"differs in method, seed; name another file"):
        open_journal(path, {**SETUP, "method": "theirs", "seed": 1})
    with pytest.raises(InputError, match="differs in more;"):
        open_journal(path, {**SETUP, "more": None})
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a journal\n", b"\xff\xfe\n", b"\0" * 50 + b"\n"])
def test_a_file_that_is_no_journal_is_begun_again_and_a_copy_kept(
    path: Path, content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert open_journal(path, SETUP).trials == {}
    assert path.with_name("journal.jsonl.damaged").read_bytes() == content


def test_a_journal_without_a_setup_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"{}\n")
    with pytest.raises(InputError, match="differs in everything"):
        open_journal(path, SETUP)


def test_a_line_that_is_no_trial_is_named(path: Path) -> None:
    path.parent.mkdir()
    old = {"setup": SETUP}  # journals of older versions have no check sums
    path.write_text(json.dumps(old) + '\n{"specimen": "A"}\n')
    with pytest.raises(InputError, match="line 2 must be a trial"):
        open_journal(path, SETUP)


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot use journal"):
        open_journal(tmp_path, SETUP)
