"""The pages of the reference, by the names of their files."""

from collections.abc import Callable

from kae.streams.reference.commands import commands_page
from kae.streams.reference.events import events_page
from kae.streams.reference.faces import faces_page
from kae.streams.reference.keys import keys_page
from kae.streams.reference.programs import programs_page

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": commands_page,
    "topology.md": keys_page,
    "events.md": events_page,
    "http.md": faces_page,
    "python.md": programs_page,
}
