"""Naming what a receipt, a proposal or a history is about.

The wire records of terms and campaigns, decoded into requests to the registrar.

What they carry is in term_data.py.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import UNSET

from kae.encoders.categories import CATEGORIES, CATEGORY_INDEX
from kae.encoders.selector import Selector, SelectorInvalid, compile_selector
from kae.encoders.text.normal_form import normalise
from kae.sinks.log.term_changes import (
    CAMPAIGN_PREFIX,
    Adjust,
    Approve,
    Bind,
    Campaign,
    CampaignRelease,
    ExpectedItems,
    Extend,
    Realias,
    Reject,
    Release,
    Retarget,
    TermChange,
    campaign_key,
)
from kae.streams.clock import rfc3339
from kae.streams.events.cloudevents import Envelope, Headers
from kae.streams.events.envelope import (
    Undecodable,
    decode_data,
    encode_event,
    open_event,
    unknown_type,
)
from kae.streams.events.term_data import (
    DATA,
    TERM_APPROVE,
    TERM_REJECT,
    TYPES,
    AdjustData,
    AliasData,
    ApproveData,
    BindData,
    CampaignData,
    CampaignReleaseData,
    CampaignTerm,
    ExtendData,
    PlanData,
    RejectData,
    ReleaseData,
    RetargetData,
    SelectorData,
)
from kae.streams.topology.types import Topology


def subject_key(subject: str) -> str:
    """The key of a word, or of a campaign that is given as campaign/NAME; empty for none."""
    if not subject.startswith(CAMPAIGN_PREFIX):
        return normalise(subject)
    name = normalise(subject.removeprefix(CAMPAIGN_PREFIX))
    return campaign_key(name) if name else ""


DAY_MS = 86_400_000
_decoders = {type_: msgspec.json.Decoder(data).decode for type_, data in DATA.items()}


class TermRules(msgspec.Struct, frozen=True):
    """What the topology says about terms."""

    default_category: str
    position_of: Callable[[int], int]
    items_per_selector: int
    default_days: float | None = None
    required: tuple[str, ...] = ()


def rules_of(topology: Topology, position_of: Callable[[int], int] = lambda _: 0) -> TermRules:
    """The rules of a topology; where a category lies decides nothing about what decodes."""
    terms = topology.terms
    return TermRules(
        terms.default_category,
        position_of,
        terms.items_per_selector,
        terms.default_days,
        terms.required,
    )


def decode_term(
    key: bytes | None,
    value: bytes | None,
    max_bytes: int,
    accepted_ms: int,
    rules: TermRules,
    headers: Headers = (),
) -> TermChange:
    """Decode one record of the terms topic; `accepted_ms` is when the broker took it.

    Raises: Undecodable.
    """
    event = open_event(key, value, max_bytes, headers)
    subject = _subject(event)
    decode = _decoders.get(event.type)
    if decode is None:
        raise unknown_type(event.type, "term", tuple(DATA))
    return _change_of(subject, decode_data(decode, event), accepted_ms, rules)


def _change_of(
    subject: str, data: msgspec.Struct, accepted_ms: int, rules: TermRules
) -> TermChange:
    match data:
        case BindData():
            times = _times(data, accepted_ms, rules)
            return _bind(subject, data, data, accepted_ms, times, rules)
        case CampaignData():
            return _campaign(subject, data, accepted_ms, rules)
        case AliasData():
            aliases = _aliases(subject, data.aliases)
            return Realias(subject, data.revision, aliases, data.by, _foreseen(data.plan))
        case RetargetData():
            selector, plan = _selector(data.selector, rules), _foreseen(data.plan)
            return Retarget(subject, data.revision, selector, accepted_ms, data.by, plan)
        case AdjustData():
            return _adjust(subject, data, accepted_ms)
        case ExtendData():
            until_ms = _ms(data.until) if data.until else 0
            _refuse_over(until_ms, accepted_ms)
            return Extend(subject, data.revision, until_ms, data.by)
    return _end_or_decision(subject, data)


def _end_or_decision(subject: str, data: msgspec.Struct) -> TermChange:
    match data:
        case ReleaseData():
            return Release(subject, data.revision, data.by)
        case CampaignReleaseData():
            return CampaignRelease(subject, data.revision, data.by)
        case ApproveData():
            plan = _foreseen(data.plan)
            return Approve(subject, data.revision, data.proposal, data.by, plan)
        case RejectData():
            return Reject(subject, data.revision, data.proposal, data.by, data.reason)
    raise TypeError(f"{type(data).__name__}: the data of no event of a term")


def _subject(event: Envelope) -> str:
    """The term, or the campaign, by its name or, where it may be either, by its key."""
    decides = event.type in (TERM_APPROVE, TERM_REJECT)
    subject = subject_key(event.subject) if decides else normalise(event.subject)
    if not subject:
        raise Undecodable(f"subject: {event.subject!r} has no letter or digit", "subject.empty")
    return subject


def _times(data: BindData | CampaignData, accepted_ms: int, rules: TermRules) -> tuple[int, int]:
    """From and until; 0 for at once and for never."""
    from_ms = _ms(data.from_) if data.from_ else 0
    if data.until is UNSET:
        days = rules.default_days
        ends_ms = max(from_ms, accepted_ms) + int((days or 0) * DAY_MS)
        until_ms = min(ends_ms, _LAST_MS) if days is not None else 0
    else:
        until_ms = _ms(data.until) if data.until else 0
    _refuse_over(until_ms, max(from_ms, accepted_ms))
    return from_ms, until_ms


def _refuse_over(until_ms: int, begins_ms: int) -> None:
    if until_ms and until_ms <= begins_ms:
        raise Undecodable(
            f"data.until: {rfc3339(until_ms)} is not after {rfc3339(begins_ms)}, when the term "
            "begins; give a later time",
            "data.until.over",
        )


def _bind(
    term: str,
    data: BindData | CampaignTerm,
    whole: BindData | CampaignData,
    accepted_ms: int,
    times: tuple[int, int],
    rules: TermRules,
) -> Bind:
    for name in rules.required:
        if not getattr(whole, name).strip():
            raise Undecodable(
                f"data.{name}: missing, and terms.required in topology.yaml asks for it; give "
                f"--{name}",
                f"data.{name}.missing",
            )
    category = _category(data.category or rules.default_category)
    return Bind(
        term=term,
        revision=whole.revision,
        aliases=_aliases(term, data.aliases),
        category=category,
        position=rules.position_of(category),
        selector=_selector(data.selector, rules),
        owner=whole.owner,
        reason=whole.reason,
        accepted_ms=accepted_ms,
        from_ms=times[0],
        until_ms=times[1],
        by=whole.by,
        foreseen=_foreseen(whole.plan),
    )


def _campaign(name: str, data: CampaignData, accepted_ms: int, rules: TermRules) -> Campaign:
    times = _times(data, accepted_ms, rules)
    binds: dict[str, Bind] = {}
    for number, one in enumerate(data.terms):
        term = normalise(one.word)
        if not term or term in binds:
            why = "is there twice" if term else "has no letter or digit"
            raise Undecodable(f"data.terms[{number}].word: {one.word!r} {why}", "data.terms.word")
        try:
            binds[term] = _bind(term, one, data, accepted_ms, times, rules)
        except Undecodable as error:
            raise Undecodable(f"data.terms[{number}]: {error}", error.kind) from error
    plan = _foreseen(data.plan)
    return Campaign(name, data.revision, tuple(binds.values()), data.by, plan)


def _category(name: str) -> int:
    if name not in CATEGORY_INDEX:
        raise Undecodable(
            f"data.category: {name!r} is none of {', '.join(CATEGORIES)}", "data.category.unknown"
        )
    return CATEGORY_INDEX[name]


def _aliases(term: str, given: list[str]) -> tuple[str, ...]:
    return tuple(sorted({alias for one in given if (alias := normalise(one))} - {term}))


def _adjust(term: str, data: AdjustData, accepted_ms: int) -> Adjust:
    wanted = {*data.add, *(data.pins or ())}
    both = sorted(wanted & {*data.exclude})
    if both:
        raise Undecodable(
            f"data.exclude: {both[0]!r} is also added or pinned; leave it out of one",
            "data.exclude.wanted",
        )
    if not wanted and not data.exclude and data.pins is None:
        raise Undecodable("data: none of add, exclude and pins; give one", "data.adjust.empty")
    add, exclude = tuple(data.add), tuple(data.exclude)
    pins = None if data.pins is None else _once(data.pins)
    plan = _foreseen(data.plan)
    return Adjust(term, data.revision, add, exclude, pins, accepted_ms, data.by, plan)


def _once(ids: list[str]) -> tuple[str, ...]:
    """In their order, each where it is first."""
    return tuple(dict.fromkeys(ids))


def _foreseen(plan: PlanData) -> ExpectedItems:
    return ExpectedItems(plan.hash, plan.items)


def _selector(data: SelectorData, rules: TermRules) -> Selector:
    named = len(data.items) + len(data.plus) + len(data.minus)
    if named > rules.items_per_selector:
        raise Undecodable(
            f"data.selector.items: {named} items, terms.items_per_selector allows "
            f"{rules.items_per_selector}",
            "data.selector.items.length",
        )
    lists = (_once(data.plus), _once(data.minus), _once(data.pins))
    selector = Selector(data.match, tuple(data.items), data.where, *lists)
    try:
        compile_selector(selector)
    except SelectorInvalid as error:
        raise Undecodable(f"data.selector: {error}", "data.selector.invalid") from error
    return selector


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The last one that can be told: its offset took it out of no calendar.
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def _ms(moment: datetime) -> int:
    """Raises: Undecodable for a moment whose offset takes it out of the calendar."""
    ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    # 0 is for at once and for never.
    if not 0 < ms <= _LAST_MS:
        raise Undecodable(
            f"data: {moment} is no moment after 1970-01-01T00:00Z and before the year 10000",
            "data.moment.range",
        )
    return ms


def encode_term(
    subject: str, data: msgspec.Struct, source: str, time: str = "", audience: str = ""
) -> bytes:
    """An event about a term or a campaign; its type is that of the data."""
    id_ = f"{subject}:{msgspec.structs.asdict(data)['revision']}"
    return encode_event(TYPES[type(data)], subject, data, source, id_, time, audience)


def encode_term_bind(term: str, data: BindData, source: str, time: str = "") -> bytes:
    return encode_term(term, data, source, time)


def encode_term_release(term: str, revision: int, source: str, time: str = "") -> bytes:
    return encode_term(term, ReleaseData(revision), source, time)
