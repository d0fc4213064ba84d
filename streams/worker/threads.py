"""The threads that write a worker's logs: one for its shards, one for the registrar."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class WorkerThreads:
    """Each runs one call after the other, so what it works on needs no locks."""

    def __init__(self) -> None:
        self._shards = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._registrar = ThreadPoolExecutor(1, thread_name_prefix="registrar")

    async def on_shards(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._shards, call)

    async def on_registrar(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._registrar, call)

    def submit_to_shards(self, call: Callable[[], T]) -> "Future[T]":
        """For any thread."""
        return self._shards.submit(call)

    async def finish(self) -> None:
        """Wait for the calls that were made before."""
        await self.on_shards(lambda: None)
        await self.on_registrar(lambda: None)
