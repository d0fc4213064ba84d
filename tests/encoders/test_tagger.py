"""The packaged tagger: the same text gives the same values, whatever the text."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from kae.encoders.categories import CATEGORY_INDEX
from kae.encoders.tagger.exact import VECTOR_LEVELS, layer_norm, quantize_rows, softmax_weights
from kae.encoders.tagger.labelled import read_titles
from kae.encoders.tagger.pieces import CHARACTERS, PIECES, PieceTokenizer
from kae.encoders.tagger.spans import best_path, spans_of, trim_borders
from kae.encoders.tagger.tagger import Tagged, Tagger
from kae.encoders.tagger.weights import PACKAGED, TaggerInvalid, load_weights

TITLES = [title.text for title in read_titles()[::23]]
HARD = (
    "",
    " \t\n",
    "!!! --- (((",
    "\x00\x07 Acme\x1b[31m Tea\x7f, 20 ct",
    "Grüner Tee ☕️🍵 50 Beutel 👩‍👩‍👧‍👦",
    "شاي أخضر من أكمي، 100 غرام",
    "罗技 无线鼠标 黑色",
    "a" * 5000,
    "ﬁ ﷺ ½ Ⅷ ﬃ",
    "1.5" * 400,
    "e\u0301\u0301\u0301 \u200d\u200f\u202e abc",
)
LONG = "Acme Organic Green Tea, 20 Count (Pack of 6) " * 2300


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger()


def test_a_title_that_nobody_listed_is_read(tagger: Tagger) -> None:
    title = "Zorblax Women's Trail Running Shoe, Midnight Blue, 8 M US"
    (values,) = tagger.tag([title])
    found = {value.category: title[value.begin : value.end] for value in values}
    assert found[CATEGORY_INDEX["brand"]] == "Zorblax"
    assert found[CATEGORY_INDEX["audience"]] == "Women's"
    assert found[CATEGORY_INDEX["color"]] == "Midnight Blue"
    assert found[CATEGORY_INDEX["specification"]] == "8 M US"


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_batch_of_any_size_gives_the_same_values(size: int) -> None:
    texts = [*TITLES[::2], *HARD]
    together = Tagger().tag(texts)
    alone = Tagger()
    in_batches = [
        values
        for begin in range(0, len(texts), size)
        for values in alone.tag(texts[begin : begin + size])
    ]
    assert in_batches == together


@pytest.mark.long
def test_any_number_of_threads_gives_the_same_scores_to_the_last_bit() -> None:
    program = """
import sys, hashlib
from kae.encoders.tagger.labelled import read_titles
from kae.encoders.tagger.network import Network
from kae.encoders.tagger.pieces import PieceTokenizer
from kae.encoders.tagger.weights import PACKAGED, load_weights
weights = load_weights(PACKAGED)
pieces, network = PieceTokenizer(weights.pieces), Network(weights.tensors)
read = [pieces.tokenize(title.text) for title in read_titles()[::62]]
size, digest = int(sys.argv[1]), hashlib.sha256()
for begin in range(0, len(read), size):
    for scores in network.score(read[begin : begin + size]):
        digest.update(scores.tobytes())
print(digest.hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, size],
            env={"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads, size in (("1", "1"), ("1", "64"), ("2", "1"), ("2", "7"))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("text", HARD)
def test_values_are_parts_of_any_text_in_order_and_apart(tagger: Tagger, text: str) -> None:
    (values,) = tagger.tag([text])
    assert all(0 <= value.begin < value.end <= len(text) for value in values)
    assert all(one.end <= other.begin for one, other in pairwise(values))


def test_of_a_text_of_100_kilobytes_the_beginning_is_read(tagger: Tagger) -> None:
    assert len(LONG) > 100_000
    (values,) = tagger.tag([LONG])
    assert values
    assert all(value.end <= CHARACTERS for value in values)
    assert [values] == Tagger().tag([LONG[:CHARACTERS] + "x" * 1000])


def test_no_text_has_more_pieces_than_the_network_takes() -> None:
    pieces = PieceTokenizer(load_weights(PACKAGED).pieces)
    for text in (*HARD, LONG, "字" * 2000, "!" * 2000):
        reading = pieces.tokenize(text)
        assert len(reading.pieces) == len(reading.shapes) <= PIECES
        assert len(reading.firsts) == len(reading.words)


def test_equal_texts_of_one_call_are_computed_once(tagger: Tagger) -> None:
    once, again, other = tagger.tag([TITLES[0], TITLES[0], TITLES[1]])
    assert once is again
    assert once != other


def test_the_order_of_rows_changes_no_bit() -> None:
    drawn = np.random.default_rng(5).normal(size=(64, 384)).astype(np.float32) * 3
    gain, offset = np.ones(384, np.float32), np.zeros(384, np.float32)
    order = np.random.default_rng(6).permutation(384)
    assert np.array_equal(
        layer_norm(drawn, gain, offset)[:, order], layer_norm(drawn[:, order], gain, offset)
    )
    whole, scale = quantize_rows(drawn)
    assert np.abs(whole).max() == VECTOR_LEVELS
    assert np.abs(whole * scale - drawn).max() <= scale.max() / 2 + 1e-6
    one_by_one = np.concatenate([softmax_weights(row[None])[0] for row in drawn])
    assert np.array_equal(softmax_weights(drawn)[0], one_by_one)


def test_a_value_begins_before_it_goes_on() -> None:
    # Labels: O, B of two kinds, I of two kinds.
    scores = np.array([[0, 9, 0, 9.1, 0], [0, 0, 5, 4.9, 0], [0, 0, 0, 8, 0]], np.float32)
    assert best_path(scores) == [1, 3, 3]
    (span,) = spans_of(scores)
    assert (span.kind, span.begin, span.end) == (0, 0, 3)
    assert spans_of(np.empty((0, 5), np.float32)) == []


def test_of_two_values_of_one_kind_the_last_counts() -> None:
    scores = np.array([[0, 9, 0, 0, 0], [9, 0, 0, 0, 0], [0, 9, 0, 0, 0]], np.float32)
    assert [(span.begin, span.end) for span in spans_of(scores)] == [(2, 3)]


@pytest.mark.parametrize(
    ("text", "found", "whole"),
    [
        ("(8 count)", "8 count)", "8 count"),
        ("2 ea (Pack of 3)", "2 ea (Pack of 3", "2 ea (Pack of 3)"),
        ("Tea - Soft", "- Soft", "Soft"),
        ("Black/White/ Red", "Black/White/", "Black/White"),
        ("SPF 50+ PA++", "SPF 50+", "SPF 50+"),
        ("a -- b", "--", ""),
    ],
)
def test_a_value_ends_where_punctuation_has_it(text: str, found: str, whole: str) -> None:
    begin = text.index(found)
    begin, end = trim_borders(text, begin, begin + len(found))
    assert text[begin:end] == whole


def test_a_folder_that_was_changed_is_refused(tmp_path: Path) -> None:
    for file in PACKAGED.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_weights(tmp_path).fingerprint == Tagger().fingerprint
    content = bytearray((tmp_path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(TaggerInvalid, match="its hash is"):
        Tagger(tmp_path)
    manifest = msgspec.json.decode((tmp_path / "tagger.json").read_bytes())
    manifest["kinds"][0]["category"] = "nonsense"
    (tmp_path / "tagger.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(TaggerInvalid, match="nonsense: no category"):
        Tagger(tmp_path)
    with pytest.raises(TaggerInvalid, match="no tagger"):
        Tagger(tmp_path / "absent")


def test_the_packaged_weights_are_small() -> None:
    assert sum(file.stat().st_size for file in PACKAGED.iterdir()) <= 32_000_000
    assert all(isinstance(value, Tagged) for value in Tagger().tag([TITLES[0]])[0])
