"""The intake: what Faust's agents have brought, in batches that never wait for a timer."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from kae.streams.admission import Run
from kae.streams.ending import Ending
from kae.streams.faust_app import RUN_RECORDS
from kae.streams.worker_parts import WorkerParts

# Takes runs, and whether more have come meanwhile.
Work = Callable[[list[Run], bool], Coroutine[Any, Any, None]]


class Intake:
    """Small batches when idle, full ones under load."""

    def __init__(self, parts: WorkerParts, ending: Ending) -> None:
        self._parts = parts
        self._ending = ending
        self._queues: list[asyncio.Queue[Any]] = []

    async def drain(self, stream: Any, limit: int, work: Work) -> None:
        """Have a stream's runs worked on, at most `limit` records at a time.

        Under load one batch waits behind the other, so that the thread that works never waits for
        this loop.
        """
        queue = stream.channel.queue
        begun: deque[asyncio.Task[None]] = deque()
        self._queues.append(queue)
        try:
            while True:
                await self.rest()
                runs = [(await queue.get()).value]
                while sum(map(len, runs)) + RUN_RECORDS <= limit and not queue.empty():
                    runs.append(queue.get_nowait().value)
                more = not queue.empty()
                begun.append(asyncio.ensure_future(work(runs, more)))
                while len(begun) > more:
                    with self._parts.watchdog.busy():
                        await begun.popleft()
        except Exception as error:
            if not self._ending.has_begun:
                self._ending.fail(error)
            # Nothing more is taken from the queue; the process ends.
            await asyncio.Event().wait()

    async def rest(self) -> None:
        """Use the time until something comes: what is indexed then, no selector waits for."""
        more = True
        try:
            while more and all(queue.empty() for queue in self._queues):
                more = await self._parts.threads.on_shards(self._parts.indexer.rest)
        except Exception as error:
            self._ending.fail(error)
