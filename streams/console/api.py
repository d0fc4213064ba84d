"""The console's API: every operation with what it asks, answers and needs, as one table.

Routes and the OpenAPI document are both made from it. A GET asks in its query, a POST in JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kae.encoders.text.normal_form import normalise
from kae.streams.console.audit import AuditRow
from kae.streams.console.backend import ConsoleBackend, Overview, Published
from kae.streams.console.guard import AccessRefused
from kae.streams.console.users import ConsoleRole, User
from kae.streams.dead_letters.answers import LetterOpened, LettersListed, ReplayReport
from kae.streams.events.cloudevents import Id, Short
from kae.streams.events.term_data import Aliases, BindData, CategoryName, SelectorData, Timestamp
from kae.streams.replica_api.answers import BindingsShown, ItemShown
from kae.streams.replica_api.terms import Previewed, Receipt
from kae.streams.terms.history import TermHistoryEntry

Term = Annotated[str, Meta(min_length=1, max_length=256)]
Filter = Annotated[str, Meta(max_length=512)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Address = Annotated[str, Meta(pattern=r"^\d{1,10}/\d{1,19}$", description="PARTITION/OFFSET")]


class ApiRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


class BindRequest(ApiRequest, frozen=True):
    """Bind a word to the items that all given parts of the selector select."""

    word: Term
    match: Annotated[str, Meta(max_length=1024)] = ""
    items: Annotated[list[Id], Meta(max_length=10_000)] = []
    where: Annotated[str, Meta(max_length=4096)] = ""
    category: CategoryName = ""
    aliases: Aliases = []
    owner: Short = ""
    reason: Short = ""
    from_: Timestamp | None = msgspec.field(default=None, name="from")
    until: Timestamp | None = None  # null: as terms.default_days says

    def data(self) -> BindData:
        return BindData(
            revision=0,
            selector=SelectorData(self.match, self.items, self.where),
            aliases=self.aliases,
            category=self.category,
            owner=self.owner,
            reason=self.reason,
            from_=self.from_,
            until=self.until or msgspec.UNSET,
        )


class WordRequest(ApiRequest, frozen=True):
    word: Term


class RollbackRequest(ApiRequest, frozen=True):
    """The term as it was before what happened to it at this version of the bindings log."""

    word: Term
    version: Number


class ApproveRequest(ApiRequest, frozen=True):
    """`key` and `revision` are those of a proposal."""

    key: Term
    revision: Number


class RejectRequest(ApproveRequest, frozen=True):
    reason: Short = ""


class ItemRequest(ApiRequest, frozen=True):
    id: Id


class DeadLettersRequest(ApiRequest, frozen=True):
    kind: Filter = ""
    cause: Filter = ""
    every: bool = False  # those too that were sent again


class DeadLetterRequest(ApiRequest, frozen=True):
    at: Address


class ReplayRequest(ApiRequest, frozen=True):
    letters: Annotated[list[Address], Meta(min_length=1, max_length=1000)]


class AuditRequest(ApiRequest, frozen=True):
    word: Filter = ""
    before: Number | None = None


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One row of the table; `call` runs on a thread and gives what is answered as JSON."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    role: ConsoleRole
    asks: type[ApiRequest]
    answers: Any
    call: Callable[[ConsoleBackend, User, Any], object]
    changes: bool = True  # a POST may ask for nothing but an answer

    @property
    def status(self) -> int:
        """What a POST asked for is under way, and not done."""
        return 202 if self.method == "POST" and self.changes else 200


def _receipt(line: ConsoleBackend, _user: User, asked: WordRequest) -> Receipt:
    term = normalise(asked.word)
    found = line.replica.receipt(term) if term else None
    if found is None:
        raise AccessRefused(404, f"term {term!r}: no term event of it has been registered")
    return found


def _audit(line: ConsoleBackend, _user: User, asked: AuditRequest) -> list[AuditRow]:
    return line.audit.rows(normalise(asked.word), asked.before)


OPERATIONS = (
    ApiOperation(
        "GET", "/api/overview", "overview", "The line at a glance.",
        ConsoleRole.viewer, ApiRequest, Overview, lambda line, _user, _asked: line.overview(),
    ),
    ApiOperation(
        "GET", "/api/terms", "terms", "What is bound, and the slots that are left.",
        ConsoleRole.viewer, ApiRequest, BindingsShown,
        lambda line, _user, _asked: line.replica.bindings(),
    ),
    ApiOperation(
        "POST", "/api/terms", "bind", "Bind a word.",
        ConsoleRole.proposer, BindRequest, Published,
        lambda line, user, asked: line.bind(asked.word, asked.data(), user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/preview", "preview", "What binding a word would do.",
        ConsoleRole.proposer, BindRequest, Previewed,
        lambda line, user, asked: line.preview(asked.word, asked.data(), user.name)[0],
        changes=False,
    ),
    ApiOperation(
        "POST", "/api/terms/release", "release", "Release a word.",
        ConsoleRole.proposer, WordRequest, Published,
        lambda line, user, asked: line.release(asked.word, user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/put-back", "put_back", "Put a word back as it was.",
        ConsoleRole.proposer, RollbackRequest, Published,
        lambda line, user, asked: line.put_back(normalise(asked.word), asked.version, user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/approve", "approve", "Have a proposal carried out.",
        ConsoleRole.approver, ApproveRequest, Published,
        lambda line, user, asked: line.approve(asked.key, asked.revision, user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/reject", "reject", "Put a proposal away.",
        ConsoleRole.approver, RejectRequest, Published,
        lambda line, user, asked: line.reject(
            asked.key, asked.revision, asked.reason, user.name
        ),
    ),
    ApiOperation(
        "GET", "/api/history", "history", "What happened to a word, the newest first.",
        ConsoleRole.viewer, WordRequest, list[TermHistoryEntry],
        lambda line, _user, asked: line.history(normalise(asked.word)),
    ),
    ApiOperation(
        "GET", "/api/receipt", "receipt", "How far a word has come.",
        ConsoleRole.viewer, WordRequest, Receipt, _receipt,
    ),
    ApiOperation(
        "GET", "/api/item", "item", "How an item is indexed, and why.",
        ConsoleRole.viewer, ItemRequest, ItemShown,
        lambda line, _user, asked: line.replica.item(asked.id),
    ),
    ApiOperation(
        "GET", "/api/dead-letters", "dead_letters", "What could not be indexed.",
        ConsoleRole.viewer, DeadLettersRequest, LettersListed,
        lambda line, _user, asked: line.letters(asked.kind, asked.cause, asked.every),
    ),
    ApiOperation(
        "GET", "/api/dead-letter", "dead_letter", "A dead letter, whole.",
        ConsoleRole.viewer, DeadLetterRequest, LetterOpened,
        lambda line, _user, asked: line.letter(asked.at)[0],
    ),
    ApiOperation(
        "POST", "/api/dead-letters/replay", "replay", "Send dead letters again.",
        ConsoleRole.admin, ReplayRequest, ReplayReport,
        lambda line, _user, asked: line.replay(asked.letters),
    ),
    ApiOperation(
        "GET", "/api/audit", "audit", "The newest term events, 100 at most.",
        ConsoleRole.viewer, AuditRequest, list[AuditRow], _audit,
    ),
)  # fmt: skip
