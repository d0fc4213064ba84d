"""Publishing term events, and waiting until they take effect on the replicas."""

import time
from collections.abc import Callable, Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from kae.encoders.text.normal_form import normalise
from kae.streams.clock import now_ms, rfc3339
from kae.streams.errors import KafkaUnreachable, TermRefused, TermTimedOut
from kae.streams.events.cloudevents import Headers
from kae.streams.events.envelope import Undecodable
from kae.streams.events.signatures import SIGNED_HEADERS, signed
from kae.streams.events.term_data import ApproveData, RejectData, TermData
from kae.streams.events.terms import decode_term, encode_term, rules_of, subject_key
from kae.streams.kafka.connection import bootstrap_ms, connection, reached_brokers
from kae.streams.kafka.topics import check_topics
from kae.streams.local_run import replica_address
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.terms import Receipt
from kae.streams.topology.types import Topology

SOURCE = "/kae/cli"
# A replica answers as soon as the term is decodable, and after this time at the latest.
LOOK_EVERY_SECONDS = 0.25
PAUSE_SECONDS = 0.01
EVERYWHERE = "everywhere"


def publish(topology: Topology, subject: str, data: TermData) -> None:
    """Publish an event about a term or a campaign; its type follows from the type of the data.

    Raises: TermRefused; KafkaUnreachable.
    """
    publish_all(topology, [(subject, data)])


def publish_all(topology: Topology, events: Sequence[tuple[str, TermData]]) -> None:
    """Publish events in their order, signed if the topology asks for it; if one is broken, none.

    Raises: TermRefused; KafkaUnreachable; CredentialsUnusable, NotInstalled.
    """
    has_signers = bool(topology.terms.signers)
    audience = topology.terms_topic if has_signers else ""
    values = [
        (subject, encode_term(subject, data, SOURCE, rfc3339(now_ms()), audience))
        for subject, data in events
    ]
    rules, limit = rules_of(topology), topology.limits.event_bytes
    for subject, value in values:
        try:
            # The worker would make it a dead letter; here it can still be corrected.
            decode_term(subject.encode(), value, limit, now_ms(), rules)
        except Undecodable as error:
            raise TermRefused(f"{subject!r}: {error}; correct it, nothing was published") from error
    if has_signers:
        values = [(subject, signed(value)) for subject, value in values]
    _send(topology, values, SIGNED_HEADERS if has_signers else ())


def wait_for_term(
    replica: ReplicaClient,
    word: str,
    revision: int,
    within_seconds: float,
    on_receipt: Callable[[Receipt], None] = lambda _: None,
    until: str = EVERYWHERE,
) -> Receipt:
    """Wait until a revision of a term has reached a stage, or every stage.

    A revision that waits for approval, or for its time, counts as having arrived. `on_receipt` is
    called with each receipt of the revision.

    Raises: TermRefused; TermTimedOut, which names the stage that is missing.
    """
    term = normalise(word)
    deadline = time.monotonic() + within_seconds
    while True:
        receipt = replica.receipt(term, revision, "decodable", LOOK_EVERY_SECONDS)
        if receipt is not None:
            if receipt.refused is not None and receipt.refused.revision == revision:
                raise TermRefused(receipt.refused.cause)
            if receipt.proposed == revision:
                return receipt
            if receipt.revision > revision:
                raise TermRefused(
                    f"{term!r}: revision {revision} is stale, the term has {receipt.revision}; "
                    "give a higher --revision, or leave it out"
                )
            if receipt.revision == revision:
                on_receipt(receipt)
                if _has_arrived(receipt, until):
                    return receipt
        if time.monotonic() > deadline:
            raise TermTimedOut(_missing_stage(term, receipt, revision, within_seconds))
        time.sleep(PAUSE_SECONDS)


def _has_arrived(receipt: Receipt, until: str) -> bool:
    done = {stage.stage: stage.done for stage in receipt.stages}
    if until in done:
        return done[until]
    if receipt.state == "scheduled" and done["attached"] and receipt.campaign is None:
        return True
    return all(stage.done or _needs_items(stage.stage, receipt) for stage in receipt.stages)


def _needs_items(stage: str, receipt: Receipt) -> bool:
    """Whether a stage never comes because no item matches the selector, which is not a failure."""
    attached = next((s for s in receipt.stages if s.stage == "attached"), None)
    return (
        stage == "decodable"
        and receipt.attached_items == 0
        and attached is not None
        and attached.done
    )


def _missing_stage(term: str, receipt: Receipt | None, revision: int, seconds: float) -> str:
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


def _send(topology: Topology, values: Sequence[tuple[str, bytes]], headers: Headers) -> None:
    kafka = topology.kafka
    try:
        with reached_brokers(topology):
            producer = KafkaProducer(
                **connection(topology),
                client_id=f"{kafka.client_id}-term",
                acks="all",
                delivery_timeout_ms=int(kafka.delivery_timeout_seconds * 1000),
                request_timeout_ms=int(kafka.delivery_timeout_seconds * 500),
                max_block_ms=int(kafka.request_timeout_seconds * 1000),
                bootstrap_timeout_ms=bootstrap_ms(topology),
                allow_auto_create_topics=False,
            )
            try:
                sent = [
                    producer.send(
                        topology.terms_topic,
                        key=subject.encode(),
                        value=value,
                        headers=list(headers),
                        partition=0,
                    )
                    for subject, value in values
                ]
                for future in sent:
                    future.get(timeout=kafka.delivery_timeout_seconds)
            finally:
                producer.close()
    except KafkaError as error:
        raise KafkaUnreachable(
            f"{kafka.bootstrap}: the term event was not stored: {error!r}. Check kafka.bootstrap "
            "and the topics (kae topics apply)"
        ) from error


def decide(
    topology: Topology,
    replica: str | None,
    key: str,
    decision: Callable[[int], ApproveData | RejectData],
    within_seconds: float,
) -> int:
    """Publish a decision about a proposal and wait for its effect; returns the proposal's revision.

    Raises: TermRefused, TermTimedOut, KafkaUnreachable, ReplicaUnreachable.
    """
    check_topics(topology)
    client = ReplicaClient(replica_address(topology, replica))
    subject = subject_key(key)
    proposal = _proposal_of(client, subject)
    if proposal is None:
        raise TermRefused(
            f"{key!r}: nothing waits for approval; kae term proposals lists what does"
        )
    data = decision(proposal)
    publish(topology, subject, data)
    deadline = time.monotonic() + within_seconds
    while _proposal_of(client, subject) == proposal:
        receipt = client.receipt(subject)
        refused = receipt.refused if receipt else None
        if refused is not None and refused.revision == data.revision:
            raise TermRefused(refused.cause)
        if time.monotonic() > deadline:
            raise TermTimedOut(f"{key!r}: still waits after {within_seconds:g} s. See kae status")
        time.sleep(LOOK_EVERY_SECONDS)
    return proposal


def _proposal_of(client: ReplicaClient, key: str) -> int | None:
    waiting = client.bindings().proposals
    return next((one.revision for one in waiting if one.key == key), None)
