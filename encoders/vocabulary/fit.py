"""Fit a vocabulary to a catalog: one pass that counts, then the forms of each word merged.

    spelling      plurals, British and American forms, written apart or together (spelling.py)
    misspelling   a rare form one edit from a frequent word of its category (misspelling.py)

A colour keeps its own word and slot; the family that it is a shade of is told beside it.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from kae.encoders.categories import Group
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.items import Item
from kae.encoders.text.seeds import seeds
from kae.encoders.text.spelling import one_spelling
from kae.encoders.vocabulary.evidence import Evidence, EvidenceLimits
from kae.encoders.vocabulary.misspelling import Misspellings
from kae.encoders.vocabulary.vocabulary import Form, Vocabulary, VocabularyEntry

BOUNDS = EvidenceLimits()


def learn_vocabulary(
    items: Iterable[Item],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    candidates: Mapping[str, int] | None = None,
    bounds: EvidenceLimits = BOUNDS,
) -> Vocabulary:
    """The words of a catalog, whichever the groups are; `candidates` have their category.

    The same items give the same vocabulary; their order matters only once words were forgotten.
    """
    given = candidates or {}
    evidence = Evidence(fields, given, bounds)
    extractor = Extractor(Codebook(groups, dict(fields), ()))
    for item in items:
        evidence.add(item, extractor.of_fields(item))
    merged = _Merged(evidence.items, seeds().keys() | given.keys())
    for category, form in evidence.forms():
        merged.add(category, form)
    for of, form in evidence.rest():
        merged.add_rare(of, form)
    return Vocabulary(dict(fields), list(merged.entries()), evidence.items, evidence.uncounted)


class _Merged:
    """The forms of words, gathered by category and by the spelling that they share."""

    def __init__(self, items: int, words: Container[str]) -> None:
        self._words = words  # whatever they are like, no misspellings
        self._forms: dict[tuple[int, str], dict[str, Form]] = {}
        self._mostly: dict[str, int] = {}  # of a spelling, the category that most items have it in
        self._known: set[str] = set()
        self._slips = Misspellings(items)

    def add(self, category: int, form: Form) -> None:
        """Take a word in; the most frequent come first."""
        self._known.add(form.word)
        spelling = one_spelling(form.word)
        if (category, spelling) not in self._forms and self._add_slip(category, form):
            return
        self._put(category, spelling, form)
        self._mostly.setdefault(spelling, category)
        self._slips.learn(category, form)

    def add_rare(self, of: int | None, form: Form) -> None:
        """Take in what is no word of its own, if it is a form of one; pass over it otherwise."""
        if of is None and form.word in self._known:
            return
        spelling = one_spelling(form.word)
        category = self._mostly.get(spelling) if of is None else of
        if category is not None and (category, spelling) in self._forms:
            self._put(category, spelling, form)
        else:
            self._add_slip(of, form)

    def entries(self) -> Iterator[VocabularyEntry]:
        for (category, _), forms in self._forms.items():
            alike = sorted(forms.values(), key=lambda form: (-form.items, form.word))
            yield VocabularyEntry(category, tuple(alike))

    def _add_slip(self, category: int | None, form: Form) -> bool:
        if form.word in self._words:
            return False
        head = self._slips.head_of(category, form)
        if head:
            self._put(head[0], one_spelling(head[1]), form)
        return head is not None

    def _put(self, category: int, spelling: str, form: Form) -> None:
        forms = self._forms.setdefault((category, spelling), {})
        same = forms.get(form.word)
        if same:
            form = Form(form.word, same.items + form.items, same.origin | form.origin)
        forms[form.word] = form
