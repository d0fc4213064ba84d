"""Term and campaign events, decoded into changes for the registrar; term_data.py has their data."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

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
from kae.streams.clock import DAY_MS, rfc3339
from kae.streams.events.cloudevents import Envelope, Headers
from kae.streams.events.envelope import (
    Undecodable,
    decode_data,
    encode_event,
    event_id,
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
    ReleaseData,
    RetargetData,
    SelectorData,
    TermData,
)
from kae.streams.topology.types import Topology

T = TypeVar("T", bound=msgspec.Struct)
_decoders: dict[str, Callable[[msgspec.Raw], TermData]] = {
    type_: msgspec.json.Decoder(data).decode for type_, data in DATA.items()
}


class TermRules(msgspec.Struct, frozen=True):
    """What decoding needs to know of topology.yaml and of the codebook."""

    default_category: str
    position_of: Callable[[int], int]
    items_per_selector: int
    default_days: float | None = None
    required: tuple[str, ...] = ()


def rules_of(topology: Topology, position_of: Callable[[int], int] = lambda _: 0) -> TermRules:
    """The rules of a topology; without `position_of` every category has position 0.

    Positions have no effect on whether an event decodes.
    """
    terms = topology.terms
    return TermRules(
        terms.default_category,
        position_of,
        terms.items_per_selector,
        terms.default_days,
        terms.required,
    )


def subject_key(subject: str) -> str:
    """The key in the bindings log of a word, or of a campaign given as campaign/NAME.

    It is empty if the subject has no letter or digit.
    """
    if not subject.startswith(CAMPAIGN_PREFIX):
        return normalise(subject)
    name = normalise(subject.removeprefix(CAMPAIGN_PREFIX))
    return campaign_key(name) if name else ""


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
    data = decode_data(decode, event)
    if isinstance(data, BindData):
        validity = _validity(data, accepted_ms, rules)
        return _bind(event.subject, data, data, accepted_ms, validity, rules)
    return _change_of(subject, data, accepted_ms, rules)


def _change_of(subject: str, data: TermData, accepted_ms: int, rules: TermRules) -> TermChange:
    match data:
        case CampaignData():
            return _campaign(subject, data, accepted_ms, rules)
        case AliasData():
            return _change(Realias, data, term=subject, aliases=_aliases(subject, data.aliases))
        case RetargetData():
            selector = _selector(data.selector, rules)
            return _change(Retarget, data, term=subject, selector=selector, accepted_ms=accepted_ms)
        case AdjustData():
            return _adjust(subject, data, accepted_ms)
        case ExtendData():
            until_ms = _ms(data.until) if data.until else 0
            _refuse_ended(until_ms, accepted_ms)
            return _change(Extend, data, term=subject, until_ms=until_ms)
        case ReleaseData():
            return _change(Release, data, term=subject)
        case CampaignReleaseData():
            return _change(CampaignRelease, data, name=subject)
        case ApproveData():
            return _change(Approve, data, key=subject)
    return _change(Reject, data, key=subject)


def _change(kind: type[T], data: TermData, **fields: object) -> T:
    """A change with the given fields, and all others that have the same name in the event."""
    same = {name: getattr(data, name) for name in kind.__struct_fields__ if hasattr(data, name)}
    if isinstance(plan := same.get("plan"), PlanData):
        same["plan"] = ExpectedItems(plan.hash, plan.items)
    return kind(**(same | fields))


def _subject(event: Envelope) -> str:
    """The name of a term or campaign; of an approval or rejection the key, as it may be either."""
    decides = event.type in (TERM_APPROVE, TERM_REJECT)
    subject = subject_key(event.subject) if decides else normalise(event.subject)
    if not subject:
        raise Undecodable(f"subject: {event.subject!r} has no letter or digit", "subject.empty")
    return subject


def _validity(data: BindData | CampaignData, accepted_ms: int, rules: TermRules) -> tuple[int, int]:
    """From and until in milliseconds; 0 for at once and for never."""
    from_ms = _ms(data.from_) if data.from_ else 0
    if data.until is UNSET:
        days = rules.default_days
        end_ms = max(from_ms, accepted_ms) + int((days or 0) * DAY_MS)
        until_ms = min(end_ms, _LAST_MS) if days is not None else 0
    else:
        until_ms = _ms(data.until) if data.until else 0
    _refuse_ended(until_ms, max(from_ms, accepted_ms))
    return from_ms, until_ms


def _refuse_ended(until_ms: int, begin_ms: int) -> None:
    if until_ms and until_ms <= begin_ms:
        raise Undecodable(
            f"data.until: {rfc3339(until_ms)} is not after {rfc3339(begin_ms)}, when the term "
            "begins; give a later time",
            "data.until.over",
        )


def _bind(
    written: str,
    data: BindData | CampaignTerm,
    whole: BindData | CampaignData,
    accepted_ms: int,
    validity: tuple[int, int],
    rules: TermRules,
) -> Bind:
    term = normalise(written)
    for name in rules.required:
        if not getattr(whole, name).strip():
            raise Undecodable(
                f"data.{name}: missing, and terms.required in topology.yaml asks for it; give "
                f"--{name}",
                f"data.{name}.missing",
            )
    category = _category(data.category or rules.default_category)
    return _change(
        Bind,
        whole,
        term=term,
        written=written,
        aliases=_aliases(term, data.aliases),
        category=category,
        position=rules.position_of(category),
        selector=_selector(data.selector, rules),
        accepted_ms=accepted_ms,
        from_ms=validity[0],
        until_ms=validity[1],
    )


def _campaign(name: str, data: CampaignData, accepted_ms: int, rules: TermRules) -> Campaign:
    validity = _validity(data, accepted_ms, rules)
    binds: dict[str, Bind] = {}
    for number, one in enumerate(data.terms):
        term = normalise(one.word)
        if not term or term in binds:
            why = "is there twice" if term else "has no letter or digit"
            raise Undecodable(f"data.terms[{number}].word: {one.word!r} {why}", "data.terms.word")
        try:
            binds[term] = _bind(one.word, one, data, accepted_ms, validity, rules)
        except Undecodable as error:
            raise Undecodable(f"data.terms[{number}]: {error}", error.kind) from error
    return _change(Campaign, data, name=name, binds=tuple(binds.values()))


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
    return _change(
        Adjust,
        data,
        term=term,
        add=tuple(data.add),
        exclude=tuple(data.exclude),
        pins=None if data.pins is None else _unique(data.pins),
        accepted_ms=accepted_ms,
    )


def _unique(ids: list[str]) -> tuple[str, ...]:
    """The ids in their order, without repetitions."""
    return tuple(dict.fromkeys(ids))


def _selector(data: SelectorData, rules: TermRules) -> Selector:
    named = len(data.items) + len(data.plus) + len(data.minus)
    if named > rules.items_per_selector:
        raise Undecodable(
            f"data.selector.items: {named} items, terms.items_per_selector allows "
            f"{rules.items_per_selector}",
            "data.selector.items.length",
        )
    selector = Selector(
        data.match,
        tuple(data.items),
        data.where,
        _unique(data.plus),
        _unique(data.minus),
        _unique(data.pins),
    )
    try:
        compile_selector(selector)
    except SelectorInvalid as error:
        raise Undecodable(f"data.selector: {error}", "data.selector.invalid") from error
    return selector


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The last millisecond of the calendar that datetime knows.
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def _ms(time: datetime) -> int:
    """Milliseconds since the epoch.

    Raises: Undecodable for a time that its offset moves out of the calendar.
    """
    ms = (time - _EPOCH) // timedelta(milliseconds=1)
    # 0 stands for at once and for never.
    if not 0 < ms <= _LAST_MS:
        raise Undecodable(
            f"data: {time} is no time after 1970-01-01T00:00Z and before the year 10000",
            "data.moment.range",
        )
    return ms


def encode_term(
    subject: str, data: TermData, source: str, time: str = "", audience: str = ""
) -> bytes:
    """An event about a term or a campaign; its type follows from the type of the data."""
    id_ = event_id(subject, data.revision)
    return encode_event(TYPES[type(data)], subject, data, source, id_, time, audience)
