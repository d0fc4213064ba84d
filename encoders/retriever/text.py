"""Texts as tokens, by a byte-level BPE that is trained on the catalog; needs the extra `neural`.

    0 <s>   1 <pad>   2 </s>   3 <unk>     as BART has them
    4 ..    a token for each task, and one that stands before each identifier of a history
    then    pieces of texts; every byte is one, so no text is unknown

Slots come after all of these (encoders/codebook/tokens.py).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from kae.encoders.retriever.samples import TASKS
from kae.encoders.text.normal_form import normalise

START, PAD, END, UNKNOWN = range(4)
_MARKS = ("<s>", "<pad>", "</s>", "<unk>")
_HISTORY = "<history>"
FIRST_TASK = len(_MARKS)
HISTORY = FIRST_TASK + len(TASKS)
TASK_TOKENS: dict[str, int] = {task: FIRST_TASK + place for place, task in enumerate(TASKS)}
# The fewest tokens that a vocabulary may have: marks, tasks and bytes.
FEWEST = HISTORY + 1 + 256


class TextTokens:
    """Encodes normalised texts; the same texts in any order train the same vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @staticmethod
    def train(texts: Iterable[str], size: int) -> "TextTokens":
        """Learn at most `size` tokens from normalised texts.

        Raises: ValueError when `size` is too small for all bytes.
        """
        if size < FEWEST:
            raise ValueError(f"text_tokens: {size}; give at least {FEWEST}")
        tokenizer = Tokenizer(models.BPE(unk_token=_MARKS[UNKNOWN]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[*_MARKS, *(f"<{task}>" for task in TASKS), _HISTORY],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(sorted(set(texts)), trainer)
        return TextTokens(tokenizer)

    @staticmethod
    def load(folder: Path) -> "TextTokens":
        return TextTokens(Tokenizer.from_file(str(folder / "tokenizer.json")))

    @property
    def size(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, normalised first."""
        found = self._tokenizer.encode_batch([normalise(text) for text in texts])
        return [one.ids for one in found]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; marks are left out."""
        return self._tokenizer.decode(list(tokens)).strip()

    def save(self, folder: Path) -> None:
        """Write it as transformers' `AutoTokenizer` reads it."""
        PreTrainedTokenizerFast(
            tokenizer_object=self._tokenizer,
            bos_token=_MARKS[START],
            pad_token=_MARKS[PAD],
            eos_token=_MARKS[END],
            unk_token=_MARKS[UNKNOWN],
        ).save_pretrained(str(folder))
