"""All samples of a training, by task."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec

from kae.encoders.retriever.samples import STAGE_OF, Sample


class StageSamples:
    """All samples of a training, by task, in a fixed order."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        by_task: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_task[sample.task].append(sample)
        self._by_task = dict(by_task)

    def of(self, task: str) -> Sequence[Sample]:
        return self._by_task.get(task, ())

    def texts(self) -> Iterator[str]:
        """All texts, of sources and of targets."""
        for samples in self._by_task.values():
            for sample in samples:
                yield from (text for text in (sample.text, sample.target_text) if text)

    def digest(self) -> str:
        """A hash of all samples, in their order."""
        encode = msgspec.msgpack.Encoder().encode
        hashed = blake2b(digest_size=16)
        for task in sorted(self._by_task, key=lambda task: (STAGE_OF[task], task)):
            for sample in self._by_task[task]:
                hashed.update(encode(sample))
        return hashed.hexdigest()
