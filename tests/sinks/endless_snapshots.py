"""A process that takes snapshots, or fetches the newest, until it is killed.

python -m tests.sinks.endless_snapshots take|fetch FOLDER
"""

import sys
from itertools import count
from pathlib import Path

from tests.sinks.test_snapshots import Growing, anything, clean

from kae.sinks.snapshots.archive import Archive
from kae.sinks.snapshots.fetch import fetch_newest_first


def take(root: Path, archive: Archive) -> None:
    source = Growing(root)
    while True:
        source.grow()
        version = source.store.state.version
        (root / f"{version}.rows").write_text(repr(source.store.dump()))
        source.put(archive, source.checkpoint())
        clean(archive)
        print(version, flush=True)


def fetch(root: Path, archive: Archive) -> None:
    for number in count():
        next(
            fetch_newest_first(archive, root / "fetched" / "store", anything, lambda _reason: None)
        )
        print(number, flush=True)


if __name__ == "__main__":
    what, folder = {"take": take, "fetch": fetch}[sys.argv[1]], Path(sys.argv[2])
    what(folder, Archive.open(str(folder / "archive"), "log/0"))
