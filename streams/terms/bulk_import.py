"""The import of a table of terms: a preview of each row, and the events of all rows or none."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kae.streams.clock import now_ms
from kae.streams.events.term_data import BindData, PlanData
from kae.streams.events.terms import encode_term
from kae.streams.replica_api.client import ReplicaClient
from kae.streams.replica_api.terms import Collision, Previewed
from kae.streams.terms.category import CategoryChoice
from kae.streams.terms.table import RowProblem, TermRow, read_table
from kae.streams.topology.types import Topology


class RowReport(msgspec.Struct, frozen=True):
    """The preview of a row; `preview` is None if `problems` prevent it."""

    line: int
    word: str
    chosen: CategoryChoice | None
    preview: Previewed | None
    problems: list[RowProblem]

    @property
    def collisions(self) -> list[Collision]:
        return self.preview.collisions if self.preview else []


class ImportReport(msgspec.Struct, frozen=True):
    """What `kae term import --json` prints; `sent` has the words whose events are stored."""

    file: str
    rows: list[RowReport]
    wrong: int
    sent: list[str]


class TermImport:
    """A table of terms with a preview of each row."""

    def __init__(
        self,
        file: Path,
        topology: Topology,
        client: ReplicaClient,
        by: str,
        *,
        replace: bool = False,
    ) -> None:
        """Read the table, and have a replica preview every valid row.

        Raises: TermRefused; ReplicaUnreachable, ReplicaRefused.
        """
        self.revision = now_ms()
        self._file = file
        self._read = read_table(file, topology, by, self.revision, replace=replace)
        taken: Counter[int] = Counter()
        self.rows = [_report(row, client, taken) for row in self._read]

    @property
    def wrong(self) -> int:
        """How many rows have problems."""
        return sum(bool(row.problems) for row in self.rows)

    def events(self) -> list[tuple[str, BindData]]:
        """The event of every row, with the plan of its preview."""
        return [
            (row.word, msgspec.structs.replace(row.data, plan=_plan(report.preview)))
            for row, report in zip(self._read, self.rows, strict=True)
            if row.data is not None and report.preview is not None
        ]

    def report(self, sent: Sequence[str] = ()) -> ImportReport:
        return ImportReport(str(self._file), self.rows, self.wrong, list(sent))


def _plan(preview: Previewed) -> PlanData:
    return PlanData(preview.plan.hash, preview.plan.items)


def _report(row: TermRow, client: ReplicaClient, taken: Counter[int]) -> RowReport:
    """`taken` counts the slots of each position that the rows before this one take."""
    if row.data is None:
        return RowReport(row.line, row.word, row.chosen, None, list(row.problems))
    preview = client.preview(encode_term(row.word, row.data, "/kae/import"))
    problems, room = list(row.problems), preview.room
    taken[room.position] += room.needed
    if preview.refused is not None:
        problems.append(RowProblem("", row.word, preview.refused))
    elif taken[room.position] > room.free:
        problems.append(
            RowProblem(
                "category",
                preview.category,
                f"{room.group} has {room.free} of {room.reserved} slots free, and the rows before "
                "this one take them; release terms, or give fewer rows of its categories",
            )
        )
    return RowReport(row.line, row.word, row.chosen, preview, problems)
