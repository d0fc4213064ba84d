"""Settings of the interpreter for a process that indexes, and the memory that it has used.

Items make no reference cycles, yet the objects of one batch would start the garbage collector some
hundred times, each time over everything that is alive. So it ignores what start-up has made, and
runs seldom. Kafka's clients share the interpreter with the thread that indexes, so threads switch
sooner than after Python's five milliseconds.
"""

import gc
import resource
import sys

NEW_OBJECTS = 100_000  # that start a collection of the youngest generation
SWITCH_SECONDS = 0.0005


def set_for_indexing() -> None:
    """Call it once, after making everything that lives as long as the process."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
