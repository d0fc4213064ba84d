"""topology.yaml as types: read once, checked as a whole, asked by everything that runs."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import PydanticCustomError

from kae.encoders.categories import CATEGORIES, POSITIONS, Group
from kae.streams.topology.problems import (
    TopologyInvalid,
    TopologyProblem,
    cross_check,
    from_pydantic,
)
from kae.streams.topology.yaml_lines import KeyPath, Yaml, YamlInvalid, parse

# In a clone the root, in an installed package kae/: the reference lies beside the rooms.
REFERENCE = Path(__file__).resolve().parents[2] / "topology.yaml"
PACKAGE = "package:"
# Beyond these, a number that a client or a clock is given no longer fits it.
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
RetentionHours = Annotated[int, Field(ge=-1, le=1_000_000)]
Name = Annotated[str, Field(min_length=1)]
# In the schema that editors read; a wrong one is told by topology_problems.py, with its remedy.
Category = Annotated[str, Field(min_length=1, json_schema_extra={"enum": [*CATEGORIES]})]
TopicPart = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$")]
# Where a user name or a password is found. The pattern keeps them themselves out of the file.
SecretSource = Annotated[str, Field(pattern=r"^(env|file):.")]
# YAML knows lists only; the models are frozen.
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
        # Errors and logs name the place.
        raise PydanticCustomError("archive_url", "no name or password stands in the address")
    return value


class Part(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


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


class GroupPart(Part):
    name: Name
    categories: Categories
    capacity: Annotated[int, Field(ge=3, le=65536)]
    reserved: Count


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


class Topology(Part):
    """How an index is laid out and paced."""

    generation: Count
    shards: Annotated[int, Field(ge=1, le=4096)]
    kafka: KafkaPart
    topics: TopicsPart
    codebook: CodebookPart
    catalog: CatalogPart
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

    _path: Path = PrivateAttr(default=REFERENCE)
    _lines: dict[KeyPath, int] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, path: Path = REFERENCE) -> "Topology":
        """Read and check a file; without a path, the reference.

        Raises: TopologyInvalid, which names every problem by file and line.
        """
        try:
            document = parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TopologyInvalid(
                (
                    TopologyProblem(
                        str(path), 0, (), f"cannot be read: {reason}", "give --topology FILE"
                    ),
                )
            ) from error
        except YamlInvalid as error:
            problem = TopologyProblem(
                str(path), error.line, (), error.reason, "correct the YAML there"
            )
            raise TopologyInvalid((problem,)) from error
        return cls._checked(document, path)

    @classmethod
    def _checked(cls, document: Yaml, path: Path) -> "Topology":
        try:
            topology = cls.model_validate(document.data)
        except ValidationError as error:
            raise TopologyInvalid(from_pydantic(error, document, path, _reference)) from error
        problems = tuple(cross_check(topology, document, path))
        if problems:
            raise TopologyInvalid(problems)
        topology._path = path
        topology._lines = document.lines
        return topology

    def edited(self, changes: Mapping[str, object]) -> "Topology":
        """Return a checked copy with some values changed: {"kafka.bootstrap": "127.0.0.1:1"}.

        Raises: TopologyInvalid; KeyError for a key path that leads nowhere.
        """
        data = self.model_dump(mode="json")
        for dotted_path, value in changes.items():
            *parents, key = dotted_path.split(".")
            part: Any = data
            for parent in parents:
                part = part[parent]
            part[key] = value
        return self._checked(Yaml(data, self._lines), self._path)

    def write(self, path: Path) -> "Topology":
        """Write this topology to a file, its codebook as an absolute folder, and load that."""
        complete = self
        if not self.codebook.path.startswith(PACKAGE):
            complete = self.edited({"codebook.path": str(self.codebook_folder.resolve())})
        text = yaml.safe_dump(complete.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return Topology.load(path)

    @property
    def path(self) -> Path:
        """The file that this topology was read from."""
        return self._path

    @property
    def codebook_groups(self) -> tuple[Group, ...]:
        """The groups as the encoders know them."""
        return tuple(
            Group(group.name, group.categories, group.capacity, group.reserved)
            for group in self.groups
        )

    @property
    def codebook_folder(self) -> Path:
        """The folder of the codebook.

        Raises: TopologyInvalid if it lies in a package that is not installed.
        """
        path = self.codebook.path
        if not path.startswith(PACKAGE):
            return self._path.parent / path
        module, _, folder = path.removeprefix(PACKAGE).partition("/")
        try:
            spec = find_spec(module)
        except (ModuleNotFoundError, ValueError):
            spec = None
        if spec is None or not spec.submodule_search_locations:
            key: KeyPath = ("codebook", "path")
            reason = f"{path!r} names the package {module!r}, which is not installed"
            line = Yaml(None, self._lines).line_of(key)
            problem = TopologyProblem(
                str(self._path), line, key, reason, "install it or give a folder"
            )
            raise TopologyInvalid((problem,))
        return Path(next(iter(spec.submodule_search_locations))).resolve() / folder

    @property
    def stores_folder(self) -> Path:
        """The folder of the shards' stores."""
        return Path(self.stores.path)

    @property
    def items_topic(self) -> str:
        return f"{self.topics.prefix}.items"

    @property
    def terms_topic(self) -> str:
        return f"{self.topics.prefix}.terms"

    @property
    def bindings_topic(self) -> str:
        return f"{self.topics.prefix}.g{self.generation}.bindings"

    @property
    def deltas_topic(self) -> str:
        return f"{self.topics.prefix}.g{self.generation}.deltas"

    @property
    def worker_group(self) -> str:
        """The consumer group of the generation's workers."""
        return f"{self.topics.prefix}-g{self.generation}"

    @property
    def control_topic(self) -> str:
        return f"{self.topics.prefix}.control"

    @property
    def replicas_topic(self) -> str:
        return f"{self.topics.prefix}.replicas"

    @property
    def dead_letters_topic(self) -> str:
        return f"{self.topics.prefix}.dead-letters"


def _reference() -> Mapping[str, Any]:
    data: dict[str, Any] = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))
    return data
