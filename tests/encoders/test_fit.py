"""A fitted codebook: every word has a slot, similar words share one, and bytes are reproducible."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.encoders.sample import FIELDS, GROUPS, catalog, category
from tests.icecat import FIELDS as MAPPED
from tests.icecat import GROUPS as DECLARED
from tests.icecat import catalog_items

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.categories import Group, GroupsInvalid, Slot
from kae.encoders.codebook.codebook import Codebook, CodebookInvalid, CodebookWord
from kae.encoders.extraction.assign import Encoder
from kae.encoders.fitting.build import build_codebook
from kae.encoders.fitting.fit import fit_codebook
from kae.encoders.groups.fit import fit_groups
from kae.encoders.groups.merge import MergeWeights
from kae.encoders.items import Item
from kae.encoders.query import BoundTerms, QueryEncoder
from kae.encoders.text.spelling import spelling_key

SMALL = tuple(replace(group, capacity=40, reserved=8) for group in DECLARED)


def fitted(
    items: list[Item],
    groups: tuple[Group, ...] = SMALL,
    fields: dict[str, str] = MAPPED,
    seed: int = 1,
) -> Codebook:
    fit = fit_groups(
        CatalogReader(lambda: items), groups, fields, MergeWeights(), keep_declared=True
    )
    return fit_codebook(fit, fields, seed)


@pytest.fixture(scope="module")
def icecat() -> list[Item]:
    return catalog_items(1500)


@pytest.fixture(scope="module")
def crowded(icecat: list[Item]) -> Codebook:
    """A codebook with many more words than slots."""
    return fitted(icecat)


def test_every_word_that_an_item_has_gets_a_slot(crowded: Codebook, icecat: list[Item]) -> None:
    assert all(word.index for word in crowded.words)
    for encoded in Encoder(crowded).encode_all(icecat):
        for attribute in encoded.attributes:
            assert crowded.slot_of(attribute.category, attribute.word) is not None
        positions = {crowded.position_of(found.category) for found in encoded.attributes}
        assert {p for p, index in enumerate(encoded.identifier) if index} == positions


def test_slots_are_empty_solo_cluster_and_reserved_in_this_order(crowded: Codebook) -> None:
    assert crowded.solo_slots is not None
    for position, solo in enumerate(crowded.solo_slots):
        slots = {w.index for w in crowded.words if crowded.position_of(w.category) == position}
        assert slots == set(range(1, len(slots) + 1))
        assert max(slots) < crowded.reserved(position).start == 32
        for index in slots:
            words = [
                w.word
                for w in crowded.words
                if crowded.position_of(w.category) == position and w.index == index
            ]
            if index <= solo:
                assert len(set(map(spelling_key, words))) == 1
    assert crowded.solo_slots[0] == 15
    assert not crowded.is_cluster(0, 15)
    assert crowded.is_cluster(0, 16)


def test_a_full_position_leaves_no_slot_unused(crowded: Codebook) -> None:
    used = {word.index for word in crowded.words if crowded.position_of(word.category) == 0}
    assert used == set(range(1, 32))


def test_words_that_are_written_alike_share_a_cluster() -> None:
    """Typos of one brand lie together, whatever else there is."""
    right = ["vellantor", "quixomat", "brodikern"]
    typos = ["vellantorr", "velantor", "quixomatt", "quixomaat", "brodikernn", "brodikrn"]
    brands = ["acme", "bolt", "casa"] * 20 + right * 3 + typos
    items = [Item(str(n), "thing", fields={"brand": brand}) for n, brand in enumerate(brands)]
    three_clusters = tuple(replace(group, capacity=8, reserved=1) for group in GROUPS)
    codebook = fitted(items, three_clusters, {"brand": "brand"})
    slots = {word: codebook.slot_of(category("brand"), word) for word in brands}
    for typo in typos:
        assert [word for word in right if slots[word] == slots[typo]] == [
            word for word in right if word[0] == typo[0]
        ]


def test_what_people_look_at_gets_a_slot_of_its_own_before_what_is_common() -> None:
    brands = ["acme", "bolt", "casa", "dorn", "egon", "fink", "gral", "hohl"]
    common = [brand for times, brand in enumerate(reversed(brands), 1) for _ in range(times)]
    popular = [
        Item(str(n), "thing", fields={"brand": brand}, popularity=90.0 * (brand == "hohl"))
        for n, brand in enumerate(common)
    ]
    unknown = [Item(item.id, item.title, fields=item.fields) for item in popular]
    tight = tuple(replace(group, capacity=8, reserved=1) for group in GROUPS)
    with_feed, without = (fitted(items, tight, {"brand": "brand"}) for items in (popular, unknown))
    rare = category("brand"), "hohl"
    assert with_feed.slot_of(*rare) == Slot(with_feed.position_of(rare[0]), 1)
    beneath = without.slot_of(*rare)
    assert beneath is not None
    assert without.is_cluster(beneath.position, beneath.index)


def test_where_all_words_fit_there_is_no_cluster() -> None:
    codebook = fitted(catalog(), GROUPS, FIELDS)
    assert codebook.solo_slots is not None
    assert not any(
        codebook.is_cluster(codebook.position_of(word.category), word.index)
        for word in codebook.words
    )


@pytest.mark.parametrize(
    "letters",
    [
        "אבגדהוזח",
        "กขคงจฉชซ",
        "的一是不了人我在",
        "가나다라마바사아",
        "жзийклмн",
        "αβγδεζηθ",
        "👍🏽❤️é",
    ],
)
def test_words_of_any_script_find_slots(letters: str) -> None:
    def word(number: int) -> str:
        return "".join(letters[number // 8**place % len(letters)] for place in range(4))

    mapping = {"brand": "brand", "kind": "entity", "tone": "color", "of": "material"}
    mapping |= {"for": "audience", "look": "style"}
    items = [
        Item(
            str(n),
            f"{word(n)} {word(7 * n)}",
            fields={name: word(n * factor) for factor, name in enumerate(mapping, 1) if n % factor},
        )
        for n in range(300)
    ]
    tiny = tuple(replace(group, capacity=24, reserved=4) for group in GROUPS)
    fit = fit_groups(CatalogReader(lambda: items), tiny, mapping, MergeWeights())
    codebook = fit_codebook(fit, mapping, 1)
    assert all(word.index for word in codebook.words)
    encoded = Encoder(codebook).encode_all(items)
    said = {attribute.word for one in encoded for attribute in one.attributes}
    assert {word.word for word in codebook.words} == said


def test_the_same_catalog_and_seed_give_the_same_bytes(
    crowded: Codebook, icecat: list[Item], tmp_path: Path
) -> None:
    crowded.save(tmp_path / "one")
    fitted(icecat).save(tmp_path / "other")
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "other" / file.name).read_bytes() == file.read_bytes()
    assert fitted(icecat, seed=2).fingerprint != crowded.fingerprint


def test_a_query_for_a_word_of_a_cluster_leads_to_its_slot(crowded: Codebook) -> None:
    rare = next(
        word
        for word in reversed(crowded.words)
        if crowded.is_cluster(crowded.position_of(word.category), word.index)
        and word.category == category("model")
    )
    query = QueryEncoder(crowded).encode(rare.word, BoundTerms())
    assert all(clause.slots[Slot(0, rare.index)] == 1.0 for clause in query.clauses)


# The folder.


def test_a_codebook_with_clusters_is_written_as_format_2_and_read_again(
    crowded: Codebook, tmp_path: Path
) -> None:
    crowded.save(tmp_path)
    assert json.loads((tmp_path / "codebook.json").read_text())["format"] == 2
    again = Codebook.load(tmp_path)
    assert again.fingerprint == crowded.fingerprint
    assert (again.words, again.solo_slots) == (crowded.words, crowded.solo_slots)


def test_a_codebook_without_clusters_is_format_1_and_written_as_it_was_read(
    tmp_path: Path,
) -> None:
    build_codebook(catalog, GROUPS, FIELDS, tmp_path / "one")
    assert json.loads((tmp_path / "one" / "codebook.json").read_text())["format"] == 1
    former = Codebook.load(tmp_path / "one")
    assert former.solo_slots is None
    former.save(tmp_path / "other")
    for name in ("codebook.json", "words.tsv"):
        assert (tmp_path / "other" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_a_later_format_is_refused_with_its_remedy(crowded: Codebook, tmp_path: Path) -> None:
    crowded.save(tmp_path)
    manifest = tmp_path / "codebook.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 4'))
    with pytest.raises(CodebookInvalid, match=r"are \(4, .* reads formats 1, 2, 3 .* build"):
        Codebook.load(tmp_path)


def test_solo_slots_beyond_the_capacity_are_refused() -> None:
    words = [CodebookWord(category("entity"), "cable", 1, 1, True)]
    with pytest.raises(GroupsInvalid, match="solo_slots are"):
        Codebook(GROUPS, {}, words, 1, [64, 1, 1, 1, 1, 1])
    with pytest.raises(GroupsInvalid, match="solo_slots are"):
        Codebook(GROUPS, {}, words, 1, [1, 1])


def test_clusters_change_the_fingerprint(tmp_path: Path) -> None:
    built = build_codebook(catalog, GROUPS, FIELDS, tmp_path)
    with_clusters = Codebook(GROUPS, FIELDS, built.words, 9, [2, 2, 2, 2, 2, 2])
    without = Codebook(GROUPS, FIELDS, built.words, 9)
    assert without.fingerprint == built.fingerprint != with_clusters.fingerprint
