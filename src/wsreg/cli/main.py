"""The ``wsreg`` command.

Nothing heavy is imported until a command runs, so that ``wsreg --help`` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import itertools
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence

import tyro

from wsreg import __version__
from wsreg.cli.console import readers_may_leave
from wsreg.cli.convert import Convert
from wsreg.cli.demo import Demo
from wsreg.cli.evaluate import Evaluate
from wsreg.cli.example import Example
from wsreg.cli.inspect import Inspect
from wsreg.cli.machine import check_memory_limit, machine_error
from wsreg.cli.pose import Pose
from wsreg.cli.register import Register
from wsreg.cli.render import Render
from wsreg.cli.reproduce import Reproduce
from wsreg.cli.run_report import Report
from wsreg.cli.segment import Segment
from wsreg.cli.simulate import Simulate
from wsreg.cli.train import Train
from wsreg.cli.whole_lines import whole_lines
from wsreg.errors import InputError, WsregError

DESCRIPTION = f"""\
wsreg {__version__}: find where a patient's CT lies in an X-ray (2D/3D registration).

Exit status: 0 all good; 1 a verdict is fail, or some X-ray of several failed; \
2 usage, input or model error; 3 a mistake in wsreg; 130 interrupted. \
"wsreg --version" prints the version."""

GOOD, BAD_INPUT, OUR_FAULT, INTERRUPTED = 0, 2, 3, 130

Command = (
    Register
    | Report
    | Render
    | Simulate
    | Train
    | Segment
    | Pose
    | Evaluate
    | Reproduce
    | Inspect
    | Convert
    | Example
    | Demo
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    with readers_may_leave(), whole_lines():
        try:
            try:
                return _main(arguments)
            finally:
                print(end="", flush=True)  # what is held back may not fit on a full disk
        except InputError as error:
            return _told(error)
        except KeyboardInterrupt:
            print("wsreg: interrupted", file=sys.stderr)
            return INTERRUPTED


def _main(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:
        print(f"wsreg {__version__}")
        return GOOD
    if words[:1] == ["sample"]:
        print('wsreg: note: "wsreg sample" is now "wsreg example"', file=sys.stderr)
        words[0] = "example"
    for before, word in itertools.pairwise(("wsreg", *words)):
        if not word or re.fullmatch("--[^=]+=", word):  # --out=, too
            after = word.rstrip("=") or before
            print(f'wsreg: error: got an empty word, "", after {after}', file=sys.stderr)
            return BAD_INPUT
    command: Command = tyro.cli(
        Command,
        prog="wsreg",
        description=DESCRIPTION,
        args=words,
        config=(
            tyro.conf.OmitArgPrefixes,
            tyro.conf.FlagCreatePairsOff,
            tyro.conf.HelptextFromCommentsOff,
        ),
    )
    # A team of threads that spin while they wait slows a busy machine down a hundredfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    # Python looks for garbage before it ends: half a second among torch's modules, for nothing.
    atexit.register(gc.freeze)
    try:
        with _errors_only(quiet=getattr(command, "quiet", False)):
            check_memory_limit()
            return command.run()
    except Exception as error:  # noqa: BLE001 - the last door: what gets here is told, not lost
        return _told(error)


@contextlib.contextmanager
def _errors_only(*, quiet: bool) -> Iterator[None]:
    """Leave out, where asked, what else wsreg would say of a command's work."""
    logger = logging.getLogger("wsreg")
    before = logger.level
    if quiet:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _told(error: Exception) -> int:
    """Tell an error on standard error and return the exit status of its kind.

    A traceback is for mistakes of ours: what the machine lacks is one sentence, as is bad input.
    """
    sentence = str(error) if isinstance(error, WsregError) else machine_error(error)
    if sentence is not None:
        print(f"wsreg: error: {sentence}", file=sys.stderr)
        return BAD_INPUT
    print(
        f"wsreg {__version__}: this is a mistake in wsreg, not in what it was given; please report "
        "the command and all that follows to its authors",
        file=sys.stderr,
    )
    traceback.print_exception(error)
    return OUR_FAULT


if __name__ == "__main__":
    sys.exit(main())
