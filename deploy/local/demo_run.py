"""Around the story of `kae demo run`: a folder, a cluster, an end that leaves nothing behind."""

import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kae.deploy.brokers import BrokerKind
from kae.deploy.cluster import Cluster
from kae.deploy.demo import CATALOG, name_next_commands, start, tell
from kae.deploy.demo_facts import DemoFacts
from kae.deploy.demo_scene import DemoFailed, Script
from kae.deploy.narrator import Narrator
from kae.encoders.selector import Selector, compile_selector
from kae.encoders.text.normal_form import normalise
from kae.streams.catalog.rows import open_catalog
from kae.streams.local_run import LocalRun, remove_local_run, write_local_run
from kae.streams.topology.types import PACKAGE, Topology

WORKERS = 2
CodebookKind = Literal["light", "full"]
# A tagger reads some 60 titles a second on a core, and of three of these in ten.
FULL_ITEMS = 5_000


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What is asked of a demo."""

    script: Script
    broker: BrokerKind
    codebook: CodebookKind
    keep: bool

    @property
    def changes(self) -> dict[str, object]:
        """Of the reference topology, which has the light codebook."""
        return {"codebook.path": f"{PACKAGE}kae.deploy/codebook-full"} if self.is_full else {}

    @property
    def is_full(self) -> bool:
        return self.codebook == "full"


def plan_demo(
    *,
    term: str,
    where: str,
    broker: BrokerKind,
    codebook: CodebookKind,
    limit: int | None,
    keep: bool,
) -> DemoPlan:
    """Refuse what cannot work before anything is started.

    Raises: SelectorInvalid if `where` does not parse; DemoFailed.
    """
    compile_selector(Selector(where=where))
    if not normalise(term):
        raise DemoFailed(f"--term {term!r} has no letter or digit; give a word")
    feeds = open_catalog(CATALOG, Topology.load().catalog)
    items = sum(feed.rows for feed in feeds)
    most = limit or (FULL_ITEMS if codebook == "full" else items)
    return DemoPlan(Script(CATALOG, min(items, most), term, where), broker, codebook, keep)


def run_demo(plan: DemoPlan, narrator: Narrator, told: Callable[[DemoFacts], None]) -> None:
    """Tell the story; `told` gets the facts as soon as they are known, before a kept run is kept.

    Raises: DemoFailed if a claim does not hold; BrokerUnavailable; ProcessFailed.
    """
    with _working_folder(narrator) as folder:
        cluster = Cluster(folder, plan.broker, workers=WORKERS, changes=plan.changes)
        if plan.is_full:
            narrator.say(
                "codebook full: a tagger reads the titles that fields and dictionary leave open, "
                f"some 60 a second on a core, so {plan.script.items:,} products are streamed"
            )
        try:
            start(cluster, narrator)
            facts = tell(cluster, plan.script, narrator)
            told(facts)
            if broken := facts.broken_claims():
                raise DemoFailed(f"this did not hold: {'; '.join(broken)}")
            if plan.keep:
                _keep(cluster, narrator)
            else:
                name_next_commands(narrator)
        finally:
            cluster.stop()


def _keep(cluster: Cluster, narrator: Narrator) -> None:
    """Leave it running, with its addresses written down, until Ctrl-C or SIGTERM."""
    for name, worker in list(cluster.workers.items()):
        if not worker.running:
            cluster.start_worker(name)
    url, console = cluster.replica.url, cluster.start_console()
    write_local_run(
        LocalRun(
            topology=str(cluster.topology.path), bootstrap=cluster.broker.bootstrap, replica=url
        )
    )
    try:
        name_next_commands(narrator, url, console)
        narrator.say("Ctrl-C ends it")
        _until_told_to_end(cluster)
    finally:
        remove_local_run()


def _until_told_to_end(cluster: Cluster) -> None:
    told = threading.Event()
    former = {
        number: signal.signal(number, lambda *_: told.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        while not told.wait(timeout=1.0):
            cluster.check()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _working_folder(narrator: Narrator) -> Iterator[Path]:
    """A new folder; it stays when something went wrong, for its logs."""
    folder = Path(tempfile.mkdtemp(prefix="kae-demo-"))
    try:
        yield folder
    except Exception:
        narrator.say(f"what went wrong is in the logs: {folder}/*.log")
        raise
    except BaseException:  # Ctrl-C
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
