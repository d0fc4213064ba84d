"""A profile of one field's values: how many, how varied, of which shape, in which vocabulary."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.text.bundled_words import bundled_words
from kae.encoders.text.measures import is_measure, is_model, is_number
from kae.encoders.text.normal_form import normalise
from kae.encoders.text.values import words_of

# Further distinct values are counted but not kept.
DISTINCT_VALUES = 50_000
VALUE_CHARACTERS = 2000
EXAMPLES = 3
EXAMPLE_CHARACTERS = 40
# How many of the most frequent values are examined.
_EXAMINED_VALUES = 500
_CURRENCY = r"(?:[€$£¥₩₹]|円|元|eur|usd|gbp|jpy|chf|pln|cny|krw|kr)"
_AMOUNT = r"\d{1,3}(?:[., ' ]?\d{3})*(?:[.,]\d{1,2})?"
_PRICE = re.compile(rf"{_CURRENCY}\s?{_AMOUNT}|{_AMOUNT}\s?{_CURRENCY}", re.IGNORECASE)
_SIZE = re.compile(r"(?:\d?x{0,4}[sl]|m|one size|(?:eu|us|uk|it|fr|de) ?\d{1,2})", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")
_URL = re.compile(r"(?:https?:)?//\S+|www\.\S+", re.IGNORECASE)
_MARKUP = re.compile(
    r".*<(?:p|br|div|ul|li|b|strong|span|h\d)\b[^>]*>.*", re.IGNORECASE | re.DOTALL
)
_YES_NO = frozenset(
    "yes no true false y n ja nein si sí oui non はい いいえ".split()  # noqa: SIM905
)


def _is_model(value: str) -> bool:
    return is_model(normalise(value.replace("-", "")))


# A value has the first of these shapes that it matches.
_SHAPES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("address", lambda value: _URL.fullmatch(value) is not None),
    ("markup", lambda value: _MARKUP.fullmatch(value) is not None),
    ("date", lambda value: _DATE.fullmatch(value) is not None),
    ("yes or no", lambda value: value.casefold() in _YES_NO),
    ("price", lambda value: _PRICE.fullmatch(value) is not None),
    ("number", lambda value: is_number(normalise(value))),
    ("size", lambda value: _SIZE.fullmatch(value) is not None),
    ("measure", lambda value: is_measure(normalise(value))),
    ("model number", _is_model),
)


class FieldProfile:
    """Counts the values of one field over items."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items = 0  # items that have a value
        self.values: Counter[str] = Counter()
        self._occurrences = 0
        self._characters = 0

    def add(self, value: str | list[str]) -> None:
        """Count the values of one item."""
        texts = [text for text in ([value] if isinstance(value, str) else value) if text.strip()]
        self.items += bool(texts)
        for text in texts:
            self._occurrences += 1
            self._characters += len(text)
            kept = text.strip()[:VALUE_CHARACTERS]
            if len(self.values) < DISTINCT_VALUES or kept in self.values:
                self.values[kept] += 1

    @property
    def distinct(self) -> int:
        """The number of distinct values, at most DISTINCT_VALUES."""
        return len(self.values)

    @property
    def mean_characters(self) -> float:
        return self._characters / self._occurrences if self._occurrences else 0.0

    def examples(self) -> tuple[str, ...]:
        """Return the most frequent values, shortened."""
        return tuple(_shortened(value) for value, _ in self.values.most_common(EXAMPLES))

    def shape(self) -> tuple[str, float] | None:
        """Return the most frequent shape and its share of the values; None if no value has one."""
        shapes: Counter[str] = Counter()
        for value, times in self._frequent():
            for shape, fits in _SHAPES:
                if fits(value):
                    shapes[shape] += times
                    break
        best = shapes.most_common(1)
        return (best[0][0], best[0][1] / self._frequent_times()) if best else None

    def share_with_words(self, category: str) -> float:
        """Return the share of values that contain a word, if the field had that category."""
        number = CATEGORY_INDEX[category]
        times = sum(n for value, n in self._frequent() if next(words_of(value, number), None))
        return self._share_of_frequent(times)

    def listed(self) -> tuple[str, float] | None:
        """Return the category that the bundled words list most values in, and their share."""
        known = bundled_words()
        categories: Counter[int] = Counter()
        for value, times in self._frequent():
            words = [word for word, _ in words_of(value, CATEGORY_INDEX["specification"])]
            votes = {known[word] for word in words if word in known}
            categories.update(dict.fromkeys(votes, times))
        if not categories:
            return None
        number, times = min(categories.items(), key=lambda entry: (-entry[1], entry[0]))
        name = next(name for name, index in CATEGORY_INDEX.items() if index == number)
        return name, self._share_of_frequent(times)

    def _frequent(self) -> Sequence[tuple[str, int]]:
        return self.values.most_common(_EXAMINED_VALUES)

    def _frequent_times(self) -> int:
        return sum(times for _, times in self._frequent())

    def _share_of_frequent(self, times: int) -> float:
        return times / self._frequent_times() if times else 0.0


def _shortened(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= EXAMPLE_CHARACTERS else line[: EXAMPLE_CHARACTERS - 1] + "…"
