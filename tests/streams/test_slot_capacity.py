"""The capacity of reserved slots over time, from a bindings log that a real registrar wrote."""

import pytest
from tests.streams.followed import Followed
from tests.streams.test_term_history import past

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.selector import Selector
from kae.sinks.log.term_changes import Bind
from kae.streams.clock import DAY_MS, rfc3339
from kae.streams.terms.capacity import Capacity, PositionCapacity, capacity_of


def capacity(followed: Followed, items: dict[str, int]) -> Capacity:
    groups = followed.codebook.groups
    return capacity_of(past(followed), groups, items, followed.tick(), 30, quarantine_ms=60_000)


def of_entities(followed: Followed, **items: int) -> PositionCapacity:
    position = followed.codebook.position_of(CATEGORY_INDEX["entity"])
    return capacity(followed, items).positions[position]


def ending(followed: Followed, term: str, until_ms: int) -> Bind:
    entity = CATEGORY_INDEX["entity"]
    position, selector = followed.codebook.position_of(entity), Selector(match=term)
    return Bind(term, 1, (), entity, position, selector, "ann", "", followed.now, 0, until_ms)


def test_without_a_day_of_history_there_is_no_trend(followed: Followed) -> None:
    assert of_entities(followed).forecast.startswith("no trend: 0.0 hours are recorded")
    followed.bind("first", match="black")
    followed.now += DAY_MS // 2
    seen = of_entities(followed)
    assert (seen.used, seen.taken_per_day, seen.full_ms) == (1, None, None)
    assert seen.forecast == "no trend: 12.0 hours are recorded, a day is the least"


def test_what_is_taken_a_day_tells_when_no_slot_is_left(followed: Followed) -> None:
    followed.bind("first", match="black")
    for day in range(10):
        followed.now += DAY_MS
        followed.bind(f"word {day}", match="black")
        followed.bind(f"other {day}", match="black")
    seen = of_entities(followed)
    assert seen.used == 21
    assert seen.taken_per_day == pytest.approx(2)
    assert ((seen.full_ms or 0) - followed.now) / DAY_MS == pytest.approx(seen.free / 2)
    assert seen.forecast == f"full by {rfc3339(seen.full_ms or 0)[:10]}, at 2.00 a day"
    followed.now += 31 * DAY_MS
    assert of_entities(followed).forecast == "no trend: no more taken than freed in 30 days"


def test_what_rests_is_neither_used_nor_free_and_comes_back_at_a_time(followed: Followed) -> None:
    followed.bind("kept", match="black")
    followed.bind("gone", match="black")
    followed.release("gone")
    seen = of_entities(followed)
    assert (seen.used, seen.quarantined, seen.free) == (1, 1, seen.reserved - 2)
    assert seen.next_free_ms == followed.now - 10 + 60_000


def test_candidates_to_release_end_soonest_or_have_the_fewest_items(followed: Followed) -> None:
    for number in range(5):
        followed.register(ending(followed, f"ends {number}", 10_000_000 - number))
        followed.bind(f"stays {number}", match="black")
    items = {f"stays {number}": 9 - number for number in range(5)}
    told = [(one.term, one.why, one.items) for one in of_entities(followed, **items).candidates]
    assert told == [
        ("ends 4", "ends soonest", None),
        ("ends 3", "ends soonest", None),
        ("ends 2", "ends soonest", None),
        ("stays 4", "fewest items", 5),
        ("stays 3", "fewest items", 6),
        ("stays 2", "fewest items", 7),
    ]
