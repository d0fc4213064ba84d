"""The garbage collector, set for a process that indexes.

Items make no reference cycles, yet a batch of them makes enough objects to start the collector some
hundred times, each time over all that lives. What start-up made is taken out of its sight, and it
comes seldom.
"""

import gc

OBJECTS = 100_000  # new ones before the youngest generation is looked through


def collect_seldom() -> None:
    """Call once, when everything that lives as long as the process has been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 20)
