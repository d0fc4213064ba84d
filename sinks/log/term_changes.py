"""Changes of terms: what the registrar can be asked to do, one type for each verb.

The bindings log keeps a change that waits for approval, so the types have a form on disk:
array-like and tagged. New fields come last and have a default.
"""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from kae.encoders.selector import Selector

# Campaigns and terms share one space of keys; no normalised term has a slash.
CAMPAIGN_PREFIX = "campaign/"


def campaign_key(name: str) -> str:
    """The key of a campaign's proposals and refusals in the log."""
    return CAMPAIGN_PREFIX + name


class ExpectedItems(msgspec.Struct, frozen=True, array_like=True):
    """The plan of a preview: its hash, empty without a plan, and the number of items."""

    hash: str = ""
    items: int = 0

    def differs_by(self, items: int) -> float:
        """The difference of another number of items, in percent of those of the plan."""
        return abs(items - self.items) / max(1, self.items) * 100


class _OfTerm(msgspec.Struct, frozen=True, array_like=True):
    """The leading fields of a change of one term."""

    term: str
    revision: int

    @property
    def key(self) -> str:
        return self.term


class _OfCampaign(msgspec.Struct, frozen=True, array_like=True):
    """The leading fields of a change of a campaign."""

    name: str
    revision: int

    @property
    def key(self) -> str:
        return campaign_key(self.name)


class Bind(_OfTerm, frozen=True, array_like=True, tag=1):
    """Bind a term, visible from `from_ms` (0: at once) until `until_ms` (0: for ever).

    `written` is the word as it was typed; with `replace` it may take the place of one that was
    typed otherwise.
    """

    aliases: tuple[str, ...]
    category: int
    position: int
    selector: Selector
    owner: str
    reason: str
    accepted_ms: int
    from_ms: int = 0
    until_ms: int = 0
    by: str = ""
    plan: ExpectedItems = ExpectedItems()
    written: str = ""
    replace: bool = False


class Release(_OfTerm, frozen=True, array_like=True, tag=2):
    """Release a term."""

    by: str = ""


class Retarget(_OfTerm, frozen=True, array_like=True, tag=3):
    """Replace the selector of a bound term."""

    selector: Selector
    accepted_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class Realias(_OfTerm, frozen=True, array_like=True, tag=4):
    """Replace the other forms of a bound term."""

    aliases: tuple[str, ...]
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class Extend(_OfTerm, frozen=True, array_like=True, tag=5):
    """Move the end of a bound term; 0: it never ends."""

    until_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class Campaign(_OfCampaign, frozen=True, array_like=True, tag=6):
    """Bind many terms as one: all become visible together, or none."""

    binds: tuple[Bind, ...]
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class CampaignRelease(_OfCampaign, frozen=True, array_like=True, tag=7):
    """Release every term of a campaign."""

    by: str = ""


class Approve(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Approve the proposal of a revision."""

    key: str
    revision: int
    proposal: int
    by: str
    plan: ExpectedItems = ExpectedItems()


class Reject(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Reject the proposal of a revision."""

    key: str
    revision: int
    proposal: int
    by: str
    reason: str = ""


class Adjust(_OfTerm, frozen=True, array_like=True, tag=10):
    """Add, exclude and pin single items of a bound term.

    `pins` replace all pins of the term; with None they stay.
    """

    add: tuple[str, ...]
    exclude: tuple[str, ...]
    pins: tuple[str, ...] | None
    accepted_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


Proposable = Bind | Retarget | Realias | Extend | Campaign | Adjust
TermChange = Proposable | Release | CampaignRelease | Approve | Reject


# The hash of a plan; docs/formats.md has its bytes.

PLAN_FORMAT = 1
HASH_BYTES = 16


class _Planned(msgspec.Struct, frozen=True, array_like=True):
    format: int
    term: str
    aliases: tuple[str, ...]
    category: int
    match: str
    items: list[str]
    where: str
    plus: list[str]
    minus: list[str]
    pins: tuple[str, ...]
    selected: list[str]


def plan_hash(bind: Bind, selected: Iterable[str]) -> str:
    """The hash of a term and of the items that it would be bound to; `selected` in any order.

    It leaves out when and by whom the term is bound, so who proposes and who approves get the same.
    """
    selector = bind.selector
    planned = _Planned(
        PLAN_FORMAT,
        bind.term,
        bind.aliases,
        bind.category,
        selector.match,
        sorted(selector.items),
        selector.where,
        sorted(selector.plus),
        sorted(selector.minus),
        selector.pins,
        sorted(selected),
    )
    return blake2b(msgspec.msgpack.encode(planned), digest_size=HASH_BYTES).hexdigest()
