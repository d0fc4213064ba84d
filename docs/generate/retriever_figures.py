"""The figures of docs/retriever.md: python -m docs.generate.retriever_figures

They are what `kae bench retriever --json` printed, kept beside the page.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from docs.generate.markdown import table

from kae.bench.retriever.ceiling import CeilingReport
from kae.bench.retriever.report import RetrieverReport
from kae.bench.retriever.tables import Table, ceiling_tables, judged_tables

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "retriever.md"
CEILING, JUDGED = DOCS / "retriever-ceiling.json", DOCS / "retriever-judged.json"
BEGIN = "<!-- made by docs.generate.retriever_figures of the reports beside this page -->\n"
END = "<!-- end of what is made -->\n"


def with_figures(page: str) -> str:
    """The page with the figures of the reports that there are."""
    before, _, rest = page.partition(BEGIN)
    return (
        before
        + BEGIN
        + "\n"
        + "\n".join(map(_section, _tables()))
        + "\n"
        + END
        + rest.partition(END)[2]
    )


def _tables() -> Iterable[Table]:
    if CEILING.exists():
        yield from ceiling_tables(msgspec.json.decode(CEILING.read_bytes(), type=CeilingReport))
    if JUDGED.exists():
        yield from judged_tables(msgspec.json.decode(JUDGED.read_bytes(), type=RetrieverReport))


def _section(one: Table) -> str:
    title, columns, rows = one
    return f"{title}:\n\n" + table(columns, [[*map(_shown, row)] for row in rows])


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
