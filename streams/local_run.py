"""The topology that a command uses, and the addresses of a demo that runs on this machine.

`kae demo run --keep` writes .kae/local.json, so commands in the same folder need no options.
"""

import os
from pathlib import Path

import msgspec

from kae.encoders.text.decimal_mark import set_decimal_mark
from kae.streams.errors import InvalidInput
from kae.streams.topology.types import REFERENCE, Topology

LOCAL_RUN = Path(".kae/local.json")
VARIABLE = "KAE_TOPOLOGY"


class LocalRunInvalid(InvalidInput):
    """.kae/local.json is not what `kae demo run --keep` writes."""


class LocalRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The addresses of a demo that keeps running; the content of .kae/local.json."""

    topology: str  # path of its topology.yaml, absolute
    bootstrap: str  # host:port of its broker
    replica: str  # address of its replica: http://host:port


def read_local_run() -> LocalRun | None:
    """The run of this folder, if there is one.

    Raises: LocalRunInvalid.
    """
    try:
        return msgspec.json.decode(LOCAL_RUN.read_bytes(), type=LocalRun)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise LocalRunInvalid(
            f"{LOCAL_RUN}: {error}; `kae demo run --keep` writes it: start it again or remove it"
        ) from error


def write_local_run(run: LocalRun) -> None:
    """Write the addresses of a run for the commands in this folder."""
    LOCAL_RUN.parent.mkdir(exist_ok=True)
    LOCAL_RUN.write_bytes(msgspec.json.format(msgspec.json.encode(run)) + b"\n")


def remove_local_run() -> None:
    """Remove the addresses when the run has ended."""
    LOCAL_RUN.unlink(missing_ok=True)


def find_topology(given: Path | None = None) -> Path:
    """The first of: the given path, $KAE_TOPOLOGY, the run of this folder, ./topology.yaml, the
    packaged reference."""
    if given is not None:
        return given
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if run := read_local_run():
        return Path(run.topology)
    here = Path("topology.yaml")
    return here if here.exists() else REFERENCE


def open_topology(given: Path | None = None, bootstrap: str | None = None) -> Topology:
    """Load the topology that a command uses; `bootstrap` replaces its brokers.

    The process then reads numbers as the topology's catalog writes them.
    Raises: TopologyInvalid, LocalRunInvalid.
    """
    topology = Topology.load(find_topology(given))
    set_decimal_mark(topology.catalog.decimal_mark)
    return topology.edited({"kafka.bootstrap": bootstrap}) if bootstrap else topology


def replica_address(topology: Topology, given: str | None = None) -> str:
    """The URL of the replica: the given one, that of this folder's run, or `replica.listen`."""
    if given:
        return given.rstrip("/")
    run = read_local_run()
    if run and topology.path == Path(run.topology):
        return run.replica
    return f"http://{topology.replica.listen}"
