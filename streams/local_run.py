"""Which topology a command uses, and where the run on this machine answers.

`kae demo run --keep` writes .kae/local.json; commands given in the same folder then need no flags.
"""

import os
from pathlib import Path

import msgspec

from kae.streams.errors import InvalidInput
from kae.streams.topology.types import REFERENCE, Topology

LOCAL_RUN = Path(".kae/local.json")
VARIABLE = "KAE_TOPOLOGY"


class LocalRunInvalid(InvalidInput):
    """.kae/local.json is not what `kae demo run --keep` writes."""


class LocalRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that was left going on this machine; what .kae/local.json holds."""

    topology: str  # path of its topology.yaml, absolute
    bootstrap: str  # host:port of its broker
    replica: str  # address of its replica: http://host:port


def read_local_run() -> LocalRun | None:
    """Return the run that was left going from this folder, if one was.

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
    """Leave a run's addresses for the commands that are given in this folder."""
    LOCAL_RUN.parent.mkdir(exist_ok=True)
    LOCAL_RUN.write_bytes(msgspec.json.format(msgspec.json.encode(run)) + b"\n")


def remove_local_run() -> None:
    """Take the addresses away again: the run is over."""
    LOCAL_RUN.unlink(missing_ok=True)


def find_topology(given: Path | None = None) -> Path:
    """Return the first of: the path given, $KAE_TOPOLOGY, the run left going, ./topology.yaml,
    the packaged reference."""
    if given is not None:
        return given
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if run := read_local_run():
        return Path(run.topology)
    here = Path("topology.yaml")
    return here if here.exists() else REFERENCE


def open_topology(given: Path | None = None, bootstrap: str | None = None) -> Topology:
    """Load the topology that a command uses; `bootstrap` replaces the brokers that it names.

    Raises: TopologyInvalid, LocalRunInvalid.
    """
    topology = Topology.load(find_topology(given))
    return topology.edited({"kafka.bootstrap": bootstrap}) if bootstrap else topology


def replica_address(topology: Topology, given: str | None = None) -> str:
    """Return where the replica answers: the address given, the run left going, or its `listen`."""
    if given:
        return given.rstrip("/")
    run = read_local_run()
    if run and topology.path == Path(run.topology):
        return run.replica
    return f"http://{topology.replica.listen}"
