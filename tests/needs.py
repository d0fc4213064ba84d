"""What a test needs is found from its fixtures; it decides with whom a test runs, and when.

A test that starts Apache Kafka or a browser in another way says so by a marker of its own.
"""

from typing import Any

import pytest

NEEDS = {"kafka": {"kafka", "secured"}, "browser": {"chromium"}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        for need, fixtures in NEEDS.items():
            if used & fixtures:
                item.add_marker(need)
        if item.get_closest_marker("kafka") or item.get_closest_marker("browser"):
            # Processes, brokers and the clock of a busy machine: what fails once is run once more,
            # and named with an R. What is broken fails twice.
            item.add_marker(pytest.mark.flaky(reruns=1))
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    # The longest first, so that no process waits for another's last test.
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next(
        (rank for rank, name in enumerate(("long", "kafka")) if item.get_closest_marker(name)), 2
    )


def _group(item: pytest.Item) -> str:
    """Tests of one group run in one process: those of a file, that its fixtures are made once.

    Whole lines share none of them; each goes to the process that is free.
    """
    alone = item.get_closest_marker("kafka") and not any(
        definitions[-1].scope in ("class", "module", "package")
        for definitions in _fixtures(item).values()
    )
    return item.nodeid if alone else item.nodeid.partition("::")[0]


def _fixtures(item: pytest.Item) -> dict[str, Any]:
    info = getattr(item, "_fixtureinfo", None)
    return dict(info.name2fixturedefs) if info else {}
