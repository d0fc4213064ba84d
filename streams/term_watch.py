"""Publishing term events, and watching them take effect on the replicas."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.encoders.text import normalise
from kae.streams.bootstrap import bootstrap_ms, reached_brokers
from kae.streams.errors import KafkaUnreachable, TermRefused, TermTimedOut
from kae.streams.events import (
    BindData,
    TermRules,
    Undecodable,
    decode_term,
    encode_term_bind,
    encode_term_release,
)
from kae.streams.replica.client import ReplicaClient
from kae.streams.replica.receipts import Receipt
from kae.streams.topology import Topology

SOURCE = "/kae/cli"
# The replica answers as soon as the term is decodable; until then, the stages so far are told.
LOOK_EVERY_SECONDS = 0.25
PAUSE_SECONDS = 0.01


def publish_bind(topology: Topology, word: str, data: BindData, source: str = SOURCE) -> None:
    """`source` tells the audit who asked. Raises: TermRefused; KafkaUnreachable."""
    _publish(topology, word, encode_term_bind(word, data, source, _now()))


def publish_release(topology: Topology, word: str, revision: int, source: str = SOURCE) -> None:
    """Raises: TermRefused; KafkaUnreachable."""
    _publish(topology, word, encode_term_release(word, revision, source, _now()))


def watch(
    replica: ReplicaClient,
    word: str,
    revision: int,
    within_seconds: float,
    tell: Callable[[Receipt], None] = lambda _: None,
) -> Receipt:
    """Follow a term's receipt until every stage of this revision is done.

    Raises: TermRefused; TermTimedOut, which names the stage that did not come.
    """
    term = normalise(word)
    deadline = time.monotonic() + within_seconds
    while True:
        receipt = replica.receipt(term, revision, "decodable", LOOK_EVERY_SECONDS)
        if receipt is not None:
            if receipt.refused is not None and receipt.refused.revision == revision:
                raise TermRefused(receipt.refused.cause)
            if receipt.revision > revision:
                raise TermRefused(
                    f"{term!r}: revision {revision} is stale, the term has {receipt.revision}; "
                    "give a higher --revision, or leave it out"
                )
            if receipt.revision == revision:
                tell(receipt)
                if all(
                    stage.done or _needs_items(stage.stage, receipt) for stage in receipt.stages
                ):
                    return receipt
        if time.monotonic() > deadline:
            raise TermTimedOut(_explain(term, receipt, revision, within_seconds))
        time.sleep(PAUSE_SECONDS)


def _needs_items(stage: str, receipt: Receipt) -> bool:
    """A selector that no item matches gives no path, which is no failure."""
    attached = next((s for s in receipt.stages if s.stage == "attached"), None)
    return (
        stage == "decodable"
        and receipt.attached_items == 0
        and attached is not None
        and attached.done
    )


def _explain(term: str, receipt: Receipt | None, revision: int, seconds: float) -> str:
    if receipt is None or receipt.revision < revision:
        return (
            f"{term!r}: not bound after {seconds:g} s. Is the worker with the terms partition "
            "running (kae status)? If the event was broken, its cause is in the dead letters"
        )
    missing = next(stage for stage in receipt.stages if not stage.done)
    waiting = f", waiting for {', '.join(missing.missing)}" if missing.missing else ""
    return (
        f"{term!r}: {missing.stage} by {missing.count} of {missing.of} after {seconds:g} s"
        f"{waiting}. kae status shows the shard or replica that lags"
    )


def _publish(topology: Topology, word: str, value: bytes) -> None:
    kafka = topology.kafka
    rules = TermRules(
        topology.terms.default_category, lambda _: 0, topology.terms.items_per_selector
    )
    try:
        # What the worker would make a dead letter is refused here, where it can be corrected.
        decode_term(word.encode(), value, topology.limits.event_bytes, 0, rules)
    except Undecodable as error:
        raise TermRefused(f"{word!r}: {error}; correct it, nothing was published") from error
    try:
        with reached_brokers(topology) as addresses:
            producer = KafkaProducer(
                bootstrap_servers=addresses,
                client_id=f"{kafka.client_id}-term",
                acks="all",
                delivery_timeout_ms=int(kafka.delivery_timeout_seconds * 1000),
                request_timeout_ms=int(kafka.delivery_timeout_seconds * 500),
                max_block_ms=int(kafka.request_timeout_seconds * 1000),
                bootstrap_timeout_ms=bootstrap_ms(topology),
                allow_auto_create_topics=False,
            )
            try:
                producer.send(
                    topology.terms_topic, key=word.encode(), value=value, partition=0
                ).get(timeout=kafka.delivery_timeout_seconds)
            finally:
                producer.close()
    except KafkaError as error:
        raise KafkaUnreachable(
            f"{kafka.bootstrap}: the term event was not stored: {error!r}. Check kafka.bootstrap "
            "and the topics (kae topics apply)"
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
