"""Learning with torch; `make neural` installs what it needs and runs this folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from kae.encoders.tagger.examples import HintSampler
from kae.encoders.tagger.hints import HintedTitle, HintSpan
from kae.encoders.tagger.labelled import read_titles
from kae.encoders.tagger.network import Network
from kae.encoders.tagger.pieces import PieceTokenizer
from kae.encoders.tagger.quantization import quantize_members
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.tagger.training import TrainedTagger, base_weights, scores_of, train_tagger
from kae.encoders.tagger.weights import ValueKind

TITLES = read_titles()[::23]


def learn(seed: int, hinted: Sequence[HintedTitle] = ()) -> tuple[TrainedTagger, list[float]]:
    losses: list[float] = []
    trained = train_tagger(
        TITLES, seed, 1, lambda _done, loss: losses.append(loss), rounds=2, hinted=hinted
    )
    return trained, losses


@pytest.mark.timeout(300)
def test_learning_again_gives_the_same_weights(tmp_path: Path) -> None:
    one, losses = learn(seed=3)
    again, _ = learn(seed=3)
    assert losses[1] < losses[0]
    assert one.save(tmp_path / "one", {}) == again.save(tmp_path / "again", {})
    texts = [title.text for title in TITLES[:8]]
    assert Tagger(tmp_path / "one").tag(texts) == Tagger(tmp_path / "again").tag(texts)


@pytest.mark.timeout(600)
def test_a_catalog_teaches_the_same_when_it_is_learned_from_again(tmp_path: Path) -> None:
    hinted = [
        HintedTitle(
            "Vorpal Kettle 1.7 l, Teal",
            (HintSpan(0, 6, "brand"), HintSpan(21, 25, "color")),
        )
    ]
    one, losses = learn(3, hinted)
    again, _ = learn(3, hinted)
    without, _ = learn(3)
    assert losses[1] < losses[0]
    fingerprint = one.save(tmp_path / "one", {})
    assert fingerprint == again.save(tmp_path / "again", {})
    assert fingerprint != without.save(tmp_path / "without", {})


def test_of_a_hinted_title_only_what_fields_said_is_asked_for() -> None:
    kinds = [ValueKind("Brand", "brand"), ValueKind("Form", "entity"), ValueKind("Type", "entity")]
    _, vocabulary = base_weights([title.text for title in TITLES], labels=7)
    batch = HintSampler(
        [HintedTitle("Tea Pot red", (HintSpan(0, 7, "entity"),))], kinds, vocabulary, 0
    ).draw()
    # Labels: none, begins of the three, goes on of the three; between the marks of begin and end.
    tea, pot, red = batch.allowed[0, 1:4].tolist()
    assert tea == [False, False, True, True, False, False, False]
    assert pot == [False, False, False, False, False, True, True]
    assert red == [True, True, False, False, True, False, False]
    assert batch.allowed[0, 0].all()


@pytest.mark.timeout(300)
def test_whole_numbers_decide_as_floats_do() -> None:
    torch.manual_seed(0)
    model, vocabulary = base_weights([title.text for title in TITLES], labels=9)
    pieces = PieceTokenizer(vocabulary)
    floats = {name: value.numpy() for name, value in model.state_dict().items()}
    exact = Network(quantize_members([floats]))
    for title in TITLES:
        reading = pieces.tokenize(title.text)
        with torch.no_grad():
            all_present = torch.ones((1, len(reading.pieces)), dtype=torch.long)
            parts = (torch.tensor([reading.pieces]), torch.tensor([reading.shapes]), all_present)
            scores = scores_of(model.eval(), *parts)[0, list(reading.firsts)].numpy()
        (whole,) = exact.score([reading])
        assert np.abs(whole - scores).mean() < 0.05 * np.abs(scores).mean()
