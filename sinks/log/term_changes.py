"""What may be asked of the registrar, one type a verb, as types and as bytes.

A request that waits for approval is kept in the bindings log as it came, so these have a form on
disk: array-like and tagged, new fields at the end and with a default.
"""

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


class Bind(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Bind a term; it is visible from `from_ms` on (0: at once) until `until_ms` (0: for ever)."""

    term: str
    revision: int
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

    @property
    def key(self) -> str:
        return self.term


class Release(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Release a term."""

    term: str
    revision: int
    by: str = ""

    @property
    def key(self) -> str:
        return self.term


class Retarget(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Give a bound term another selector."""

    term: str
    revision: int
    selector: Selector
    accepted_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()

    @property
    def key(self) -> str:
        return self.term


class Realias(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Give a bound term exactly these other forms."""

    term: str
    revision: int
    aliases: tuple[str, ...]
    by: str = ""
    plan: ExpectedItems = ExpectedItems()

    @property
    def key(self) -> str:
        return self.term


class Extend(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Give a bound term another end; 0: none."""

    term: str
    revision: int
    until_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()

    @property
    def key(self) -> str:
        return self.term


class Campaign(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Bind many terms as one: all become visible together, or none does."""

    name: str
    revision: int
    binds: tuple[Bind, ...]
    by: str = ""
    plan: ExpectedItems = ExpectedItems()

    @property
    def key(self) -> str:
        return campaign_key(self.name)


class CampaignRelease(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Release every term of a campaign at once."""

    name: str
    revision: int
    by: str = ""

    @property
    def key(self) -> str:
        return campaign_key(self.name)


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


class Adjust(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Add items to those of a bound term, exclude some, and have exactly these first.

    `pins` are None where they stay as they are.
    """

    term: str
    revision: int
    add: tuple[str, ...]
    exclude: tuple[str, ...]
    pins: tuple[str, ...] | None
    accepted_ms: int
    by: str = ""
    plan: ExpectedItems = ExpectedItems()

    @property
    def key(self) -> str:
        return self.term


Proposable = Bind | Retarget | Realias | Extend | Campaign | Adjust
TermChange = Proposable | Release | CampaignRelease | Approve | Reject
