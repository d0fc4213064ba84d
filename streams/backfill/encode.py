"""The first half of the pipeline: a split of the input is encoded as live workers encode it."""

import math
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec

from kae.encoders.extraction.assign import Encoder
from kae.sinks.log.edits import DropItem, encode_edit
from kae.sinks.store.disk import require_space
from kae.sinks.store.plan import Change, EditTooLarge, Upsert, edit_without_ordinal, prepare
from kae.streams.backfill import job as jobs
from kae.streams.backfill.inputs import InputPart, RefusedInput, read_events, read_file
from kae.streams.backfill.job import EventsSplit, Job
from kae.streams.backfill.refusals import Refusals, RefusedRow, refused_row
from kae.streams.backfill.runs import RunEntry, Section, write_run
from kae.streams.backfill.work import SHARE_FOLDERS, WorkFolder, write_atomically
from kae.streams.catalog.rows import FeedRow, RejectedRow
from kae.streams.codebooks.opening import open_codebook_for_indexing
from kae.streams.dead_letters.poison import find_poison
from kae.streams.dead_letters.records import DeadLetter, SourceRecord, publish_dead_letters
from kae.streams.errors import BackfillDiffers
from kae.streams.events import causes
from kae.streams.kafka.log import KafkaClients
from kae.streams.kafka.partitioner import partition_of_key
from kae.streams.runtime.interpreter import set_for_indexing
from kae.streams.topology.types import Topology

BATCH_ITEMS = 1024
# The size of a run, which is held in memory until it is written.
RUN_BYTES = 128 << 20


class FinishedSplit(msgspec.Struct, frozen=True):
    """The sections of a split that is encoded, and how many of its rows were refused."""

    rows: int
    refused: int
    first_refused: str
    sections: list[Section]


class JobContext:
    """What a worker process loads once for a job."""

    def __init__(self, folder: Path, job: str) -> None:
        """Raises: BackfillDiffers when the work folder at this path is not that of the job."""
        self.work = WorkFolder(folder)
        found = jobs.load(self.work)
        if found is None or found.digest != job:
            what = "is not there" if found is None else "is that of another backfill"
            raise BackfillDiffers(
                f"{socket.gethostname()}: {self.work.job} {what}; {SHARE_FOLDERS}"
            )
        self.job: Job = found
        self.topology = Topology.load(self.work.topology)
        set_for_indexing()
        self._encoder: Encoder | None = None
        self._clients: KafkaClients | None = None

    @property
    def encoder(self) -> Encoder:
        """Raises: BackfillDiffers when the codebook is not that of the job."""
        if self._encoder is None:
            codebook = open_codebook_for_indexing(self.topology)
            if codebook.fingerprint != self.job.fingerprint:
                raise BackfillDiffers(
                    f"{self.topology.codebook_folder}: has the fingerprint "
                    f"{codebook.fingerprint}, the backfill was begun with "
                    f"{self.job.fingerprint}; give its codebook back, or --restart"
                )
            self._encoder = Encoder(codebook)
        return self._encoder

    @property
    def clients(self) -> KafkaClients:
        if self._clients is None:
            self._clients = KafkaClients.for_writing(self.topology, "backfill")
        return self._clients


@cache
def job_context(folder: str, job: str) -> JobContext:
    """The context of this process, so that it loads the codebook once."""
    return JobContext(Path(folder), job)


def encode_split(context: JobContext, number: int, until: float = math.inf) -> FinishedSplit:
    """Encode a split and write its runs, unless that is done already.

    A sample stops `until` a time of the monotonic clock.
    Raises: CatalogInvalid, LogTruncated, BackfillDiffers, DiskFull.
    """
    work = context.work
    if work.finished(number).exists():
        return read_finished(work, number)
    require_space(work.folder, RUN_BYTES)
    finished = _SplitEncoder(context, number).encode(until)
    write_atomically(work.finished(number), msgspec.json.encode(finished))
    return finished


def read_finished(work: WorkFolder, split: int) -> FinishedSplit:
    return msgspec.json.decode(work.finished(split).read_bytes(), type=FinishedSplit)


class _SplitEncoder:
    """Encodes one split; its entries wait in memory for the next run."""

    def __init__(self, context: JobContext, number: int) -> None:
        self._context = context
        self._number = number
        self._split = context.job.splits[number]
        self._entries: dict[int, list[RunEntry]] = defaultdict(list)
        self._bytes = 0
        self._sections: list[Section] = []
        self._parts = 0
        context.work.runs.mkdir(parents=True, exist_ok=True)
        self._refusals = Refusals(context.work, number)
        self._refused: list[RefusedInput] = []
        self._refused_count = 0

    def encode(self, until: float) -> FinishedSplit:
        rows = 0
        reading = self._read()
        try:
            while time.monotonic() < until and (batch := list(islice(reading, BATCH_ITEMS))):
                rows += len(batch)
                self._refused += [one for one in batch if not isinstance(one, tuple)]
                self._add([one for one in batch if isinstance(one, tuple)])
                self._store_refused()
                if self._bytes > RUN_BYTES:
                    self._flush()
            self._flush()
        finally:
            self._refusals.close()
        self._refusals.finish()
        return FinishedSplit(rows, self._refused_count, self._refusals.first, self._sections)

    def _read(self) -> Iterator[InputPart | RefusedInput]:
        context = self._context
        if isinstance(self._split, EventsSplit):
            earlier = context.job.earlier_shards
            return read_events(self._split, context.topology, context.clients, earlier)
        return read_file(self._split, context.job, context.topology)

    def _add(self, batch: Sequence[InputPart]) -> None:
        try:
            entries = self._encoded(batch)
        except Exception:  # only the items that make the encoder fail are refused
            poison = dict(
                find_poison(
                    range(len(batch)), lambda places: self._encoded([batch[n] for n in places])
                )
            )
            self._refused += [self._refusal(*batch[n], error) for n, error in poison.items()]
            entries = self._encoded([one for n, one in enumerate(batch) if n not in poison])
        shards = self._context.job.shards
        for entry in entries:
            self._entries[partition_of_key(entry[0], shards)].append(entry)
            self._bytes += len(entry[5])

    def _encoded(self, batch: Sequence[InputPart]) -> list[RunEntry]:
        """Encode with the code of live workers, up to an edit without an ordinal.

        Raises: what the encoder raises for one of the items; EditTooLarge.
        """
        limit = self._context.topology.limits.delta_bytes
        prepared = prepare([change for change, _ in batch], self._context.encoder)
        entries: list[RunEntry] = []
        for change, encoded in prepared:
            edit = edit_without_ordinal(change, encoded)
            raw = encode_edit(edit)
            if len(raw) > limit:
                raise EditTooLarge(f"it has {len(raw)} bytes, limits.delta_bytes allows {limit}")
            is_put = not isinstance(edit, DropItem)
            identifier = edit.identifier if not isinstance(edit, DropItem) else _NO_IDENTIFIER
            entries.append(
                (change.id.encode(), change.revision, int(is_put), change.content, identifier, raw)
            )
        return entries

    def _flush(self) -> None:
        if self._entries:
            path = self._context.work.run(self._number, self._parts)
            self._sections += write_run(path, self._entries)
            self._parts += 1
            self._entries.clear()
            self._bytes = 0

    def _store_refused(self) -> None:
        """Write refused rows to the work folder; publish refused events at once."""
        refused, self._refused = self._refused, []
        self._refused_count += len(refused)
        events = [one for one in refused if isinstance(one, DeadLetter)]
        rows = [one for one in refused if isinstance(one, RefusedRow)]
        if rows:
            self._refusals.write(rows)
        if events:
            topology = self._context.topology
            timeout = topology.kafka.delivery_timeout_seconds
            publish_dead_letters(
                self._context.clients, topology.dead_letters_topic, events, timeout
            )

    def _refusal(
        self, change: Change, source: FeedRow | SourceRecord, error: Exception
    ) -> RefusedInput:
        cause, kind = f"item: {type(error).__name__}: {error}", causes.ITEM_UNPLANNABLE
        if isinstance(source, SourceRecord):
            return DeadLetter(source, cause, kind)
        remedy = "correct the row, or leave it out"
        row = RejectedRow(source.file, source.after, "", None, cause, remedy, source.record)
        item = (change.item, change.revision) if isinstance(change, Upsert) else None
        return refused_row(
            row, self._context.job, self._context.topology.limits.event_bytes, kind, item
        )


_NO_IDENTIFIER = (0, 0, 0, 0, 0, 0)
