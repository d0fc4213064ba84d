"""`kae generation announce|list|verify|promote|rollback|drop`: replace one index by another."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kae.streams.cli import terminal
from kae.streams.cli.options import BootstrapOption, JsonOption, ReplicaOption, TopologyOption
from kae.streams.errors import GenerationRefused, ReplicaUnreachable
from kae.streams.local_run import open_topology, replica_address

if TYPE_CHECKING:
    from kae.streams.generations.answers import CutoverMade, GenerationDropped, GenerationsListed
    from kae.streams.replica_api.client import ReplicaClient
    from kae.streams.replica_api.status import GenerationsShown
    from kae.streams.topology.types import Topology


app = typer.Typer(no_args_is_help=True)
# Not 1, which says that the generation could not be verified.
EXIT_INCOMPLETE = 3
GenerationArgument = Annotated[int, typer.Argument(metavar="N", min=1, help="The generation.")]
CutoverReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, kept with the record.")
]
WithinOption = Annotated[
    float,
    typer.Option("--within", metavar="SECONDS", min=0.1, help="How long to wait for replicas."),
]


@app.command()
def announce(
    topology: TopologyOption = None, bootstrap: BootstrapOption = None, as_json: JsonOption = False
) -> None:
    """Announce the topology's generation, so that replicas follow it beside the others."""
    from kae.streams.generations.client import announce, open_generations_client

    with open_generations_client(open_topology(topology, bootstrap)) as client:
        done = announce(client)
    if as_json:
        terminal.print_json(done)
    else:
        terminal.out.print(
            f"generation {done.generation} is announced, with codebook {done.codebook} in "
            f"{done.path}: every replica has to find it there",
            highlight=False,
        )


@app.command("list")
def list_generations(
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the generations, which one serves, and which replicas answer from which."""
    from kae.streams.generations.client import read_announced
    from kae.streams.generations.cutover import list_generations
    from kae.streams.shards.asking import ask

    opened = open_topology(topology, bootstrap)
    shown = _shown(opened, replica)
    unasked: list[str] = []
    state = ask(unasked, lambda: read_announced(opened))
    listed = list_generations(state, shown, unasked)
    if as_json:
        terminal.print_json(listed)
    else:
        _print_generations(listed)
    if unasked:
        raise typer.Exit(1)


def _print_generations(listed: "GenerationsListed") -> None:
    serving = "Which one serves is not known" if listed.serving is None else ""
    terminal.print_table(
        serving or f"Generation {listed.serving} serves",
        ("generation", "state", "codebook", "announced", "by", "items", "behind", "answering"),
        (
            (
                one.generation, one.state.value, one.codebook[:12], one.announced, one.by,
                one.items, one.behind_events, " ".join(one.answering or ()),
            )
            for one in listed.generations
        ),
    )  # fmt: skip
    for one in listed.generations:
        if one.problem:
            terminal.out.print(f"generation {one.generation}: {one.problem}", markup=False)
    terminal.print_unasked(listed.unasked)


@app.command()
def verify(
    generation: GenerationArgument,
    within: WithinOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a generation is as complete as the one that serves; exits with 3 if it is not."""
    from kae.streams.generations.verify import read_added_ends, verify_generation

    opened = open_topology(topology, bootstrap)
    client = _replica(opened, replica)
    added_ends = read_added_ends(opened, client, generation)
    verified = verify_generation(client, generation, within, added_ends=added_ends)
    if as_json:
        terminal.print_json(verified)
    else:
        terminal.print_table(
            f"Generation {verified.generation} beside {verified.against}: {verified.items:,} "
            f"items, {len(verified.compared)} of {verified.shards} shards compared at the same "
            "offsets",
            ("term", "promoted", "items", "of them with the word", "items before"),
            ((t.term, t.promoted, t.items, t.own_items, t.items_before) for t in verified.terms),
        )
        for problem in verified.problems:
            terminal.out.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        terminal.out.print("complete" if verified.complete else "not complete")
    if not verified.complete:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def promote(
    generation: GenerationArgument,
    reason: CutoverReasonOption = "",
    within: WithinOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a complete generation serve; waits until every live replica answers from it."""
    from kae.streams.generations.client import open_generations_client
    from kae.streams.generations.cutover import promote

    opened = open_topology(topology, bootstrap)
    with open_generations_client(opened) as client:
        done = promote(client, _replica(opened, replica), generation, reason, within)
    _show_cutover(done, as_json)


@app.command()
def rollback(
    reason: CutoverReasonOption = "",
    within: WithinOption = 30.0,
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the generation serve again that the last cut-over replaced."""
    from kae.streams.generations.client import open_generations_client
    from kae.streams.generations.cutover import rollback

    opened = open_topology(topology, bootstrap)
    with open_generations_client(opened) as client:
        done = rollback(client, _replica(opened, replica), reason, within)
    _show_cutover(done, as_json)


@app.command()
def drop(
    generation: GenerationArgument,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="DIR",
            show_default=False,
            help="A worker's folder on this machine, to remove its stores from; else stores.path.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also when `rollback` would promote it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: CutoverReasonOption = "",
    topology: TopologyOption = None,
    bootstrap: BootstrapOption = None,
    replica: ReplicaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the topics, snapshots and stores of a generation that does not serve, for good."""
    import msgspec

    from kae.streams.generations.client import open_generations_client
    from kae.streams.generations.drop import drop_generation, plan_drop

    opened = open_topology(topology, bootstrap)
    folders = data or [opened.stores_folder]
    with open_generations_client(opened) as client:
        plan = plan_drop(client, generation, _shown(opened, replica), folders)
        if not as_json:
            _print_drop(plan)
        if not dry_run:
            _refuse_drop(plan, force)
            _confirm_drop(plan, yes)
            drop_generation(client, plan, reason, folders)
    if as_json:
        terminal.print_json(msgspec.structs.replace(plan, dry_run=dry_run))
    elif dry_run:
        terminal.out.print("dry run: nothing was removed")


def _print_drop(plan: "GenerationDropped") -> None:
    rows: list[tuple[str, str, int | None]]
    rows = [("topic", name, None) for name in plan.topics]
    rows += [("consumer group", plan.consumer_group, None)]
    rows += [("stores", one.folder, one.bytes) for one in plan.folders]
    if plan.snapshots is not None:
        rows += [("snapshots", plan.snapshots.folder, plan.snapshots.bytes)]
    terminal.print_table(
        f"To drop with generation {plan.generation}", ("what", "where", "bytes"), rows
    )
    if plan.refused:
        terminal.out.print(plan.refused, style="red", markup=False, soft_wrap=True)


def _refuse_drop(plan: "GenerationDropped", force: bool) -> None:
    if plan.refused:
        raise GenerationRefused(f"{plan.refused}. Nothing was removed")
    if plan.last_way_back and not force:
        raise GenerationRefused(
            f"generation {plan.generation} is the one that `kae generation rollback` would "
            "promote; nothing was removed. Give --force if it is not needed any more"
        )


def _confirm_drop(plan: "GenerationDropped", yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise GenerationRefused(
            f"would drop generation {plan.generation}; nothing was removed: nobody can be asked "
            "here; give --yes"
        )
    typer.confirm(f"Drop generation {plan.generation} for good?", abort=True, err=True)


def _shown(topology: "Topology", replica: str | None) -> "GenerationsShown | None":
    """What a replica knows; None, and a message on stderr, if none answers."""
    try:
        return _replica(topology, replica).generations()
    except ReplicaUnreachable as error:
        terminal.print_error(error)
        return None


def _replica(topology: "Topology", replica: str | None) -> "ReplicaClient":
    from kae.streams.replica_api.client import ReplicaClient

    return ReplicaClient(replica_address(topology, replica))


def _show_cutover(done: "CutoverMade", as_json: bool) -> None:
    if as_json:
        terminal.print_json(done)
    else:
        terminal.out.print(
            f"generation {done.generation} serves instead of {done.previous}: "
            f"{', '.join(done.replicas)} answered from it after {done.seconds:.2f} s",
            highlight=False,
        )
