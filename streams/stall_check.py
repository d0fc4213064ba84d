"""Finding out whether Faust is alive and no longer fetches."""

import asyncio
from collections.abc import Mapping

import structlog
from faust.types import TP

from kae.streams import metrics
from kae.streams.faust_app import StoreConsumer
from kae.streams.kafka_log import KafkaClients
from kae.streams.meters import Meters
from kae.streams.watchdog import Progress, Stalled

log = structlog.get_logger()


class StallCheck:
    """Seeks once where nothing comes although the topic goes on, and then gives up."""

    def __init__(self, clients: KafkaClients, meters: Meters, patience_seconds: float) -> None:
        self._clients = clients
        self._meters = meters
        self._progress = Progress(patience_seconds)
        self._sought: tuple[TP, int] | None = None

    async def look(self, consumer: StoreConsumer, positions: Mapping[TP, int]) -> None:
        """Look at the partitions that should be read on from these positions.

        Raises: Stalled.
        """
        ends = {tp: consumer.highwater(tp) for tp in positions}
        suspect = self._progress.suspect(positions, ends)
        if suspect is None:
            return
        log_of = self._clients.log(suspect.topic, suspect.partition)
        offset, _ = await asyncio.to_thread(next, log_of.read(positions[suspect]))
        if offset >= 0 and self._sought != (suspect, positions[suspect]):
            self._sought = (suspect, positions[suspect])
            self._meters.count(metrics.WORKER_SEEKS)
            log.warning("sought_back", positions={str(suspect): positions[suspect]})
            await consumer.seek_wait({suspect: positions[suspect]})
        elif offset >= 0:
            raise Stalled(
                f"{suspect.topic}/{suspect.partition} holds offset {offset}, and nothing "
                f"beyond {positions[suspect]} came, also after seeking there again"
            )
