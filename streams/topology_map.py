"""A topology as a Mermaid flowchart: its topics, and who writes and reads them."""

from collections.abc import Iterator

from kae.streams.topic_plan import TopicPlan, plan_topics
from kae.streams.topology import Topology


def mermaid(topology: Topology) -> str:
    """Return the text of the flowchart, ended by a newline."""
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


def _topic(node: str, plan: TopicPlan) -> str:
    unit = "partition" if plan.partitions == 1 else "partitions"
    return f'{node}[/"{plan.name}<br/>{plan.partitions} {unit}"/]'


def _shards(topology: Topology) -> str:
    return "1 shard" if topology.shards == 1 else f"{topology.shards} shards"
