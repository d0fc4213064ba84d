"""An empty Faust agent, as fast as stock Faust goes: the peer of the live path.

argv: bootstrap, topic, group, batch size. Twice a second it prints one JSON line: how many events
have come, when the first batch came, and how many had come, and when, at the last full batch. The
last batch of all is seldom full and waits for its timer, which would be held against Faust.
"""

import asyncio
import json
import sys
import time
from typing import Any

import faust

WITHIN_SECONDS = 0.2


def build(bootstrap: str, topic: str, group: str, batch: int) -> faust.App:
    """The same settings as a worker's, where they concern speed."""
    app = faust.App(
        group,
        broker=f"aiokafka://{bootstrap}",
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=batch * 4,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=batch,
        value_serializer="raw",
        key_serializer="raw",
    )
    seen: dict[str, float] = {"events": 0, "full": 0, "first_batch": 0, "first": 0.0, "last": 0.0}

    async def empty(stream: Any) -> None:
        async for events in stream.take(batch, within=WITHIN_SECONDS):
            now = time.time()
            if not seen["events"]:
                seen["first"], seen["first_batch"] = now, len(events)
            seen["events"] += len(events)
            if len(events) == batch:
                seen["full"], seen["last"] = seen["events"], now

    app.agent(app.topic(topic, key_type=bytes, value_type=bytes))(empty)

    @app.timer(interval=0.5)  # type: ignore[untyped-decorator]
    async def tell() -> None:
        # In one write: a library's warning may not come between a line and its end.
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()

    return app


async def run(app: faust.App) -> None:
    await app.start()
    await app.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(run(build(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))
