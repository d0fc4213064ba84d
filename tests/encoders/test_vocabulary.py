"""A catalog's vocabulary: its words, the forms of each, their item counts and sources."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.sample import FIELDS, GROUPS, catalog, category
from tests.icecat import FIELDS as MAPPED
from tests.icecat import GROUPS as DECLARED
from tests.icecat import catalog_items

from kae.encoders.bounded import BoundedCounts
from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fitting.build import build_codebook
from kae.encoders.fitting.fit import fit_codebook
from kae.encoders.groups.fit import fit_groups
from kae.encoders.groups.merge import MergeWeights
from kae.encoders.items import Item
from kae.encoders.text.bundled_words import color_family
from kae.encoders.text.spelling import spelling_key
from kae.encoders.vocabulary.evidence import EvidenceLimits
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.misspelling import is_misspelling
from kae.encoders.vocabulary.vocabulary import (
    Form,
    Vocabulary,
    VocabularyEntry,
    VocabularyInvalid,
    WordOrigin,
)


def learned(
    items: Iterable[Item],
    fields: dict[str, str] = FIELDS,
    candidates: Mapping[str, int] | None = None,
    bounds: EvidenceLimits | None = None,
) -> Vocabulary:
    return learn_vocabulary(items, GROUPS, fields, candidates, bounds or EvidenceLimits())


def entry(vocabulary: Vocabulary, name: str, head: str) -> VocabularyEntry:
    (found,) = [
        each
        for each in vocabulary.entries
        if (each.category, each.head.word) == (category(name), head)
    ]
    return found


def titled(*titles: str, **fields: str | list[str]) -> list[Item]:
    return [Item(str(number), title, fields=dict(fields)) for number, title in enumerate(titles)]


# What a vocabulary says.


def test_a_word_says_who_has_it_and_who_says_so() -> None:
    vocabulary = learned(catalog())
    assert entry(vocabulary, "brand", "bolt").head == Form("bolt", 3, WordOrigin.FIELD)
    assert entry(vocabulary, "color", "black").head == Form(
        "black", 1, WordOrigin.FIELD | WordOrigin.SEED
    )
    assert entry(vocabulary, "entity", "cable").head == Form("cable", 2, WordOrigin.TITLE)
    # No field says for whom the shoes are.
    assert entry(vocabulary, "audience", "women").head.origin == WordOrigin.TITLE | WordOrigin.SEED


def test_other_spellings_are_aliases_with_counts_of_their_own() -> None:
    alike = entry(learned(catalog()), "entity", "toner cartridge")
    assert alike.forms == (
        Form("toner cartridge", 2, WordOrigin.TITLE),
        Form("toner cartridges", 1, WordOrigin.TITLE),
    )
    assert list(alike.misspelled) == []


def test_a_measure_has_one_form_whatever_its_spelling() -> None:
    items = titled("a", size=["16 GB", "16.0gb"]) + titled("b", size="16GB")
    vocabulary = learned(items, {"size": "specification"})
    assert entry(vocabulary, "specification", "16gb").forms == (Form("16gb", 2, WordOrigin.FIELD),)


def test_a_colour_tells_its_family_and_keeps_its_own_word() -> None:
    items = [
        Item(str(number), "shirt", fields={"colour": colour})
        for number, colour in enumerate(
            ["Navy", "Navy", "Blue", "Dunkelblau", "Bleu marine", "黑色"]
        )
    ]
    vocabulary = learned(items)
    families = {each.head.word: each.family for each in vocabulary.entries if each.family}
    assert families == {"navy": "blue", "blue": "blue", "bleu marine": "blue", "黑 色": "black"}
    assert {"navy", "blue"} <= vocabulary.dictionary.keys()


@pytest.mark.parametrize(
    ("color", "family"),
    [
        ("navy", "blue"),
        ("dark navy", "blue"),
        ("blue green", "green"),
        ("grey", "gray"),
        ("schwarz", "black"),
        ("multicolour", ""),
    ],
)
def test_the_family_of_a_colour(color: str, family: str) -> None:
    assert color_family(color) == family


# Misspellings.


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("cartridge", "catridge"),
        ("cartridge", "carttridge"),
        ("cartridge", "cartrigde"),
        ("cartridge", "cartradge"),
        ("toner cartridge", "toner catridge"),
        ("принтеры", "принтры"),
        ("ασύρματο", "ασύματο"),
    ],
)
def test_one_edit_inside_a_long_token_is_a_slip(right: str, wrong: str) -> None:
    assert is_misspelling(right, wrong)


@pytest.mark.parametrize(
    ("right", "other"),
    [
        ("cable", "table"),  # another first letter
        ("printer", "printed"),  # another ending
        ("shaver", "shave"),
        ("frame", "flame"),  # too short for another letter
        ("trip", "tip"),  # too short
        ("black ink", "black pink"),
        ("model 1200a", "model 1300a"),  # digits
        ("cartridge", "catrigde"),  # two edits
        ("ink jet", "inkjets"),
        ("无 线 鼠 标", "无 线 鼠"),
    ],
)
def test_what_is_another_word_is_no_slip(right: str, other: str) -> None:
    assert not is_misspelling(right, other)


WORDS = st.text("abc", min_size=5, max_size=9)


@given(WORDS, st.integers(1, 8), st.sampled_from(["drop", "double", "swap"]))
def test_a_letter_dropped_doubled_or_swapped_inside_is_a_slip(
    word: str, place: int, what: str
) -> None:
    place = min(place, len(word) - 3)
    head, letter, tail = word[:place], word[place], word[place + 1 :]
    wrong = {
        "drop": head + tail,
        "double": head + 2 * letter + tail,
        "swap": head + tail[:1] + letter + tail[1:],
    }[what]
    expected = wrong != word and min(len(word), len(wrong)) >= 5 and wrong[-1] == word[-1]
    assert is_misspelling(word, wrong) == is_misspelling(wrong, word) == expected


def misspelled(times: int, wrong: int, slip: str = "Catridge") -> list[Item]:
    others = ["Desk Lamp"] * times
    return titled(*["Toner Cartridge"] * times, *[f"Toner {slip}"] * wrong, *others)


def test_a_rare_slip_is_an_alias_of_the_frequent_word() -> None:
    vocabulary = learned(misspelled(40, 2))
    alike = entry(vocabulary, "entity", "cartridge")
    assert [form.word for form in alike.misspelled] == ["catridge"]
    assert alike.forms[1] == Form("catridge", 2, WordOrigin.TITLE)
    assert vocabulary.dictionary["catridge"] == category("entity")


def test_a_slip_that_is_not_rare_is_a_word() -> None:
    assert entry(learned(misspelled(39, 2)), "entity", "catridge").head.items == 2
    # Nor one with too many items, however frequent the other is.
    assert entry(learned(misspelled(400, 4)), "entity", "catridge").head.items == 4


def test_a_listed_word_is_never_taken_for_a_slip() -> None:
    """Crewneck and crew neck aside: a bundled list says that it is a word."""
    items = [Item(str(n), "thing", fields={"colour": "Marroon"}) for n in range(60)]
    items += [Item("m", "thing", fields={"colour": "Maroon"})]
    assert [each.head.word for each in learned(items).entries if each.family] == ["maroon"]
    assert not list(entry(learned(items), "color", "maroon").misspelled)


def test_a_slip_in_a_field_stays_in_its_category() -> None:
    items = [Item(str(n), "thing", fields={"brand": "Vellantor"}) for n in range(40)]
    items += [Item("a", "thing", fields={"brand": "Velantor"})]
    items += [Item("b", "thing", fields={"colour": "Vellanntor"})]
    vocabulary = learned(items)
    assert [f.word for f in entry(vocabulary, "brand", "vellantor").misspelled] == ["velantor"]
    assert entry(vocabulary, "color", "vellanntor").head.items == 1


def test_a_slip_that_no_word_of_its_own_would_be_is_found_in_titles() -> None:
    """In a catalog of a thousand items, one title is too few for a word, and enough for a slip."""
    items = [*misspelled(1200, 1), *titled("Toner Quartzite")]
    vocabulary = learned(items)
    assert "catridge" in vocabulary.dictionary
    assert "quartzite" not in vocabulary.dictionary


def test_aliases_share_the_slot_of_their_head_in_every_codebook(tmp_path: Path) -> None:
    items = misspelled(40, 2)
    fit = fit_groups(
        CatalogReader(lambda: items), GROUPS, FIELDS, MergeWeights(), keep_declared=True
    )
    for codebook in (
        fit_codebook(fit, FIELDS, 1),
        build_codebook(lambda: items, GROUPS, FIELDS, tmp_path),
    ):
        entity = category("entity")
        slot = codebook.slot_of(entity, "toner cartridge")
        assert slot is not None
        assert codebook.slot_of(entity, "toner catridge") == slot
        assert codebook.word_at(slot.position, slot.index) == (entity, "toner cartridge")
        wrong, right = Encoder(codebook).encode_all([Item("1", "Acme toner catridge"), items[0]])
        assert wrong.identifier[0] == right.identifier[0] == slot.index
        # A text keeps the word that it was written with.
        assert "toner catridge" in [found.word for found in wrong.attributes]


def test_merged_words_lose_no_form() -> None:
    items = catalog_items(1500)
    vocabulary = learned(items, dict(MAPPED))
    forms = Counter(
        (each.category, form.word) for each in vocabulary.entries for form in each.forms
    )
    assert set(forms.values()) == {1}
    for each in vocabulary.entries:
        right = spelling_key(each.head.word)
        for form in each.forms[1:]:
            assert form.items <= each.head.items
            assert spelling_key(form.word) == right or is_slip_of_any(each, form)


def is_slip_of_any(each: VocabularyEntry, form: Form) -> bool:
    return any(is_misspelling(other.word, form.word) for other in each.forms)


# Bounded memory.


@given(st.lists(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=6)), st.integers(1, 8))
def test_bounded_counts_are_never_too_high_and_known_to_be_so_much_too_low(
    batches: list[list[str]], most: int
) -> None:
    counts: BoundedCounts[str] = BoundedCounts(most)
    true: Counter[str] = Counter()
    for batch in batches:
        counts.update(batch)
        true.update(batch)
        forgotten = counts.drop_rarest()
        assert len(counts) <= most
        assert not counts.keys() & set(forgotten)
    for key, count in true.items():
        assert count - counts.max_undercount <= counts[key] <= count


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_a_bounded_vocabulary_is_right_about_frequent_words(random: object) -> None:
    items = [
        Item(
            str(number),
            f"{'desk' * (number % 3 == 0)} {letters(number)} lamp",
            fields={"brand": f"brand {letters(number)}" if number % 2 else "Acme"},
        )
        for number in range(600)
    ]
    random.shuffle(items)  # type: ignore[attr-defined]
    tiny = EvidenceLimits(ngrams=60, field_words=20, forms=40)
    vocabulary, whole = learned(items, bounds=tiny), learned(items)
    assert whole.uncounted == 0 < vocabulary.uncounted < 300
    assert sum(len(each.forms) for each in vocabulary.entries) <= 40
    for name, head in (("entity", "lamp"), ("brand", "acme")):
        true = entry(whole, name, head).head
        counted = entry(vocabulary, name, head).head
        assert true.items - vocabulary.uncounted <= counted.items <= true.items
        assert counted.items == true.items  # of the very frequent nothing is forgotten


def letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


# The folder.


@pytest.fixture(scope="module")
def icecat() -> Vocabulary:
    return learn_vocabulary(catalog_items(1500), DECLARED, MAPPED)


def test_the_folder_is_read_as_it_was_written(icecat: Vocabulary, tmp_path: Path) -> None:
    icecat.save(tmp_path)
    again = Vocabulary.load(tmp_path)
    assert again.entries == icecat.entries
    assert again.dictionary == icecat.dictionary
    assert (again.fields, again.catalog_items, again.fingerprint) == (
        icecat.fields,
        1500,
        icecat.fingerprint,
    )


def test_the_same_items_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    one, other = learned(catalog()), learned(reversed(catalog()))
    one.save(tmp_path / "one")
    other.save(tmp_path / "other")
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "other" / file.name).read_bytes() == file.read_bytes()


def test_a_vocabulary_that_was_read_gives_the_codebook_that_it_would_have_given(
    tmp_path: Path,
) -> None:
    items = catalog_items(800)
    groups, fields = DECLARED, MAPPED
    learn_vocabulary(items, groups, fields).save(tmp_path / "vocabulary")
    for name, vocabulary in (("one", None), ("other", Vocabulary.load(tmp_path / "vocabulary"))):
        fit = fit_groups(
            CatalogReader(lambda: items), groups, fields, MergeWeights(), vocabulary=vocabulary
        )
        fit_codebook(fit, fields, 1).save(tmp_path / name)
    for file in ("codebook.json", "words.tsv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


@pytest.mark.parametrize("file", ["vocabulary.json", "vocabulary.tsv"])
def test_a_changed_byte_is_refused_with_its_remedy(
    icecat: Vocabulary, tmp_path: Path, file: str
) -> None:
    icecat.save(tmp_path)
    content = bytearray((tmp_path / file).read_bytes())
    for place in range(0, len(content), len(content) // 40):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / file).write_bytes(changed)
        with pytest.raises(VocabularyInvalid, match="kae vocabulary fit"):
            Vocabulary.load(tmp_path)


def test_a_table_that_is_not_in_its_one_form_is_refused(tmp_path: Path) -> None:
    """Also when somebody made the hashes fit."""
    learned(catalog()).save(tmp_path)
    table = tmp_path / "vocabulary.tsv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    swapped = "".join([lines[0], lines[2], lines[1], *lines[3:]])
    table.write_text(swapped, encoding="utf-8")
    manifest = json.loads((tmp_path / "vocabulary.json").read_text(encoding="utf-8"))
    with pytest.raises(VocabularyInvalid) as refused:
        Vocabulary.load(tmp_path)
    manifest["words_blake2b"] = str(refused.value).split("its hash is ")[1][:32]
    (tmp_path / "vocabulary.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    with pytest.raises(VocabularyInvalid, match="its content gives fingerprint"):
        Vocabulary.load(tmp_path)


def test_a_later_format_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    learned(catalog()).save(tmp_path)
    manifest = tmp_path / "vocabulary.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(VocabularyInvalid, match=r"format, normalisation are 2, 2; .* reads 1, 2"):
        Vocabulary.load(tmp_path)
    with pytest.raises(VocabularyInvalid, match="no vocabulary"):
        Vocabulary.load(tmp_path / "nowhere")


def test_no_item_gives_an_empty_vocabulary(tmp_path: Path) -> None:
    learned([]).save(tmp_path)
    assert Vocabulary.load(tmp_path).entries == ()
