"""topology.yaml as types: what each single value may be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from kae.encoders.categories import CATEGORIES, POSITIONS
from kae.streams.topology.part import Count, Part
from kae.streams.topology.retriever_part import RetrieverPart

# The upper bound is what clocks can represent.
Seconds = Annotated[float, Field(gt=0, le=86_400)]
RetentionHours = Annotated[int, Field(ge=-1, le=1_000_000)]
Name = Annotated[str, Field(min_length=1)]
# Editors check the names by the schema; consistency.py reports an unknown one with its remedy.
Category = Annotated[str, Field(min_length=1, json_schema_extra={"enum": [*CATEGORIES]})]
TopicPart = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$")]
# Where a user name or a password is read from; the pattern keeps secrets out of the file.
SecretSource = Annotated[str, Field(pattern=r"^(env|file):.")]
# Not strict, since YAML has lists only, and the models are frozen.
Categories = Annotated[tuple[Category, ...], Field(strict=False, min_length=1)]


def _host_ports(value: str) -> str:
    for address in value.split(","):
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise PydanticCustomError("host_port", "an address is host:port")
    return value


def _host_port(value: str) -> str:
    if "," in value:
        raise PydanticCustomError("host_port", "one address is needed")
    return _host_ports(value)


def _host_port_if_any(value: str | None) -> str | None:
    return value if value is None else _host_port(value)


def _archive_url(value: str) -> str:
    place = value.partition("://")[2].partition("/")[0]
    if "@" in place:
        # Errors and logs show the address.
        raise PydanticCustomError("archive_url", "no name or password stands in the address")
    return value


class SecurityPart(Part):
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    ca_file: Name | None
    cert_file: Name | None
    key_file: Name | None
    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None
    username: SecretSource | None
    password: SecretSource | None

    @property
    def has_tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def has_sasl(self) -> bool:
        return self.protocol.startswith("SASL")


class KafkaPart(Part):
    bootstrap: Annotated[str, AfterValidator(_host_ports)]
    client_id: Name
    replication: Annotated[int, Field(ge=1, le=15)]
    request_timeout_seconds: Seconds
    delivery_timeout_seconds: Seconds
    security: SecurityPart


class TopicsPart(Part):
    prefix: TopicPart
    items_retention_hours: RetentionHours
    dead_letters_retention_hours: RetentionHours


class CodebookPart(Part):
    path: Name


class CatalogPart(Part):
    id: Name
    title: Name
    description: Name | None
    popularity: Name | None
    revision: Name | None
    separator: Name | None
    fields: dict[Name, Category]
    allowed_fields: Annotated[frozenset[Name], Field(strict=False)] | None = None
    decimal_mark: Literal[".", ","] = "."


class FoldingPart(Part):
    keep: dict[Name, Name] = Field(default_factory=dict)


class GroupPart(Part):
    name: Name
    categories: Categories
    capacity: Annotated[int, Field(ge=3, le=65536)]
    reserved: Count


class BehavioursPart(Part):
    # Never for ever: what people did is deleted some day.
    retention_hours: Annotated[int, Field(ge=1, le=1_000_000)] = 2160
    users: bool = False
    erased_within_hours: Annotated[int, Field(ge=1, le=8760)] = 24


class StoresPart(Part):
    path: Name
    write_buffer_bytes: Annotated[int, Field(ge=1 << 16, le=1 << 34)]
    sync_writes: bool


class SnapshotsPart(Part):
    url: Annotated[Name, AfterValidator(_archive_url)] | None
    every_seconds: Seconds
    # The log is trimmed below the second newest.
    keep: Annotated[int, Field(ge=2, le=10_000)]
    grace_seconds: Annotated[float, Field(ge=0, le=86_400 * 365)]


class WorkerPart(Part):
    listen: Annotated[str | None, AfterValidator(_host_port_if_any)]
    batch_events: Count
    session_timeout_seconds: Seconds
    heartbeat_seconds: Seconds
    stall_seconds: Seconds
    offsets_commit_seconds: Seconds


class SignerPart(Part):
    name: Name
    key: Name
    for_others: bool


class TermsPart(Part):
    default_category: Category
    quarantine_seconds: Annotated[float, Field(ge=0, le=86_400 * 365)]
    items_per_selector: Count
    default_days: Annotated[float, Field(gt=0, le=36_500)] | None
    required: Annotated[tuple[Literal["owner", "reason"], ...], Field(strict=False, max_length=2)]
    approvals: Annotated[int, Field(ge=0, le=1)]
    plan_tolerance_percent: Annotated[float, Field(ge=0, le=1000)]
    attach_seconds: Seconds
    signers: Annotated[tuple[SignerPart, ...], Field(strict=False, max_length=1000)]

    @property
    def quarantine_ms(self) -> int:
        return int(self.quarantine_seconds * 1000)


class ReplicaPart(Part):
    listen: Annotated[str, AfterValidator(_host_port)]
    lease_seconds: Seconds
    fresh_within_seconds: Seconds
    beam: Count
    unknown_requests: Annotated[int, Field(ge=0, le=1_000_000)]


class ConsolePart(Part):
    listen: Annotated[str, AfterValidator(_host_port)]
    users: Name | None
    https: bool
    session_hours: Annotated[float, Field(gt=0, le=720)]


class LimitsPart(Part):
    lag_seconds: Seconds
    event_bytes: Annotated[int, Field(ge=1024, le=1_000_000)]
    # Kafka's own default for the largest batch is 1,048,588 bytes, headers included.
    delta_bytes: Annotated[int, Field(ge=4096, le=1_000_000)]
    replays: Annotated[int, Field(ge=0, le=1_000_000)]
    mapped_percent: Annotated[float, Field(ge=0, le=100)]


class TopologyParts(Part):
    """The keys of topology.yaml; Topology adds what follows from them."""

    generation: Count
    shards: Annotated[int, Field(ge=1, le=4096)]
    kafka: KafkaPart
    topics: TopicsPart
    codebook: CodebookPart
    catalog: CatalogPart
    folding: FoldingPart = FoldingPart()
    behaviours: BehavioursPart | None = None
    groups: Annotated[
        tuple[GroupPart, ...],
        Field(strict=False, json_schema_extra={"minItems": POSITIONS, "maxItems": POSITIONS}),
    ]
    stores: StoresPart
    snapshots: SnapshotsPart
    worker: WorkerPart
    terms: TermsPart
    replica: ReplicaPart
    console: ConsolePart
    limits: LimitsPart
    retriever: RetrieverPart | None = None
