"""`kae vocabulary fit | candidates`, and `kae codebook fit` on a vocabulary."""

from pathlib import Path

import msgspec
import pytest
from tests.icecat import catalog_items
from tests.warm import run_kae

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.vocabulary.candidates import read_candidates
from kae.encoders.vocabulary.vocabulary import Vocabulary, WordOrigin
from kae.streams.codebooks.fit import CodebookFitted
from kae.streams.codebooks.vocabulary import CandidatesFound, VocabularyFitted

pytestmark = pytest.mark.long

ITEMS = 400


def kae(*arguments: object, code: int = 0) -> tuple[str, str]:
    ended = run_kae(*map(str, arguments))
    assert ended.returncode == code, ended.stderr
    return ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("feed") / "feed.jsonl"
    items = catalog_items(ITEMS)
    rows = (
        {"id": item.id, "title": item.title, "description": item.description, **item.fields}
        for item in items
    )
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def folder(feed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary")
    kae("vocabulary", "fit", feed, "--out", path, "--json")
    return path


def test_a_vocabulary_is_fitted_and_told_of(feed: Path, tmp_path: Path) -> None:
    report = msgspec.json.decode(
        kae("vocabulary", "fit", feed, "--out", tmp_path, "--json")[0], type=VocabularyFitted
    )
    vocabulary = Vocabulary.load(tmp_path)
    assert report.fingerprint == vocabulary.fingerprint
    assert (report.items, report.rejected, report.uncounted) == (ITEMS, 0, 0)
    assert report.words == len(vocabulary.entries) == sum(c.words for c in report.categories)
    brand = next(c for c in report.categories if c.category == "brand")
    assert brand.by_source["field"] == brand.words > 0
    assert report.candidates is None
    shown, err = kae("vocabulary", "fit", feed, "--out", tmp_path)
    assert "brand" in shown
    assert err == ""


def test_a_vocabulary_made_before_gives_the_same_codebook(
    feed: Path, folder: Path, tmp_path: Path
) -> None:
    at_once = kae("codebook", "fit", feed, "--out", tmp_path / "one", "--json")[0]
    kae("codebook", "fit", feed, "--out", tmp_path / "two", "--vocabulary", folder, "--json")
    for name in ("codebook.json", "words.tsv", "groups.yaml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    # And what was fitted in the same go is the vocabulary that would have been made before.
    for name in ("vocabulary.json", "vocabulary.tsv"):
        fitted = tmp_path / "one" / "vocabulary" / name
        assert fitted.read_bytes() == (folder / name).read_bytes()
    assert not (tmp_path / "two" / "vocabulary").exists()
    report = msgspec.json.decode(at_once, type=CodebookFitted)
    assert report.vocabulary == Vocabulary.load(folder).fingerprint


def test_candidates_are_found_written_and_taken_up(
    feed: Path, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "candidates.tsv"
    find = ("vocabulary", "candidates", feed, "--vocabulary", folder, "--sample", 500)
    out, _ = kae(*find, "--out", file, "--limit", 20, "--json")
    found = msgspec.json.decode(out, type=CandidatesFound)
    assert found.titles <= ITEMS
    assert found.found == sum(found.categories.values()) >= len(found.candidates) == 20
    known = Vocabulary.load(folder).dictionary
    assert not known.keys() & {one.word for one in found.candidates}
    assert read_candidates(file).keys() == {one.word for one in found.candidates}
    again = msgspec.json.decode(kae(*find, "--limit", 20, "--json")[0], type=CandidatesFound)
    assert again.candidates == found.candidates

    with file.open("a", encoding="utf-8") as table:
        table.write("brand\tquixomat\n")
    fit = kae("vocabulary", "fit", feed, "--candidates", file, "--out", tmp_path / "v", "--json")
    became = msgspec.json.decode(fit[0], type=VocabularyFitted).candidates
    assert became is not None
    assert (became.taken, became.known, became.absent) == (20, 0, 1)
    arguments = ("codebook", "fit", feed, "--candidates", file, "--out", tmp_path / "c")
    assert "candidates: 20 accepted" in kae(*arguments)[0]
    scanned = {word.word for word in Codebook.load(tmp_path / "c").words if word.scanned}
    assert len(scanned & {one.word for one in found.candidates}) > 10


def test_a_codebook_can_be_fitted_with_what_the_tagger_finds(feed: Path, tmp_path: Path) -> None:
    out, _ = kae("codebook", "fit", feed, "--out", tmp_path, "--sample", ITEMS, "--json")
    report = msgspec.json.decode(out, type=CodebookFitted)
    assert report.candidates is not None
    assert report.candidates.taken > 0
    told = [
        form
        for entry in Vocabulary.load(tmp_path / "vocabulary").entries
        for form in entry.forms
        if WordOrigin.TAGGER in form.origin
    ]
    # What a single title has is left to people.
    assert len(told) == report.candidates.taken
    assert min(form.items for form in told) >= 2


def test_without_a_tagger_there_are_no_candidates(feed: Path, folder: Path) -> None:
    find = ("vocabulary", "candidates", feed, "--vocabulary", folder, "--tagger", "none", "--json")
    found = msgspec.json.decode(kae(*find)[0], type=CandidatesFound)
    assert (found.tagger, found.titles, found.found) == ("none", 0, 0)


def test_what_cannot_be_used_is_refused_in_one_line(
    feed: Path, folder: Path, tmp_path: Path
) -> None:
    topology = tmp_path / "topology.yaml"
    text = (Path(__file__).parents[2] / "topology.yaml").read_text(encoding="utf-8")
    topology.write_text(text.replace("    brand: brand\n", ""), encoding="utf-8")
    use = ("codebook", "fit", feed, "--out", tmp_path / "c", "--vocabulary")
    _, err = kae(*use, folder, "--topology", topology, code=1)
    assert err.count("\n") == 1
    assert "fitted with another field mapping" in err
    _, err = kae(*use, tmp_path / "nowhere", code=1)
    assert "no vocabulary" in err
    _, err = kae(*use, folder, "--sample", 10, code=2)
    assert "--vocabulary excludes" in " ".join(err.replace("│", "").split())
