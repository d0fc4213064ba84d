"""How a stream is cut into batches: small ones when it is quiet, full ones under load."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from kae.streams.worker.admission import Run
from kae.streams.worker.faust_app import RUN_RECORDS
from kae.streams.worker.shutdown import Shutdown
from kae.streams.worker.watchdog import Watchdog

BATCH_SECONDS = 1.0
# A sudden series of titles that the tagger has to read takes seconds, not a quarter of a minute.
MOST_TITLES = 256
FEWEST_TITLES = 16
# How long a batch may wait for more events while a stream is steady.
LONGEST_PAUSE_SECONDS = 0.05
# Takes runs, and whether more are waiting behind them.
Work = Callable[[list[Run], bool], Coroutine[Any, Any, None]]


class BatchSize:
    """How many events a batch may have, so that it is encoded in about a second.

    Without a tagger that is any number. A title that the tagger reads takes some 15 ms, and more on
    a shared core: a batch of 1,024 would keep requests, rebalances and the watchdog waiting.
    """

    def __init__(self, most: int, *, reads_titles: bool) -> None:
        self._adapts = reads_titles
        self._most = min(most, MOST_TITLES) if reads_titles else most
        self.limit = min(FEWEST_TITLES * 2, most) if reads_titles else most

    def adapt(self, events: int, seconds: float) -> None:
        """Take in how long a batch took: shrink to fit at once, at most double to grow."""
        if not self._adapts or not events:
            return
        fitting = int(events * BATCH_SECONDS / max(seconds, 1e-6))
        grown = min(fitting, self.limit * 2, self._most)
        self.limit = max(grown, min(FEWEST_TITLES, self._most))


class Batching:
    """Takes runs from a stream and has them worked on in batches; an idle stream never waits."""

    def __init__(self, watchdog: Watchdog, shutdown: Shutdown) -> None:
        self._watchdog = watchdog
        self._shutdown = shutdown

    async def drain(
        self,
        queue: "asyncio.Queue[Any]",
        next_event: Callable[[], Awaitable[Any]],
        limit: Callable[[], int],
        work: Work,
    ) -> None:
        """Work on what comes, at most `limit()` records at a time, until an error or a shutdown.

        `next_event` waits for the queue. Under load one batch waits behind the one at work, so that
        the working thread never waits for the event loop.
        """
        begun: deque[asyncio.Task[None]] = deque()
        loop = asyncio.get_running_loop()
        rest: Run = ()
        busy, ended = 0.0, 0.0  # how long the last batch took alone, and when it ended
        try:
            while True:
                run = rest or (await next_event()).value
                most = limit()
                if len(run) + queue.qsize() * RUN_RECORDS < most:
                    # A small batch costs almost as much as a large one: of a steady stream, let
                    # more come for as long as the last batch took.
                    await asyncio.sleep(min(ended + busy - loop.time(), LONGEST_PAUSE_SECONDS))
                run, rest = run[:most], run[most:]
                runs = [run]
                while sum(map(len, runs)) + RUN_RECORDS <= most and not queue.empty():
                    runs.append(queue.get_nowait().value)
                more = bool(rest) or not queue.empty()
                started = loop.time()
                begun.append(asyncio.ensure_future(work(runs, more)))
                while len(begun) > more:
                    with self._watchdog.busy():
                        await begun.popleft()
                ended = loop.time()
                busy = 0.0 if more else ended - started
        except Exception as error:
            if not self._shutdown.has_begun:
                self._shutdown.fail(error)
            # Take nothing more from the queue; the process ends.
            await asyncio.Event().wait()
