"""The interpreter, set for a process that indexes.

Items make no reference cycles, yet a batch of them makes enough objects to start the garbage
collector some hundred times, each time over all that lives. What start-up made is taken out of its
sight, and it comes seldom. Kafka's clients share the interpreter with the thread that indexes: who
waits for it gets it sooner than Python's five milliseconds.

How much memory this process has had at most.
"""

import gc
import resource
import sys

OBJECTS = 100_000  # new ones before the youngest generation is looked through
SWITCH_SECONDS = 0.0005


def set_for_indexing() -> None:
    """Call once, when everything that lives as long as the process has been made."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 20)


def peak_memory_bytes() -> int:
    """The largest resident set so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
