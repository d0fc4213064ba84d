"""The console's API as one table: each operation with its request, response and role.

Routes and the OpenAPI document are made from it. A GET takes its request from the query, a POST
from a JSON body.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kae.encoders.text.normal_form import normalise
from kae.streams.console.audit import AuditRow
from kae.streams.console.backend import ConsoleBackend, Overview, Published
from kae.streams.console.guard import ConsoleRefused
from kae.streams.console.users import ConsoleRole, User
from kae.streams.dead_letters.answers import DeadLetterOpened, DeadLettersListed, ReplayReport
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
    """No parameters."""


class BindRequest(ApiRequest, frozen=True):
    """Bind a word to the items that match every given part of the selector."""

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
    replace: bool = False  # a word that is bound under another spelling

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
            replace=self.replace,
        )


class WordRequest(ApiRequest, frozen=True):
    word: Term


class RollbackRequest(ApiRequest, frozen=True):
    """Restore the term to its state before this version of the bindings log."""

    word: Term
    version: Number


class ApproveRequest(ApiRequest, frozen=True):
    """`key` and `revision` identify a proposal."""

    key: Term
    revision: Number


class RejectRequest(ApproveRequest, frozen=True):
    reason: Short = ""


class ItemRequest(ApiRequest, frozen=True):
    id: Id


class DeadLettersRequest(ApiRequest, frozen=True):
    kind: Filter = ""
    cause: Filter = ""
    every: bool = False  # include the replayed ones


class DeadLetterRequest(ApiRequest, frozen=True):
    at: Address


class ReplayRequest(ApiRequest, frozen=True):
    letters: Annotated[list[Address], Meta(min_length=1, max_length=1000)]


class AuditRequest(ApiRequest, frozen=True):
    word: Filter = ""
    before: Number | None = None


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One row of the table; `call` runs on a thread and returns a value to encode as JSON."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    role: ConsoleRole
    request: type[ApiRequest]
    response: Any
    call: Callable[[ConsoleBackend, User, Any], object]
    changes: bool = True  # False: a POST that only reads

    @property
    def status(self) -> int:
        """202 for a POST that changes something: it is published, not yet applied."""
        return 202 if self.method == "POST" and self.changes else 200


def _receipt(backend: ConsoleBackend, _user: User, request: WordRequest) -> Receipt:
    term = normalise(request.word)
    found = backend.replica.receipt(term) if term else None
    if found is None:
        raise ConsoleRefused(404, f"term {term!r}: no term event for it has been registered")
    return found


def _audit(backend: ConsoleBackend, _user: User, request: AuditRequest) -> list[AuditRow]:
    return backend.audit.rows(normalise(request.word), request.before)


OPERATIONS = (
    ApiOperation(
        "GET", "/api/overview", "overview", "Status, lag and dead letters of the index.",
        ConsoleRole.viewer, ApiRequest, Overview,
        lambda backend, _user, _request: backend.overview(),
    ),
    ApiOperation(
        "GET", "/api/terms", "terms", "Bound terms, proposals and free slots.",
        ConsoleRole.viewer, ApiRequest, BindingsShown,
        lambda backend, _user, _request: backend.replica.bindings(),
    ),
    ApiOperation(
        "POST", "/api/terms", "bind", "Bind a word.",
        ConsoleRole.proposer, BindRequest, Published,
        lambda backend, user, request: backend.bind(request.word, request.data(), user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/preview", "preview", "Preview what binding a word would do.",
        ConsoleRole.proposer, BindRequest, Previewed,
        lambda backend, user, request: backend.preview(request.word, request.data(), user.name)[0],
        changes=False,
    ),
    ApiOperation(
        "POST", "/api/terms/release", "release", "Release a word.",
        ConsoleRole.proposer, WordRequest, Published,
        lambda backend, user, request: backend.release(request.word, user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/put-back", "put_back", "Restore a word to an earlier state.",
        ConsoleRole.proposer, RollbackRequest, Published,
        lambda backend, user, request: backend.roll_back(
            normalise(request.word), request.version, user.name
        ),
    ),
    ApiOperation(
        "POST", "/api/terms/approve", "approve", "Approve a proposal.",
        ConsoleRole.approver, ApproveRequest, Published,
        lambda backend, user, request: backend.approve(request.key, request.revision, user.name),
    ),
    ApiOperation(
        "POST", "/api/terms/reject", "reject", "Reject a proposal.",
        ConsoleRole.approver, RejectRequest, Published,
        lambda backend, user, request: backend.reject(
            request.key, request.revision, request.reason, user.name
        ),
    ),
    ApiOperation(
        "GET", "/api/history", "history", "The history of a word, newest first.",
        ConsoleRole.viewer, WordRequest, list[TermHistoryEntry],
        lambda backend, _user, request: backend.history(normalise(request.word)),
    ),
    ApiOperation(
        "GET", "/api/receipt", "receipt", "The receipt of a word, stage by stage.",
        ConsoleRole.viewer, WordRequest, Receipt, _receipt,
    ),
    ApiOperation(
        "GET", "/api/item", "item", "How an item is indexed, and why.",
        ConsoleRole.viewer, ItemRequest, ItemShown,
        lambda backend, _user, request: backend.replica.item(request.id),
    ),
    ApiOperation(
        "GET", "/api/dead-letters", "dead_letters", "List dead letters.",
        ConsoleRole.viewer, DeadLettersRequest, DeadLettersListed,
        lambda backend, _user, request: backend.dead_letters(
            request.kind, request.cause, request.every
        ),
    ),
    ApiOperation(
        "GET", "/api/dead-letter", "dead_letter", "Show one dead letter.",
        ConsoleRole.viewer, DeadLetterRequest, DeadLetterOpened,
        lambda backend, _user, request: backend.dead_letter(request.at)[0],
    ),
    ApiOperation(
        "POST", "/api/dead-letters/replay", "replay", "Replay dead letters.",
        ConsoleRole.admin, ReplayRequest, ReplayReport,
        lambda backend, _user, request: backend.replay(request.letters),
    ),
    ApiOperation(
        "GET", "/api/audit", "audit", "The newest term events, at most 100.",
        ConsoleRole.viewer, AuditRequest, list[AuditRow], _audit,
    ),
)  # fmt: skip
