"""The vectors that tokens begin with: a slot's is made of the words that its items say.

A small network that starts from random vectors spends most of a short training on learning that
"faucet" and the slot of "faucet" belong together. That is in the samples already, as counts:

    a piece of text   half a random direction, half what a pretrained sentence encoder makes of it;
                      moved towards the slots that it tells most about
    a slot            the mean of its pieces' directions, each by p(piece | slot) * information
    a reserved slot   a random direction, since nothing is known of it

The information of a pair is log p(piece, slot) / (p(piece) p(slot)), no less than 0. Where slots
are codes and no words, the same holds: a code's items say something in common, too.
Source: random indexing (Kanerva, Kristoferson and Holst, Random Indexing of Text Samples for
Latent Semantic Analysis, 2000), with the pointwise mutual information as weights.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from kae.encoders.categories import POSITIONS
from kae.encoders.retriever.sentences import SentenceEncoder
from kae.encoders.retriever.stage_samples import StageSamples
from kae.encoders.retriever.text import HISTORY
from kae.encoders.retriever.tokens import SampleTokens

Vectors = NDArray[np.float32]
# Samples in which a text and slots say the same thing.
TASKS = ("word_to_slot", "title_to_identifier", "query_to_identifier", "retrieve")
# How far a piece of text moves towards its slots.
_PULL = 0.5
_CHUNK = 4096


def first_vectors(
    samples: StageSamples, tasks: Collection[str], tokens: SampleTokens, width: int, seed: int
) -> Vectors:
    """(tokens, width), each of length 1; the same samples and seed give the same ones.

    `tasks` are those that are learned: what is left out of a training teaches nothing here.
    """
    layout = tokens.layout
    chance = np.random.default_rng([seed, width])
    meanings = _leading(SentenceEncoder().vectors(tokens.pieces()), width // 2)
    names = _directions(chance, layout.base, width - meanings.shape[1])
    pieces = _unit(np.hstack([meanings, names]))
    slots = _directions(chance, layout.size - layout.base, width)
    said = _documents(samples, [task for task in TASKS if task in tasks], tokens)
    of_texts, of_slots = said[:, : layout.base], said[:, layout.base :]
    together = csr_array(of_slots.T @ of_texts)
    slot_counts, text_counts = of_slots.sum(0), of_texts.sum(0)
    weights = _weights(together, slot_counts, text_counts, said.shape[0])
    is_known = np.diff(weights.indptr) > 0
    slots[is_known] = _unit((weights @ pieces)[is_known])
    weights = _weights(csr_array(together.T), text_counts, slot_counts, said.shape[0])
    pieces = _unit(pieces + _PULL * _unit(weights @ slots))
    return np.vstack([pieces, slots])


def _directions(chance: np.random.Generator, count: int, width: int) -> Vectors:
    return _unit(chance.standard_normal((count, width)).astype(np.float32))


def _leading(vectors: Vectors, width: int) -> Vectors:
    """The leading components of vectors, each with the same spread, of length 1."""
    centered = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    leading = centered @ directions[:width].T
    return _unit(leading / leading.std(axis=0))


def _documents(samples: StageSamples, tasks: Sequence[str], tokens: SampleTokens) -> csr_array:
    """(samples, tokens): the tokens of texts and slots that each sample says, empty slots not."""
    layout = tokens.layout
    left_out = {layout.tokens_of(position).start for position in range(POSITIONS)}
    rows = list(_rows(samples, tasks, tokens, left_out))
    ends = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((token for row in rows for token in row), np.int64, int(ends[-1]))
    return csr_array(
        (np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), layout.size)
    )


def _rows(
    samples: StageSamples, tasks: Sequence[str], tokens: SampleTokens, left_out: set[int]
) -> Iterator[Sequence[int]]:
    for task in tasks:
        of_task = samples.of(task)
        for first in range(0, len(of_task), _CHUNK):
            for pair in tokens.pairs(of_task[first : first + _CHUNK]):
                said = {token for token in (*pair.source, *pair.target) if token > HISTORY}
                yield sorted(said - left_out)


def _weights(
    together: csr_array, rows: NDArray[np.float32], columns: NDArray[np.float32], samples: int
) -> csr_array:
    """p(column | row) * max(0, information), for the pairs that occur."""
    pairs = together.tocoo()
    row, column = pairs.coords
    information = np.log(pairs.data * samples / (rows[row] * columns[column]))
    weights = pairs.data / rows[row] * np.maximum(information, 0)
    found = csr_array((weights.astype(np.float32), (row, column)), shape=together.shape)
    found.eliminate_zeros()
    return found


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = vectors / np.maximum(lengths, 1e-12)
    return unit
