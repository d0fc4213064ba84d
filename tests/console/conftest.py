"""A whole index with a console on this machine: embedded broker, worker, replica, real products."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.icecat import CATALOG

from kae.deploy.cluster import Cluster

ITEMS = 600
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


# Not for longer than a module: beside other tests it would take processor time for nothing.
@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("console")
    changes = {"terms.quarantine_seconds": 0.5, "terms.approvals": 0}
    with Cluster(folder, shards=2, workers=1, changes=changes) as cluster:
        feed = map(str, CATALOG[:1])
        cluster.command("feed", "catalog", "ingest", *feed, "--limit", str(ITEMS)).wait(60)
        yield cluster


@pytest.fixture(scope="module")
def console(indexed: Cluster) -> str:
    """Its address."""
    return indexed.start_console()


# Not for longer: playwright leaves an event loop running in the tests' thread.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        raise LookupError("no Chromium on PATH; install it (Debian: apt-get install chromium)")
    # Chromium has no sandbox for root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    opened = chromium.new_page()
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()
