"""The pages of the reference, by file name."""

from collections.abc import Callable

from docs.generate.commands import commands_page
from docs.generate.events import events_page
from docs.generate.http import http_page
from docs.generate.programs import programs_page
from docs.generate.topology_keys import keys_page

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": commands_page,
    "topology.md": keys_page,
    "events.md": events_page,
    "http.md": http_page,
    "python.md": programs_page,
}
