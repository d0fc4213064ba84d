"""The data of term and campaign events: types and bounds, by the type of the event.

    kae.term.bind.v1       bind a term, at once or from a time on
    kae.term.alias.v1      replace the other forms of a bound term
    kae.term.retarget.v1   replace its selector
    kae.term.adjust.v1     add, exclude or pin single items
    kae.term.extend.v1     move its end
    kae.term.release.v1    release it
    kae.campaign.bind.v1   bind many terms as one
    kae.campaign.release.v1
    kae.term.approve.v1    approve a proposal; the subject is a term or campaign/NAME
    kae.term.reject.v1     reject a proposal

Times are RFC 3339 with an offset.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from kae.encoders.categories import CATEGORIES
from kae.streams.events.cloudevents import Id, Short
from kae.streams.events.envelope import Revision

TERM_BIND = "kae.term.bind.v1"
TERM_ALIAS = "kae.term.alias.v1"
TERM_RETARGET = "kae.term.retarget.v1"
TERM_ADJUST = "kae.term.adjust.v1"
TERM_EXTEND = "kae.term.extend.v1"
TERM_RELEASE = "kae.term.release.v1"
TERM_APPROVE = "kae.term.approve.v1"
TERM_REJECT = "kae.term.reject.v1"
CAMPAIGN_BIND = "kae.campaign.bind.v1"
CAMPAIGN_RELEASE = "kae.campaign.release.v1"
CAMPAIGN_TERMS = 500
PINS = 100
TermWord = Annotated[str, Meta(min_length=1, max_length=128)]
Aliases = Annotated[list[TermWord], Meta(max_length=64)]
# Decoding checks the name, since "" stands for the default of the topology.
CategoryName = Annotated[str, Meta(max_length=512, extra_json_schema={"enum": ["", *CATEGORIES]})]
Timestamp = Annotated[datetime, Meta(tz=True)]
Items = Annotated[list[Id], Meta(max_length=10_000)]
Pins = Annotated[list[Id], Meta(max_length=PINS)]


class SelectorData(msgspec.Struct, frozen=True):
    """Which items a term is bound to: those that match every given one of the first three parts.

    Items of `plus` and `pins` are always bound, items of `minus` never; `pins` come first, in their
    order.
    """

    match: Annotated[str, Meta(max_length=1024)] = ""
    items: Items = []
    where: Annotated[str, Meta(max_length=4096)] = ""
    plus: Items = []
    minus: Items = []
    pins: Pins = []


class PlanData(msgspec.Struct, frozen=True):
    """The plan of a preview: an opaque hash of the outcome, and the number of items."""

    hash: Short = ""
    items: Annotated[int, Meta(ge=0, le=1 << 53)] = 0


class BindData(msgspec.Struct, frozen=True):
    """`data` of kae.term.bind.v1; the term is the event's subject.

    Without `until` it ends by terms.default_days; null: never. With `replace` it also takes the
    place of a word that is bound under another spelling.
    """

    revision: Revision
    selector: SelectorData
    aliases: Aliases = []
    category: CategoryName = ""
    owner: Short = ""
    reason: Short = ""
    from_: Timestamp | None = field(default=None, name="from")
    until: Timestamp | UnsetType | None = UNSET
    by: Short = ""
    plan: PlanData = PlanData()
    replace: bool = False


class AliasData(msgspec.Struct, frozen=True):
    """`data` of kae.term.alias.v1: all other forms of the term, not only new ones."""

    revision: Revision
    aliases: Aliases
    by: Short = ""
    plan: PlanData = PlanData()


class RetargetData(msgspec.Struct, frozen=True):
    """`data` of kae.term.retarget.v1."""

    revision: Revision
    selector: SelectorData
    by: Short = ""
    plan: PlanData = PlanData()


class AdjustData(msgspec.Struct, frozen=True):
    """`data` of kae.term.adjust.v1; `pins` replace all pins of the term.

    Without `pins`, or with null, they stay as they are.
    """

    revision: Revision
    add: Items = []
    exclude: Items = []
    pins: Pins | None = None
    by: Short = ""
    plan: PlanData = PlanData()


class ExtendData(msgspec.Struct, frozen=True):
    """`data` of kae.term.extend.v1; null: the term never ends."""

    revision: Revision
    until: Timestamp | None
    by: Short = ""


class ReleaseData(msgspec.Struct, frozen=True):
    """`data` of kae.term.release.v1."""

    revision: Revision
    by: Short = ""


class CampaignTerm(msgspec.Struct, frozen=True):
    """One term of a campaign."""

    word: TermWord
    selector: SelectorData
    aliases: Aliases = []
    category: CategoryName = ""


class CampaignData(msgspec.Struct, frozen=True):
    """`data` of kae.campaign.bind.v1; the campaign's name is the event's subject."""

    revision: Revision
    terms: Annotated[list[CampaignTerm], Meta(min_length=1, max_length=CAMPAIGN_TERMS)]
    owner: Short = ""
    reason: Short = ""
    from_: Timestamp | None = field(default=None, name="from")
    until: Timestamp | UnsetType | None = UNSET
    by: Short = ""
    plan: PlanData = PlanData()


class CampaignReleaseData(msgspec.Struct, frozen=True):
    """`data` of kae.campaign.release.v1."""

    revision: Revision
    by: Short = ""


class ApproveData(msgspec.Struct, frozen=True):
    """`data` of kae.term.approve.v1: `proposal` is the revision of the proposal."""

    revision: Revision
    proposal: Revision
    by: Short
    plan: PlanData = PlanData()


class RejectData(msgspec.Struct, frozen=True):
    """`data` of kae.term.reject.v1."""

    revision: Revision
    proposal: Revision
    by: Short
    reason: Short = ""


TermData = (
    BindData
    | AliasData
    | RetargetData
    | AdjustData
    | ExtendData
    | ReleaseData
    | CampaignData
    | CampaignReleaseData
    | ApproveData
    | RejectData
)
DATA: dict[str, type[TermData]] = {
    TERM_BIND: BindData,
    TERM_ALIAS: AliasData,
    TERM_RETARGET: RetargetData,
    TERM_ADJUST: AdjustData,
    TERM_EXTEND: ExtendData,
    TERM_RELEASE: ReleaseData,
    TERM_APPROVE: ApproveData,
    TERM_REJECT: RejectData,
    CAMPAIGN_BIND: CampaignData,
    CAMPAIGN_RELEASE: CampaignReleaseData,
}
TYPES: dict[type[TermData], str] = {data: type_ for type_, data in DATA.items()}
