"""The shutdown of a worker, which a signal or a failure begins."""

import asyncio
import signal


class Shutdown:
    """The event loop waits for it; any thread may begin it."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._begun = asyncio.Event()

    def on_signals(self) -> None:
        """Begin it on SIGTERM and SIGINT; to be called on the event loop, before anything else."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._begun.set)

    @property
    def has_begun(self) -> bool:
        return self._begun.is_set()

    async def wait(self) -> None:
        await self._begun.wait()

    def fail(self, error: BaseException) -> None:
        """Begin it because of an error; the first error is the one that is reported."""
        if self.failure is None:
            self.failure = error
        self._loop.call_soon_threadsafe(self._begun.set)
