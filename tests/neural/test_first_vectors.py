"""The vectors that a network begins with: a slot lies near the words that lead to it."""

import numpy as np
from numpy.typing import NDArray
from tests.neural.retriever_samples import capacities_of, stage_samples

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.retriever.first_vectors import TASKS, first_vectors
from kae.encoders.retriever.samples import Sample, one_slot
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import TextTokens
from kae.encoders.retriever.tokens import SampleTokens, SourceLimits

WIDTH = 64
CAPACITIES = (4, 4, 1, 1, 1, 1)


def tokens_of(samples: StageSamples, capacities: tuple[int, ...]) -> SampleTokens:
    texts = TextTokens.train(samples.texts(), 512)
    return SampleTokens(texts, TokenLayout(texts.size, capacities), SourceLimits(48, 4))


def test_a_slot_begins_where_its_words_are_and_a_reserved_one_anywhere() -> None:
    said = [("lamp", 0, 1), ("desk", 0, 2), ("red", 1, 1)] * 4
    samples = StageSamples(
        Sample("word_to_slot", text=word, target_slots=one_slot(position, index))
        for word, position, index in said
    )
    tokens = tokens_of(samples, CAPACITIES)
    vectors = first_vectors(samples, TASKS, tokens, WIDTH, 1)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def vector(position: int, index: int) -> NDArray[np.float32]:
        found: NDArray[np.float32] = vectors[tokens.layout.tokens_of(position).start + index]
        return found

    # One piece and one slot that only come together are all that either knows.
    for word, position, index in said:
        (pair,) = tokens.pairs(
            [Sample("word_to_slot", text=word, target_slots=one_slot(position, index))]
        )
        pieces = pair.source[1:-1]
        nearness = vectors[pieces].mean(0) @ vector(position, index)
        assert nearness > 0.9
        others = [(0, 1), (0, 2), (1, 1), (0, 3), (1, 3)]
        others.remove((position, index))
        assert all(vectors[pieces].mean(0) @ vector(*other) < 0.5 for other in others)


def test_the_same_samples_and_seed_give_the_same_vectors(codebook: Codebook) -> None:
    samples, capacities = stage_samples(codebook), capacities_of(codebook)
    tokens = tokens_of(samples, capacities)
    first, again, other = (first_vectors(samples, TASKS, tokens, WIDTH, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.isfinite(first).all()


def test_a_task_that_is_not_learned_teaches_nothing(codebook: Codebook) -> None:
    samples, capacities = stage_samples(codebook), capacities_of(codebook)
    tokens = tokens_of(samples, capacities)
    words = StageSamples(samples.of("word_to_slot"))
    titles = StageSamples(samples.of("title_to_identifier"))
    both = ("word_to_slot", "title_to_identifier")
    assert np.array_equal(
        first_vectors(samples, both[1:], tokens, WIDTH, 1),
        first_vectors(titles, both, tokens, WIDTH, 1),
    )
    assert not np.allclose(
        first_vectors(words, both, tokens, WIDTH, 1), first_vectors(titles, both, tokens, WIDTH, 1)
    )
