"""The end of a worker: asked for by a signal, or because something is in doubt."""

import asyncio
import signal


class Shutdown:
    """Waited for by the event loop; brought about by any thread."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._begun = asyncio.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT for the wish to end; called on the event loop, first of all."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._begun.set)

    @property
    def has_begun(self) -> bool:
        return self._begun.is_set()

    async def wait(self) -> None:
        await self._begun.wait()

    def fail(self, error: BaseException) -> None:
        """End before anything more is taken; the first cause is the one that is told."""
        if self.failure is None:
            self.failure = error
        self._loop.call_soon_threadsafe(self._begun.set)
