"""Counting in bounded memory: no frequent word is lost, and no count is too high."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from kae.streams.replica.unknown_words import HeavyHitters, WordFrequency


@settings(deadline=None)
@given(st.lists(st.sampled_from("aaaabbbccdefghijkl"), max_size=200), st.integers(1, 8))
def test_counts_are_within_their_bounds_and_frequent_keys_are_kept(
    words: list[str], counters: int
) -> None:
    heavy, true = HeavyHitters(counters), Counter(words)
    for word in words:
        heavy.count(word)
    kept = {one.word: one for one in heavy.frequent(0)}
    assert len(kept) <= counters
    for one in kept.values():
        assert one.least <= true[one.word] <= one.most <= one.least + len(words) / counters
    assert {word for word, times in true.items() if times > len(words) / counters} <= kept.keys()


def test_only_certainly_frequent_keys_are_listed_the_most_frequent_first() -> None:
    heavy = HeavyHitters(3)
    for word in "aabbbc":
        heavy.count(word)
    assert heavy.frequent(2) == [WordFrequency("b", 3, 3), WordFrequency("a", 2, 2)]
    heavy.count("d")
    assert heavy.frequent(1) == [
        WordFrequency("b", 3, 3),
        WordFrequency("a", 2, 2),
        WordFrequency("d", 1, 2),
    ]
