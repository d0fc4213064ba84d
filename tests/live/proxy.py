"""A TCP proxy between Kafka's clients and a broker, that breaks connections at chosen bytes."""

import asyncio
import contextlib
import socket
import threading
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass, field
from ssl import SSLContext
from types import TracebackType
from typing import Literal, Self

PRODUCE = 0  # Kafka's api key of an append
_SIZE_BYTES = 4  # a frame's length, with which requests and responses begin
_BUFFER_BYTES = 64 << 20

Fate = Literal["held", "request", "response", "unanswered"]


@dataclass(slots=True)
class Broken:
    """What is to become of an append: of a client, by its id's beginning, to a topic.

    `held`: it is taken from the client, and nothing passes any more until the proxy is thawed.
    `request`: it loses its connection when `after_bytes` of it have reached the broker, which
    drops what is not whole.
    `response`: it loses it when the broker has answered, before a byte of the answer is passed on.
    `unanswered`: that too, and nothing passes any more, no retry either, until it is thawed.
    """

    client: str
    topic: str
    fate: Fate
    after_bytes: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def fits(self, frame: bytes) -> bool:
        api_key = int.from_bytes(frame[_SIZE_BYTES : _SIZE_BYTES + 2])
        client_id = frame[_SIZE_BYTES + 10 : _SIZE_BYTES + 10 + len(self.client)]
        return (
            api_key == PRODUCE
            and client_id == self.client.encode()
            and self.topic.encode() in frame
            and len(frame) > self.after_bytes
        )


class Proxy:
    """Listens on a port of loopback for as long as it is entered; passes whole frames on.

    With `tls`, to serve and to connect, it reads what clients and broker encrypt for each other.
    """

    def __init__(
        self, port: int, broker_port: int, tls: tuple[SSLContext, SSLContext] | None = None
    ) -> None:
        self.port = port
        self.broker_port = broker_port
        self._tls: tuple[SSLContext | None, SSLContext | None] = tls or (None, None)
        self._armed: list[Broken] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thawed = asyncio.Event()
        self._thawed.set()

    def break_next(self, broken: Broken) -> None:
        """Wait until an append that fits has met its fate."""
        self._armed.append(broken)
        if not broken.done.wait(20):
            raise AssertionError(f"no append came by: {broken}")

    def thaw(self) -> None:
        """Pass on what was held back, also from clients that have given up meanwhile."""
        self._loop.call_soon_threadsafe(self._thawed.set)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=_BUFFER_BYTES, ssl=self._tls[0]
        )
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        await asyncio.sleep(0.05)  # who has just been accepted is served first
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.05)  # the loop closes the sockets of aborted connections

    # One connection.

    async def _serve(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        writers = [to_client]
        pumps: list[asyncio.Task[None]] = []
        # Either side may go away at any time; then its twin goes too.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            from_broker, to_broker = await asyncio.open_connection(
                "127.0.0.1", self.broker_port, limit=_BUFFER_BYTES, ssl=self._tls[1]
            )
            writers.append(to_broker)
            awaited: dict[bytes, Broken] = {}
            pumps.append(asyncio.create_task(self._requests(from_client, to_broker, awaited)))
            pumps.append(asyncio.create_task(self._responses(from_broker, to_client, awaited)))
            await next(asyncio.as_completed(pumps))
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()

    async def _requests(
        self, client: StreamReader, broker: StreamWriter, awaited: dict[bytes, Broken]
    ) -> None:
        _prepare(broker)
        while True:
            frame = await _frame(client)
            await self._thawed.wait()
            broken = self._take(frame)
            if broken is not None and broken.fate == "request":
                broker.write(frame[: broken.after_bytes])
                await broker.drain()
                broken.done.set()
                return
            if broken is not None and broken.fate == "held":
                self._freeze(broken)
                await self._thawed.wait()
            elif broken is not None:
                awaited[_correlation(frame, _SIZE_BYTES + 4)] = broken
            broker.write(frame)
            await broker.drain()

    async def _responses(
        self, broker: StreamReader, client: StreamWriter, awaited: dict[bytes, Broken]
    ) -> None:
        _prepare(client)
        while True:
            frame = await _frame(broker)
            await self._thawed.wait()
            broken = awaited.pop(_correlation(frame, _SIZE_BYTES), None)
            if broken is not None:
                if broken.fate == "unanswered":
                    self._freeze(broken)
                broken.done.set()
                return
            client.write(frame)
            await client.drain()

    def _take(self, frame: bytes) -> Broken | None:
        for broken in self._armed:
            if broken.fits(frame):
                self._armed.remove(broken)
                return broken
        return None

    def _freeze(self, broken: Broken) -> None:
        self._thawed.clear()
        broken.done.set()


async def _frame(reader: StreamReader) -> bytes:
    size = await reader.readexactly(_SIZE_BYTES)
    return size + await reader.readexactly(int.from_bytes(size))


def _correlation(frame: bytes, place: int) -> bytes:
    return frame[place : place + 4]


def _prepare(writer: StreamWriter) -> None:
    """Small writes at once, and a drain that waits while a byte is left to write.

    One, not none: a TLS transport takes its buffer for full when it has as much as the limit.
    """
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.transport.set_write_buffer_limits(high=1)
