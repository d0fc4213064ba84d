import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.sample import FIELDS, GROUPS, catalog, category

from kae.encoders.categories import FieldsInvalid, Group, GroupsInvalid, Slot
from kae.encoders.codebook.codebook import Codebook, CodebookInvalid, CodebookWord
from kae.encoders.fitting.build import build_codebook
from kae.encoders.text.spelling import spelling_key


def test_every_word_leads_to_one_slot_and_back(sample: Codebook) -> None:
    slotted = [word for word in sample.words if word.index]
    assert len(slotted) > 20
    for word in slotted:
        slot = sample.slot_of(word.category, word.word)
        assert slot == Slot(sample.position_of(word.category), word.index)
        head = sample.word_at(slot.position, slot.index)
        assert head is not None
        assert sample.slot_of(*head) == slot
        assert spelling_key(head[1]) == spelling_key(word.word)


def test_head_words_come_first(sample: Codebook) -> None:
    assert sample.word_at(0, 1) == (category("entity"), "toner cartridge")
    assert sample.word_at(1, 1) == (category("brand"), "acme")
    assert sample.word_at(0, 0) is None


def test_spellings_share_a_slot(sample: Codebook) -> None:
    color = category("color")
    assert sample.slot_of(color, "grey") == sample.slot_of(color, "gray") is not None


def test_the_reserved_slots_are_the_top_ones_and_hold_no_word(sample: Codebook) -> None:
    for position, group in enumerate(GROUPS):
        reserved = sample.reserved(position)
        assert reserved == range(group.capacity - group.reserved, group.capacity)
        assert [sample.word_at(position, index) for index in reserved] == [None] * group.reserved


def test_words_beyond_capacity_have_no_slot(tmp_path: Path) -> None:
    small = tuple(Group(group.name, group.categories, 4, 1) for group in GROUPS)
    built = build_codebook(catalog, small, FIELDS, tmp_path)
    entities = [word.word for word in built.words if built.position_of(word.category) == 0]
    with_slot = {index for index in range(4) if built.word_at(0, index)}
    assert with_slot == {1, 2}
    assert built.slot_of(category("entity"), entities[-1]) is None


def test_the_same_catalog_gives_the_same_bytes(sample_folder: Path, tmp_path: Path) -> None:
    shuffled = dict(reversed(FIELDS.items()))
    build_codebook(lambda: iter(catalog()), GROUPS, shuffled, tmp_path)
    for file in sample_folder.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_progress_tells_of_both_passes(tmp_path: Path) -> None:
    told: list[int] = []
    build_codebook(catalog, GROUPS, FIELDS, tmp_path, told.append)
    assert told == sorted(told)
    assert told[-1] == 2 * len(catalog())


def test_the_fingerprint_covers_words_groups_and_fields(sample: Codebook) -> None:
    words, fields = sample.words, sample.fields
    wider = (Group("core", GROUPS[0].categories, 65, 8), *GROUPS[1:])
    others = [
        Codebook(wider, fields, words),
        Codebook(GROUPS, {**fields, "usage": "scene"}, words),
        Codebook(GROUPS, fields, words[:-1]),
        Codebook(GROUPS, fields, [*words[:-1], CodebookWord(category("scene"), "x", 1, 1, True)]),
    ]
    assert len({sample.fingerprint, *(other.fingerprint for other in others)}) == 5


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_refused(
    sample_folder: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    shutil.copytree(sample_folder, folder, dirs_exist_ok=True)
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    with pytest.raises(CodebookInvalid, match="build it with `kae codebook build`"):
        Codebook.load(folder)


def test_a_folder_without_a_codebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodebookInvalid, match="no codebook"):
        Codebook.load(tmp_path)


def test_groups_and_fields_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GroupsInvalid, match="5 declared; declare exactly 6"):
        build_codebook(catalog, GROUPS[:5], FIELDS, tmp_path)
    twice = (Group("core", ("entity", "color"), 64, 8), *GROUPS[1:])
    with pytest.raises(GroupsInvalid, match=r"modifier \(0 times\).*color \(2 times\)"):
        build_codebook(catalog, twice, FIELDS, tmp_path)
    full = (Group("core", GROUPS[0].categories, 64, 63), *GROUPS[1:])
    with pytest.raises(GroupsInvalid, match="leave at least one solo slot"):
        build_codebook(catalog, full, FIELDS, tmp_path)
    with pytest.raises(FieldsInvalid, match="'colour': 'tint' is no category"):
        build_codebook(catalog, GROUPS, {"colour": "tint"}, tmp_path)


def test_an_empty_catalog_gives_an_empty_codebook(tmp_path: Path) -> None:
    built = build_codebook(list, GROUPS, FIELDS, tmp_path)
    assert built.words == ()
    assert Codebook.load(tmp_path).fingerprint == built.fingerprint
