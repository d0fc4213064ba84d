"""How many events a batch may have, so that it is encoded in about a second.

Without a tagger that is any batch. A title that the tagger reads takes some 15 ms, and more on a
shared core: a batch of 1,024 would keep requests, rebalances and the watchdog waiting.

The intake: what Faust's agents have brought, in batches that never wait for a timer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kae.streams.worker.admission import Run
from kae.streams.worker.faust_app import RUN_RECORDS
from kae.streams.worker.shutdown import Shutdown

if TYPE_CHECKING:
    from kae.streams.worker.parts import WorkerParts

BATCH_SECONDS = 1.0
# A run, so a sudden series of titles not seen before is some seconds, not a quarter of a minute.
MOST_READ = 256
FEWEST = 16


class BatchSize:
    """Told what encoding took; any thread may ask for the limit."""

    def __init__(self, most: int, *, reads_titles: bool) -> None:
        self._most = min(most, MOST_READ) if reads_titles else most
        self._adapts = reads_titles
        self.limit = min(FEWEST * 2, most) if reads_titles else most

    def took(self, events: int, seconds: float) -> None:
        """Shrink at once, grow by doubling."""
        if not self._adapts or not events:
            return
        fitting = int(events * BATCH_SECONDS / max(seconds, 1e-6))
        grown = min(fitting, self.limit * 2, self._most)
        self.limit = max(grown, min(FEWEST, self._most))


# Of a steady stream more comes sooner; then the shards are not to be busy with anything else.
PATIENCE_SECONDS = 0.005
LOOK_SECONDS = 1.0
# Takes runs, and whether more have come meanwhile.
Work = Callable[[list[Run], bool], Coroutine[Any, Any, None]]
Land = Callable[[], Coroutine[Any, Any, None]]


class Batching:
    """Small batches when idle, full ones under load."""

    def __init__(self, parts: "WorkerParts", ending: Shutdown, land: Land) -> None:
        """`land` is awaited whenever `landable` has been set and nothing else is to be done."""
        self._parts = parts
        self._ending = ending
        self._land = land
        self.landable = asyncio.Event()

    async def drain(
        self, stream: Any, limit: Callable[[], int], work: Work, *, rests: bool = False
    ) -> None:
        """Have a stream's runs worked on, at most `limit()` records at a time.

        A longer run is parted. Under load one batch waits behind the other, so that the thread that
        works never waits for this loop. `rests` gives the shards the time in which nothing comes.
        """
        queue = stream.channel.queue
        begun: deque[asyncio.Task[None]] = deque()
        rest: Run = ()
        try:
            while True:
                run = rest or (await (self._next(queue) if rests else queue.get())).value
                most = limit()
                run, rest = run[:most], run[most:]
                runs = [run]
                while sum(map(len, runs)) + RUN_RECORDS <= most and not queue.empty():
                    runs.append(queue.get_nowait().value)
                more = bool(rest) or not queue.empty()
                begun.append(asyncio.ensure_future(work(runs, more)))
                while len(begun) > more:
                    with self._parts.watchdog.busy():
                        await begun.popleft()
        except Exception as error:
            if not self._ending.has_begun:
                self._ending.fail(error)
            # Nothing more is taken from the queue; the process ends.
            await asyncio.Event().wait()

    async def _next(self, queue: asyncio.Queue[Any]) -> Any:
        """What comes next; until then what is stored is applied, and indexed for selectors."""
        coming = asyncio.ensure_future(queue.get())
        landable = asyncio.ensure_future(self.landable.wait())
        indexer = self._parts.indexer
        try:
            while True:
                patience = PATIENCE_SECONDS if indexer.has_waiting else LOOK_SECONDS
                waited = {coming, landable}
                done, _ = await asyncio.wait(
                    waited, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if coming in done:
                    return coming.result()
                if landable in done:
                    self.landable.clear()
                    with self._parts.watchdog.busy():
                        await self._land()
                    landable = asyncio.ensure_future(self.landable.wait())
                elif indexer.has_waiting:
                    await self._parts.threads.on_shards(indexer.rest)
        finally:
            coming.cancel()
            landable.cancel()
