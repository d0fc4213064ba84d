"""`kae topology check|show|acls|helm`: the problems of topology.yaml, and what follows from it."""

import sys
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import JsonOption, TopologyOption
from kae.streams.kafka.acls import KafkaRole, plan_acls
from kae.streams.kafka.topic_plan import TopicPlan, plan_topics
from kae.streams.local_run import find_topology, open_topology
from kae.streams.topology.problems import TopologyInvalid
from kae.streams.topology.types import Topology


def mermaid(topology: Topology) -> str:
    """A Mermaid flowchart of the topics, and who writes and reads them."""
    return "\n".join(("flowchart LR", *(f"  {line}" for line in _lines(topology)))) + "\n"


def _lines(topology: Topology) -> Iterator[str]:
    plans = {plan.name: plan for plan in plan_topics(topology)}

    def topic(node: str, name: str) -> str:
        return _topic(node, plans[name])

    yield 'producers["producers, kae catalog ingest"]'
    yield 'operations["kae term"]'
    yield 'operators["kae shard"]'
    yield topic("items", topology.items_topic)
    yield topic("terms", topology.terms_topic)
    yield from _behaviours(topology, plans)
    yield f'subgraph generation["generation {topology.generation}"]'
    yield f'  worker["workers, 1 to {topology.shards}, each the owner of some shards"]'
    yield '  registrar["registrar, in the worker that holds the terms"]'
    yield "  " + topic("deltas", topology.deltas_topic)
    yield "  " + topic("bindings", topology.bindings_topic)
    yield f'  stores[("{_shards(topology)}: RocksDB<br/>{topology.stores_folder}")]'
    yield "end"
    yield topic("control", topology.control_topic)
    yield topic("deadLetters", topology.dead_letters_topic)
    yield f'replica["replicas<br/>{topology.replica.listen}"]'
    yield topic("replicas", topology.replicas_topic)
    yield "producers --> items -->|item events| worker"
    yield "operations --> terms -->|term events| registrar"
    yield "worker -->|append| deltas -->|fold| stores"
    yield "registrar -->|append| bindings -->|attach| worker"
    yield "worker -->|bindings reached, answers| control --> registrar"
    yield "operators -->|pause, reset, refold| control -->|requests| worker"
    yield "worker & registrar -->|refused, with the cause| deadLetters"
    yield "deltas & bindings -->|follow| replica"
    yield "replica -->|lease, versions| replicas"


def _behaviours(topology: Topology, plans: Mapping[str, TopicPlan]) -> Iterator[str]:
    if topology.behaviours is not None:
        yield 'recorders["shops, kae behaviour ingest"]'
        yield _topic("behaviours", plans[topology.behaviours_topic])
        yield 'samples["kae samples build"]'
        yield "recorders --> behaviours -->|behaviour events| samples"


def _topic(node: str, plan: TopicPlan) -> str:
    unit = "partition" if plan.partitions == 1 else "partitions"
    return f'{node}[/"{plan.name}<br/>{plan.partitions} {unit}"/]'


def _shards(topology: Topology) -> str:
    return "1 shard" if topology.shards == 1 else f"{topology.shards} shards"


app = typer.Typer(no_args_is_help=True)


class GroupShown(msgspec.Struct, frozen=True):
    """A group, its position and its slots."""

    position: int
    name: str
    categories: tuple[str, ...]
    capacity: int
    reserved: int


class TopologyShown(msgspec.Struct, frozen=True):
    """What `kae topology show --json` prints."""

    file: str
    generation: int
    shards: int
    bootstrap: str
    codebook: str
    stores: str
    topics: tuple[TopicPlan, ...]
    groups: tuple[GroupShown, ...]
    fields: dict[str, str]
    mermaid: str  # the flowchart of --mermaid


class TopologyChecked(msgspec.Struct, frozen=True):
    """What `kae topology check --json` prints."""

    file: str
    problems: list[str]


@app.command()
def check(topology: TopologyOption = None, as_json: JsonOption = False) -> None:
    """Check topology.yaml and name every problem by line; exit with 0 if there is none."""
    path = find_topology(topology)
    problems: list[str] = []
    try:
        Topology.load(path)
    except TopologyInvalid as error:
        if not as_json:
            raise
        problems = [str(problem) for problem in error.problems]
    if as_json:
        terminal.print_json(TopologyChecked(str(path), problems))
    else:
        terminal.out.print(
            f"{path} is valid; `kae topics check` compares the topics with it",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    raise typer.Exit(1 if problems else 0)


@app.command()
def show(
    topology: TopologyOption = None,
    as_json: JsonOption = False,
    fields: Annotated[bool, typer.Option("--fields", help="Show the whole field mapping.")] = False,
    as_mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print only a Mermaid flowchart.")
    ] = False,
) -> None:
    """Show what follows from topology.yaml: topics, groups, field mapping."""
    loaded = open_topology(topology)
    if as_json:
        terminal.print_json(_shown(loaded))
        return
    if as_mermaid:
        sys.stdout.write(mermaid(loaded))
        return
    _print_layout(loaded)
    if fields:
        terminal.print_table("Fields", ("feed field", "category"), loaded.catalog.fields.items())


@app.command()
def acls(
    topology: TopologyOption = None,
    role: Annotated[
        KafkaRole | None, typer.Option(help="Only this role.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the rights that each role needs on brokers that deny by default."""
    planned = [acl for acl in plan_acls(open_topology(topology)) if role in (None, acl.role)]
    if as_json:
        terminal.print_json(planned)
        return
    terminal.print_table(
        "What each role may do",
        ("role", "resource", "name", "operations"),
        ((acl.role, acl.resource, acl.name, ", ".join(acl.operations)) for acl in planned),
    )


@app.command()
def helm(
    topology: TopologyOption = None,
    cluster: Annotated[
        str, typer.Option(metavar="NAME", help="Strimzi cluster of the pods.")
    ] = "kae",
) -> None:
    """Print the values that the Helm chart takes from topology.yaml."""
    import yaml

    from kae.streams.cli.helm_values import helm_values

    values = helm_values(open_topology(topology), cluster)
    sys.stdout.write(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _shown(topology: Topology) -> TopologyShown:
    return TopologyShown(
        file=str(topology.path),
        generation=topology.generation,
        shards=topology.shards,
        bootstrap=topology.kafka.bootstrap,
        codebook=str(topology.codebook_folder),
        stores=str(topology.stores_folder),
        topics=plan_topics(topology),
        groups=tuple(
            GroupShown(position, group.name, group.categories, group.capacity, group.reserved)
            for position, group in enumerate(topology.groups)
        ),
        fields=topology.catalog.fields,
        mermaid=mermaid(topology),
    )


def _print_layout(topology: Topology) -> None:
    shown = _shown(topology)
    terminal.print_table(
        f"Generation {shown.generation}",
        ("what", "where"),
        (
            ("topology", shown.file),
            ("brokers", shown.bootstrap),
            ("codebook", shown.codebook),
            ("stores", shown.stores),
            ("worker", topology.worker.listen or "answers nowhere"),
            ("replica", topology.replica.listen),
        ),
    )
    terminal.print_table(
        "Topics",
        ("topic", "partitions", "copies", "kept"),
        ((topic.name, topic.partitions, topic.replication, _kept(topic)) for topic in shown.topics),
    )
    terminal.print_table(
        "Groups",
        ("position", "group", "categories", "capacity", "reserved", "mapped fields"),
        (
            (
                group.position,
                group.name,
                ", ".join(group.categories),
                group.capacity,
                group.reserved,
                sum(category in group.categories for category in shown.fields.values()),
            )
            for group in shown.groups
        ),
    )


def _kept(topic: TopicPlan) -> str:
    if topic.settings["cleanup.policy"] == "compact":
        return "newest of each key"
    retention = int(topic.settings["retention.ms"])
    return "for ever" if retention < 0 else f"{retention // 3_600_000} hours"
