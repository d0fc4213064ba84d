import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kae.deploy.processes import Process, ProcessFailed, logged

READY = """
import json, signal, sys, time
print("a library's own line {}")
print(json.dumps({"event": "worker_ready", "shard": 3}), file=sys.stderr)
"""
HEEDLESS = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY
SLEEP = "time.sleep(60)\n"


def python(name: str, code: str, folder: Path) -> Process:
    return Process(name, [sys.executable, "-c", code], folder / f"{name}.log")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def gone_within(seconds: float, pids: list[int]) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def test_a_child_is_ready_when_it_logs_the_event(tmp_path: Path) -> None:
    with python("worker", READY + SLEEP, tmp_path) as child:
        child.wait_ready(logged("worker_ready"), within_seconds=10)
        assert [fields["shard"] for fields in child.events("worker_ready")] == [3]
        assert child.terminate() == "terminated"
    assert child.returncode == -signal.SIGTERM


def test_a_child_that_does_not_heed_sigterm_is_killed_and_says_so(tmp_path: Path) -> None:
    with python("worker", HEEDLESS + SLEEP, tmp_path) as child:
        child.wait_ready(logged("worker_ready"), within_seconds=10)
        assert child.terminate(within_seconds=0.2) == "killed"
    assert child.returncode == -signal.SIGKILL


def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_last_words(
    tmp_path: Path,
) -> None:
    with (
        python("worker", "raise SystemExit('no such topology')", tmp_path) as child,
        pytest.raises(ProcessFailed, match=r"(?s)ended with 1; .*no such topology"),
    ):
        child.wait_ready(logged("worker_ready"), within_seconds=10)
    assert child.terminate() == "exited"


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="there is no /nowhere/java"):
        Process("broker", ["/nowhere/java"], tmp_path / "log").start()


def test_a_paused_child_does_nothing_until_resumed(tmp_path: Path) -> None:
    ticks = "import time\nwhile True: print('tick'); time.sleep(0.01)"
    with python("worker", ticks, tmp_path) as child:
        child.wait_ready(lambda c: "tick" in c.output(), within_seconds=10)
        child.pause()
        time.sleep(0.1)
        paused = child.output()
        time.sleep(0.2)
        assert child.output() == paused
        child.resume()
        child.wait_ready(lambda c: len(c.output()) > len(paused), within_seconds=10)


def test_a_restarted_child_is_not_ready_because_of_its_former_life(tmp_path: Path) -> None:
    child = python("worker", READY, tmp_path)
    child.start().wait(within_seconds=10)
    assert any(child.events("worker_ready"))
    child.argv = (sys.executable, "-c", "pass")
    child.start().wait(within_seconds=10)
    assert not any(child.events("worker_ready"))


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    child = python("worker", READY + SLEEP, tmp_path)
    thread = threading.Thread(target=child.start)
    thread.start()
    thread.join()
    with child:
        child.wait_ready(logged("worker_ready"), within_seconds=10)
        time.sleep(0.2)
        assert child.running


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel offers this")
def test_killing_the_parent_with_sigkill_leaves_no_orphan(tmp_path: Path) -> None:
    parent = f"""
import sys, time
from pathlib import Path
from kae.deploy.brokers import EmbeddedBroker
from kae.deploy.processes import Process
folder = Path({str(tmp_path)!r})
sleeper = Process("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], folder / "s")
broker = EmbeddedBroker(folder).start()
print(sleeper.start().pid, broker.process.pid, flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(alive, pids))
        process.kill()
    assert gone_within(5.0, pids)


def test_a_parent_that_forgets_its_children_takes_them_along(tmp_path: Path) -> None:
    parent = f"""
import sys
from pathlib import Path
from kae.deploy.processes import Process
argv = [sys.executable, "-c", "import time; time.sleep(60)"]
print(Process("sleeper", argv, Path({str(tmp_path / "log")!r})).start().pid, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, check=True, timeout=30
    )
    assert gone_within(5.0, [int(done.stdout)])
