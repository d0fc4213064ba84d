"""The console's API: every operation with what it asks, answers and needs, as one table.

Routes and the OpenAPI document are both made from it. A GET asks in its query, a POST in JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kae.encoders.text import normalise
from kae.streams.cloudevents import Id, Short
from kae.streams.letters.answers import LetterOpened, LettersListed, ReplayReport
from kae.streams.replica.answers import BindingsShown, ItemShown
from kae.streams.replica.previewed import Previewed
from kae.streams.replica.receipt import Receipt
from kae.streams.term_data import Aliases, BindData, Category, Moment, SelectorData
from kae.streams.term_history import Happened
from kae.streams.web.audit import AuditRow
from kae.streams.web.guard import Refused
from kae.streams.web.line import Line, Overview, Published
from kae.streams.web.users import Role, User

Term = Annotated[str, Meta(min_length=1, max_length=256)]
Filter = Annotated[str, Meta(max_length=512)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Address = Annotated[str, Meta(pattern=r"^\d{1,10}/\d{1,19}$", description="PARTITION/OFFSET")]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


class BindAsked(Asked, frozen=True):
    """Bind a word to the items that all given parts of the selector select."""

    word: Term
    match: Annotated[str, Meta(max_length=1024)] = ""
    items: Annotated[list[Id], Meta(max_length=10_000)] = []
    where: Annotated[str, Meta(max_length=4096)] = ""
    category: Category = ""
    aliases: Aliases = []
    owner: Short = ""
    reason: Short = ""
    from_: Moment | None = msgspec.field(default=None, name="from")
    until: Moment | None = None  # null: as terms.default_days says

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


class WordAsked(Asked, frozen=True):
    word: Term


class PutBackAsked(Asked, frozen=True):
    """The term as it was before what happened to it at this version of the bindings log."""

    word: Term
    version: Number


class ApproveAsked(Asked, frozen=True):
    """`key` and `revision` are those of a proposal."""

    key: Term
    revision: Number


class RejectAsked(ApproveAsked, frozen=True):
    reason: Short = ""


class ItemAsked(Asked, frozen=True):
    id: Id


class LettersAsked(Asked, frozen=True):
    kind: Filter = ""
    cause: Filter = ""
    every: bool = False  # those too that were sent again


class LetterAsked(Asked, frozen=True):
    at: Address


class ReplayAsked(Asked, frozen=True):
    letters: Annotated[list[Address], Meta(min_length=1, max_length=1000)]


class AuditAsked(Asked, frozen=True):
    word: Filter = ""
    before: Number | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table; `call` runs on a thread and gives what is answered as JSON."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    role: Role
    asks: type[Asked]
    answers: Any
    call: Callable[[Line, User, Any], object]
    changes: bool = True  # a POST may ask for nothing but an answer

    @property
    def status(self) -> int:
        """What a POST asked for is under way, and not done."""
        return 202 if self.method == "POST" and self.changes else 200


def _receipt(line: Line, _user: User, asked: WordAsked) -> Receipt:
    term = normalise(asked.word)
    found = line.replica.receipt(term) if term else None
    if found is None:
        raise Refused(404, f"term {term!r}: no term event of it has been registered")
    return found


def _audit(line: Line, _user: User, asked: AuditAsked) -> list[AuditRow]:
    return line.audit.rows(normalise(asked.word), asked.before)


OPERATIONS = (
    Operation(
        "GET", "/api/overview", "overview", "The line at a glance.",
        Role.viewer, Asked, Overview, lambda line, _user, _asked: line.overview(),
    ),
    Operation(
        "GET", "/api/terms", "terms", "What is bound, and the slots that are left.",
        Role.viewer, Asked, BindingsShown, lambda line, _user, _asked: line.replica.bindings(),
    ),
    Operation(
        "POST", "/api/terms", "bind", "Bind a word.",
        Role.proposer, BindAsked, Published,
        lambda line, user, asked: line.bind(asked.word, asked.data(), user.name),
    ),
    Operation(
        "POST", "/api/terms/preview", "preview", "What binding a word would do.",
        Role.proposer, BindAsked, Previewed,
        lambda line, user, asked: line.preview(asked.word, asked.data(), user.name)[0],
        changes=False,
    ),
    Operation(
        "POST", "/api/terms/release", "release", "Release a word.",
        Role.proposer, WordAsked, Published,
        lambda line, user, asked: line.release(asked.word, user.name),
    ),
    Operation(
        "POST", "/api/terms/put-back", "put_back", "Put a word back as it was.",
        Role.proposer, PutBackAsked, Published,
        lambda line, user, asked: line.put_back(normalise(asked.word), asked.version, user.name),
    ),
    Operation(
        "POST", "/api/terms/approve", "approve", "Have a proposal carried out.",
        Role.approver, ApproveAsked, Published,
        lambda line, user, asked: line.approve(asked.key, asked.revision, user.name),
    ),
    Operation(
        "POST", "/api/terms/reject", "reject", "Put a proposal away.",
        Role.approver, RejectAsked, Published,
        lambda line, user, asked: line.reject(
            asked.key, asked.revision, asked.reason, user.name
        ),
    ),
    Operation(
        "GET", "/api/history", "history", "What happened to a word, the newest first.",
        Role.viewer, WordAsked, list[Happened],
        lambda line, _user, asked: line.history(normalise(asked.word)),
    ),
    Operation(
        "GET", "/api/receipt", "receipt", "How far a word has come.",
        Role.viewer, WordAsked, Receipt, _receipt,
    ),
    Operation(
        "GET", "/api/item", "item", "How an item is indexed, and why.",
        Role.viewer, ItemAsked, ItemShown, lambda line, _user, asked: line.replica.item(asked.id),
    ),
    Operation(
        "GET", "/api/dead-letters", "dead_letters", "What could not be indexed.",
        Role.viewer, LettersAsked, LettersListed,
        lambda line, _user, asked: line.letters(asked.kind, asked.cause, asked.every),
    ),
    Operation(
        "GET", "/api/dead-letter", "dead_letter", "A dead letter, whole.",
        Role.viewer, LetterAsked, LetterOpened,
        lambda line, _user, asked: line.letter(asked.at)[0],
    ),
    Operation(
        "POST", "/api/dead-letters/replay", "replay", "Send dead letters again.",
        Role.admin, ReplayAsked, ReplayReport,
        lambda line, _user, asked: line.replay(asked.letters),
    ),
    Operation(
        "GET", "/api/audit", "audit", "The newest term events, 100 at most.",
        Role.viewer, AuditAsked, list[AuditRow], _audit,
    ),
)  # fmt: skip
