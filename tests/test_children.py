from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

from wsreg.children import interrupts_held_back

SCRIPTS = {
    "pool": """
import sys, time
from wsreg.jobs.process_pool import ProcessPool
if __name__ == "__main__":
    pool = ProcessPool(2)
    for _ in range(2):
        pool.submit(time.sleep, 600)
    while len(pool._pool._processes) < 2:
        time.sleep(0.01)
    print("begun", flush=True)
    time.sleep(600)
""",
    "fork": """
import multiprocessing, time
from wsreg.children import end_with_parent
def work(begun):
    end_with_parent()
    begun.set()
    time.sleep(600)
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    context.Process(target=work, args=(begun,)).start()
    begun.wait()
    print("begun", flush=True)
    time.sleep(600)
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("how", SCRIPTS)
def test_processes_end_with_a_parent_that_is_killed(how: str, tmp_path: object) -> None:
    script = f"{tmp_path}/parent.py"
    with open(script, "w") as file:
        file.write(SCRIPTS[how])
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "begun\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=60.0)
    for child in alive:
        child.kill()
    assert not alive


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_comes_after_the_block_that_holds_it_back() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _interrupted(done)
    assert done == ["the rest of the block"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done: list[str] = []
        _interrupted(done)
        assert done == ["the rest of the block"]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(done: list[str]) -> None:
    with interrupts_held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")


@pytest.mark.skipif(sys.platform == "win32", reason="masks of signals are POSIX")
def test_processes_begun_while_interrupts_are_held_back_never_see_one() -> None:
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    words = [sys.executable, "-c", code]
    with interrupts_held_back():
        assert subprocess.check_output(words, text=True) == "True\n"
    assert subprocess.check_output(words, text=True) == "False\n"
