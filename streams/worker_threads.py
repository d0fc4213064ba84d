"""The threads that write a worker's logs: one for the shards, one for the terms."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class WorkerThreads:
    """Each takes one call after the other, so what it works on needs no locks."""

    def __init__(self) -> None:
        self._shards = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="registrar")

    async def on_shards(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._shards, call)

    async def on_desk(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._desk, call)

    def submit_to_shards(self, call: Callable[[], T]) -> "Future[T]":
        """From any thread."""
        return self._shards.submit(call)

    async def finish(self) -> None:
        """Wait until what was given to them is done."""
        await self.on_shards(lambda: None)
        await self.on_desk(lambda: None)
