"""`kae codebook fit --behaviour`: what people say decides which word represents an item."""

from pathlib import Path

import msgspec
import pytest
from tests.icecat import catalog_items
from tests.warm import run_kae

from kae.encoders.codebook.codebook import CLUSTER_FORMAT, IMPORTANCE_FORMAT, Codebook
from kae.encoders.extraction.assign import Encoder
from kae.encoders.items import Item
from kae.encoders.retriever.query_identifier import QueryIdentifiers
from kae.encoders.text.normal_form import normalise
from kae.streams.codebooks.fit import CodebookFitted

pytestmark = pytest.mark.long

ITEMS = 600


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return catalog_items(ITEMS)


@pytest.fixture(scope="module")
def feed(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("feed") / "feed.jsonl"
    rows = ({"id": item.id, "title": item.title, **item.fields} for item in items)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def asked(item: Item) -> str:
    """The last word of its title that is no number: what it is, or one of its properties."""
    return next((word for word in reversed(normalise(item.title).split()) if word.isalpha()), "")


def shared(codebook: Codebook, items: list[Item]) -> int:
    """Of how many items the identifier has a slot of that of its query."""
    queries, encoder = QueryIdentifiers(codebook), Encoder(codebook)
    return sum(
        any(
            said and said == own
            for said, own in zip(queries.identify(asked(item)), found, strict=True)
        )
        for item in items
        for found in [encoder.encode(item).identifier]
    )


def test_behaviour_makes_the_words_that_people_say_represent_items(
    items: list[Item], feed: Path, tmp_path: Path
) -> None:
    rows = [{"query": asked(item), "clicked": [item.id]} for item in items if asked(item)]
    # Passed over, and told: no list, no words, no choice.
    wrong = [
        {"query": "toner", "clicked": "1"},
        {"query": "!", "clicked": ["1"]},
        {"query": "toner", "shown": ["1"]},
    ]
    behaviour = tmp_path / "behaviour.jsonl"
    behaviour.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in [*wrong, *rows]))
    plain, ranked = tmp_path / "plain", tmp_path / "ranked"
    run_kae("codebook", "fit", str(feed), "--out", str(plain)).check_returncode()
    ended = run_kae(
        *("codebook", "fit", str(feed), "--out", str(ranked)),
        *("--behaviour", str(behaviour), "--json"),
    )
    ended.check_returncode()
    for cause in (
        "clicked is no list of item ids",
        "its query has no words",
        "nothing was clicked or ordered",
    ):
        assert f"behaviour: 1 records passed over: {cause}" in ended.stderr
    before, after = Codebook.load(plain), Codebook.load(ranked)
    report = msgspec.json.decode(ended.stdout, type=CodebookFitted)
    assert report.codebook.fingerprint == after.fingerprint
    assert (before.format, after.format) == (CLUSTER_FORMAT, IMPORTANCE_FORMAT)
    # The same words and slots; only which of an item's words comes first is another matter.
    assert [(word.word, word.index) for word in before.words] == [
        (word.word, word.index) for word in after.words
    ]
    assert shared(after, items) > shared(before, items) + ITEMS // 20


def test_behaviour_without_any_choice_is_refused_before_anything_is_fitted(
    feed: Path, tmp_path: Path
) -> None:
    behaviour = tmp_path / "behaviour.jsonl"
    behaviour.write_text('{"query": "toner", "shown": ["1"]}\n')
    out = tmp_path / "codebook"
    ended = run_kae("codebook", "fit", str(feed), "--out", str(out), "--behaviour", str(behaviour))
    assert ended.returncode
    assert "no query with an item that was clicked or ordered" in ended.stderr
    assert "nothing was clicked or ordered': 1" in ended.stderr
    assert not out.exists()
