"""Learning with torch; `make neural` installs what it needs and runs this folder."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kae.encoders.tagger.labelled import read_titles
from kae.encoders.tagger.network import Network
from kae.encoders.tagger.pieces import Pieces
from kae.encoders.tagger.rounding import whole_numbers
from kae.encoders.tagger.tagger import Tagger
from kae.encoders.tagger.training import Trained, base_weights, scores_of, train

TITLES = read_titles()[::23]


def learn(seed: int) -> tuple[Trained, list[float]]:
    losses: list[float] = []
    trained = train(TITLES, seed, 1, lambda _done, loss: losses.append(loss), rounds=2)
    return trained, losses


@pytest.mark.timeout(300)
def test_learning_again_gives_the_same_weights(tmp_path: Path) -> None:
    one, losses = learn(seed=3)
    again, _ = learn(seed=3)
    assert losses[1] < losses[0]
    assert one.save(tmp_path / "one", {}) == again.save(tmp_path / "again", {})
    texts = [title.text for title in TITLES[:8]]
    assert Tagger(tmp_path / "one").tag(texts) == Tagger(tmp_path / "again").tag(texts)


@pytest.mark.timeout(300)
def test_whole_numbers_decide_as_floats_do() -> None:
    model, vocabulary = base_weights([title.text for title in TITLES], labels=9)
    pieces = Pieces(vocabulary)
    floats = {name: value.numpy() for name, value in model.state_dict().items()}
    exact = Network(whole_numbers([floats]))
    for title in TITLES:
        reading = pieces.read(title.text)
        with torch.no_grad():
            all_present = torch.ones((1, len(reading.pieces)), dtype=torch.long)
            parts = (torch.tensor([reading.pieces]), torch.tensor([reading.shapes]), all_present)
            scores = scores_of(model.eval(), *parts)[0, list(reading.firsts)].numpy()
        (whole,) = exact.score([reading])
        assert np.abs(whole - scores).mean() < 0.05 * np.abs(scores).mean()
