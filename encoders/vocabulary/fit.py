"""Fit a vocabulary to a catalog: count words in one pass, then merge the forms of each word.

    spelling      plurals, British and American forms, joined or separate (text/spelling.py)
    misspelling   a rare form one edit away from a frequent word of its category (misspelling.py)

A shade keeps its own word and slot; the basic colour that it belongs to is recorded beside it.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from kae.encoders.categories import Group
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.extraction.extract import Extractor
from kae.encoders.items import Item
from kae.encoders.text.bundled_words import bundled_words
from kae.encoders.text.search_form import NEWEST_FORM, SearchForm
from kae.encoders.text.spelling import spelling_key
from kae.encoders.vocabulary.evidence import Evidence, EvidenceLimits
from kae.encoders.vocabulary.misspelling import MisspellingIndex
from kae.encoders.vocabulary.vocabulary import Form, Vocabulary, VocabularyEntry

DEFAULT_LIMITS = EvidenceLimits()


def learn_vocabulary(
    items: Iterable[Item],
    groups: Sequence[Group],
    fields: Mapping[str, str],
    candidates: Mapping[str, int] | None = None,
    limits: EvidenceLimits = DEFAULT_LIMITS,
    form: SearchForm = NEWEST_FORM,
) -> Vocabulary:
    """Learn the words of a catalog; `candidates` map words to categories.

    The result does not depend on the groups, and on the order of items only once rare words were
    dropped.
    """
    known_candidates = candidates or {}
    evidence = Evidence(fields, known_candidates, limits, form)
    extractor = Extractor(Codebook(groups, dict(fields), (), form=form))
    for item in items:
        evidence.add(item, extractor.of_fields(item))
    merged = _Merged(evidence.items, bundled_words().keys() | known_candidates.keys())
    for category, word in evidence.forms():
        merged.add(category, word)
    for of, word in evidence.rare_forms():
        merged.add_rare(of, word)
    return Vocabulary(
        dict(fields), list(merged.entries()), evidence.items, evidence.uncounted, form
    )


class _Merged:
    """The forms of words, merged by category and spelling key."""

    def __init__(self, items: int, words: Container[str]) -> None:
        self._words = words  # never misspellings
        self._forms: dict[tuple[int, str], dict[str, Form]] = {}
        self._main_category: dict[str, int] = {}  # the category that most items have a spelling in
        self._known: set[str] = set()
        self._misspellings = MisspellingIndex(items)

    def add(self, category: int, form: Form) -> None:
        """Add a word; call it for the most frequent words first."""
        self._known.add(form.word)
        spelling = spelling_key(form.word)
        if (category, spelling) not in self._forms and self._add_misspelling(category, form):
            return
        self._put(category, spelling, form)
        self._main_category.setdefault(spelling, category)
        self._misspellings.learn(category, form)

    def add_rare(self, of: int | None, form: Form) -> None:
        """Add a rare form to the word that it is a form of; skip it if there is none."""
        if of is None and form.word in self._known:
            return
        spelling = spelling_key(form.word)
        category = self._main_category.get(spelling) if of is None else of
        if category is not None and (category, spelling) in self._forms:
            self._put(category, spelling, form)
        else:
            self._add_misspelling(of, form)

    def entries(self) -> Iterator[VocabularyEntry]:
        for (category, _), forms in self._forms.items():
            alike = sorted(forms.values(), key=lambda form: (-form.items, form.word))
            yield VocabularyEntry(category, tuple(alike))

    def _add_misspelling(self, category: int | None, form: Form) -> bool:
        if form.word in self._words:
            return False
        head = self._misspellings.head_of(category, form)
        if head:
            self._put(head[0], spelling_key(head[1]), form)
        return head is not None

    def _put(self, category: int, spelling: str, form: Form) -> None:
        forms = self._forms.setdefault((category, spelling), {})
        same = forms.get(form.word)
        if same:
            form = Form(form.word, same.items + form.items, same.origin | form.origin)
        forms[form.word] = form
