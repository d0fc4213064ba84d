import os
import signal
import subprocess
import sys
import time

from kae.streams.worker.watchdog import EXIT_STALLED, WorkProgress

STUCK = """
import time
from kae.streams.worker.watchdog import Watchdog
watchdog = Watchdog(stall_seconds=0.4)
watchdog.start()
with watchdog.busy():
    for _ in range(100):
        time.sleep(0.1)
        watchdog.note_alive()
"""


def test_a_batch_that_does_not_end_ends_the_process() -> None:
    stuck = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=9, check=False
    )
    assert stuck.returncode == EXIT_STALLED
    assert "worker.stall_seconds: 0.4" in stuck.stderr


def test_no_progress_before_the_end_is_suspected_once_a_while() -> None:
    progress = WorkProgress(stall_seconds=0.05)
    assert progress.suspect({"p": 5}, {"p": 9}) is None
    time.sleep(0.1)
    assert progress.suspect({"p": 5}, {"p": 9}) == "p"
    assert progress.suspect({"p": 5}, {"p": 9}) is None


def test_the_end_of_a_partition_and_progress_are_not_suspected() -> None:
    progress = WorkProgress(stall_seconds=0.05)
    for position in (5, 6, 9, 9):
        assert progress.suspect({"p": position, "q": 3}, {"p": 9, "q": None}) is None
        time.sleep(0.06)


SUSPENDED = """
import time
from kae.streams.worker.watchdog import Watchdog
watchdog = Watchdog(stall_seconds=0.4)
watchdog.start()
def work(seconds):
    for _ in range(int(seconds * 20)):
        time.sleep(0.05)
        watchdog.note_alive()
with watchdog.busy():
    with watchdog.suspended():
        work(1.2)
    work(0.2)
print("long work is over", flush=True)
with watchdog.busy():
    work(2)
"""


def test_work_without_a_limit_suspends_what_waits_for_it_and_nothing_after_it() -> None:
    worked = subprocess.run(
        [sys.executable, "-c", SUSPENDED], capture_output=True, text=True, timeout=9, check=False
    )
    assert worked.stdout == "long work is over\n"
    assert worked.returncode == EXIT_STALLED


STOPPED = """
import os, time
from kae.streams.worker.watchdog import Watchdog
watchdog = Watchdog(stall_seconds=0.4)
watchdog.start()
with watchdog.busy():
    before = time.monotonic()  # the signal may come as soon as the line is out
    print("busy", flush=True)
    while time.monotonic() - before < 1:  # until it has been stopped, and gone on
        watchdog.note_alive()
    time.sleep(0.2)
for _ in range(20):
    time.sleep(0.05)
    watchdog.note_alive()
with watchdog.busy():
    print("its own", flush=True)
    time.sleep(9)
"""


def test_a_process_that_was_stopped_has_its_limit_again_and_no_more() -> None:
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"busy\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == b"its own\n"
        assert process.wait(9) == EXIT_STALLED
