"""Run the demo in a temporary folder, and leave nothing behind."""

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
from kae.deploy.demo import CATALOG, name_next_commands, run_chapters, start
from kae.deploy.demo_context import DemoFacts, DemoFailed, DemoSettings
from kae.deploy.demo_output import DemoOutput
from kae.encoders.selector import Selector, compile_selector
from kae.encoders.text.normal_form import normalise
from kae.streams.catalog.rows import open_catalog
from kae.streams.local_run import LocalRun, remove_local_run, write_local_run
from kae.streams.topology.types import PACKAGE, Topology

WORKERS = 2
CodebookKind = Literal["light", "full"]
# The tagger reads some 60 titles a second on a core, and three titles in ten need it.
FULL_ITEMS = 5_000


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The options of a demo."""

    settings: DemoSettings
    broker: BrokerKind
    codebook: CodebookKind
    keep: bool

    @property
    def changes(self) -> dict[str, object]:
        """What differs from the reference topology, which names the light codebook."""
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
    """Check the options before anything is started.

    Raises: SelectorInvalid if `where` does not parse; DemoFailed.
    """
    compile_selector(Selector(where=where))
    if not normalise(term):
        raise DemoFailed(f"--term {term!r} has no letter or digit; give a word")
    feeds = open_catalog(CATALOG, Topology.load().catalog)
    items = sum(feed.rows for feed in feeds)
    most = limit or (FULL_ITEMS if codebook == "full" else items)
    return DemoPlan(DemoSettings(CATALOG, min(items, most), term, where), broker, codebook, keep)


def run_demo(plan: DemoPlan, output: DemoOutput, on_facts: Callable[[DemoFacts], None]) -> None:
    """Run the demo; `on_facts` is called with the result before `--keep` starts to wait.

    Raises: DemoFailed if a claim does not hold; BrokerUnavailable; ProcessFailed.
    """
    with _working_folder(output) as folder:
        cluster = Cluster(folder, plan.broker, workers=WORKERS, changes=plan.changes)
        if plan.is_full:
            output.say(
                "codebook full: the tagger reads the titles that fields and dictionary leave open, "
                f"some 60 a second on a core, so {plan.settings.items:,} products are streamed"
            )
        try:
            start(cluster, output)
            facts = run_chapters(cluster, plan.settings, output)
            on_facts(facts)
            if broken := facts.broken_claims():
                raise DemoFailed(f"these claims do not hold: {'; '.join(broken)}")
            if plan.keep:
                _keep(cluster, output)
            else:
                name_next_commands(output)
        finally:
            cluster.stop()


def _keep(cluster: Cluster, output: DemoOutput) -> None:
    """Keep running until Ctrl-C or SIGTERM, and write down the addresses for other commands."""
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
        name_next_commands(output, url, console)
        output.say("Ctrl-C stops it")
        _wait_for_signal(cluster)
    finally:
        remove_local_run()


def _wait_for_signal(cluster: Cluster) -> None:
    signalled = threading.Event()
    former = {
        number: signal.signal(number, lambda *_: signalled.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        while not signalled.wait(timeout=1.0):
            cluster.check()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _working_folder(output: DemoOutput) -> Iterator[Path]:
    """A new folder, kept after a failure because of its logs."""
    folder = Path(tempfile.mkdtemp(prefix="kae-demo-"))
    try:
        yield folder
    except Exception:
        output.say(f"the logs of the failed run: {folder}/*.log")
        raise
    except BaseException:  # Ctrl-C
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
