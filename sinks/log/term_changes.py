"""What may be asked of the registrar, one type a verb, as types and as bytes.

A request that waits for approval is kept in the bindings log as it came, so these have a form on
disk: array-like and tagged, new fields at the end and with a default.
"""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from kae.encoders.selector import Selector

# A campaign is named in the space of terms by this and its name: no normalised term has a slash.
CAMPAIGN_PREFIX = "campaign/"


def campaign_key(name: str) -> str:
    """The name by which the log remembers a campaign's proposals and refusals."""
    return CAMPAIGN_PREFIX + name


class ExpectedItems(msgspec.Struct, frozen=True, array_like=True):
    """What a preview said that a selector would do; the hash is empty for none."""

    hash: str = ""
    items: int = 0

    def differs_by(self, items: int) -> float:
        """By how many percent of its own items so many are more or fewer."""
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
    """Bind a term; it is visible from `from_ms` on (0: at once) until `until_ms` (0: for ever)."""

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


class Release(_OfTerm, frozen=True, array_like=True, tag=2):
    """Release a term."""

    by: str = ""


class Retarget(_OfTerm, frozen=True, array_like=True, tag=3):
    """Give a bound term another selector."""

    selector: Selector
    accepted_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class Realias(_OfTerm, frozen=True, array_like=True, tag=4):
    """Give a bound term exactly these other forms."""

    aliases: tuple[str, ...]
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class Extend(_OfTerm, frozen=True, array_like=True, tag=5):
    """Give a bound term another end; 0: none."""

    until_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class Campaign(_OfCampaign, frozen=True, array_like=True, tag=6):
    """Bind many terms as one: all become visible together, or none does."""

    binds: tuple[Bind, ...]
    by: str = ""
    plan: ExpectedItems = ExpectedItems()


class CampaignRelease(_OfCampaign, frozen=True, array_like=True, tag=7):
    """Release every term of a campaign at once."""

    by: str = ""


class Approve(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Have the proposal of a revision carried out."""

    key: str
    revision: int
    proposal: int
    by: str
    plan: ExpectedItems = ExpectedItems()


class Reject(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Put the proposal of a revision away."""

    key: str
    revision: int
    proposal: int
    by: str
    reason: str = ""


class Adjust(_OfTerm, frozen=True, array_like=True, tag=10):
    """Add items to those of a bound term, exclude some, and have exactly these first.

    `pins` are None where they stay as they are.
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
