"""The end of a process that was told to end: in time, whatever the brokers do."""

import os
import sys
import threading

# Less than the 15 s that supervisors should leave (deploying.md); what is not done by then is done
# again by whoever reads on, as after a kill.
FINISH_SECONDS = 12.0


def end_within(seconds: float, code: int, name: str) -> None:
    """End the process with `code` when it has not ended by itself in time.

    Clients wait for brokers that do not answer, and Python waits for their threads.
    """

    def end() -> None:
        print(
            f"{name}_cut_short: not stopped after {seconds:g} s: brokers do not answer, or work "
            "does not end; nothing is lost: what is not in the logs is read again",
            file=sys.stderr,
            flush=True,
        )
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
