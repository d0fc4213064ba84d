"""Fit a codebook to a catalog and say what came of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.groups.fit import PASSES as GROUP_PASSES
from kae.encoders.groups.fit import FittedGroups, fit_groups
from kae.encoders.groups.information import Quality
from kae.encoders.groups.merge import MergeWeights
from kae.encoders.groups.occurrences import Passes
from kae.encoders.tagger.weights import PACKAGED, TaggerSource
from kae.encoders.vocabulary.candidates import AcceptedCandidates, accept_candidates
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.vocabulary import Vocabulary
from kae.streams.codebooks import fitted_groups, summary
from kae.streams.codebooks.fitted_groups import GroupsFitted
from kae.streams.codebooks.quality import encode, quality_of
from kae.streams.codebooks.summary import CodebookShown
from kae.streams.codebooks.vocabulary import look_for_candidates
from kae.streams.errors import NotInstalled
from kae.streams.runtime.interpreter import peak_memory_bytes
from kae.streams.topology.types import Topology

# Those that fit the groups to a vocabulary, and one that measures the codebook.
PASSES = GROUP_PASSES
# Of candidates that nobody looks over, those of so many sampled titles are taken up.
TITLES_OF_A_CANDIDATE = 2
_HEAD_WORDS = 8


class CodebookFitted(msgspec.Struct, frozen=True):
    """What `kae codebook fit --json` prints."""

    seed: int
    seconds: float
    peak_memory_bytes: int  # of the whole process
    vocabulary: str  # its fingerprint
    candidates: AcceptedCandidates | None  # null without any
    quality: Quality  # on the catalog that it was fitted to
    groups: GroupsFitted
    codebook: CodebookShown


@dataclass(frozen=True, slots=True)
class FittedWords:
    """A vocabulary, and what became of the candidates that it was learned with."""

    vocabulary: Vocabulary
    candidates: AcceptedCandidates | None


@dataclass(frozen=True, slots=True)
class WordsGiven:
    """Where the words come from: a vocabulary made before, or the catalog itself.

    `candidates` are read from a file; the `tagger` looks for more in so many titles (`sample`).
    """

    vocabulary: Vocabulary | None = None
    candidates: Mapping[str, int] | None = None
    sample: int = 0
    tagger: Path = PACKAGED

    @property
    def passes(self) -> int:
        """Over the catalog, to have the vocabulary."""
        if self.vocabulary is not None:
            return 0
        return 3 if self.sample else 1

    def learn(
        self, passes: Passes, topology: Topology, told: Callable[[str, int, int], None]
    ) -> FittedWords:
        """The vocabulary, and what became of candidates."""
        if self.vocabulary is not None:
            return FittedWords(self.vocabulary, None)
        groups, fields = topology.codebook_groups, topology.catalog.fields
        candidates = self.candidates
        vocabulary = learn_vocabulary(passes, groups, fields, candidates)
        if self.sample:
            looked = look_for_candidates(
                passes, vocabulary, topology, self.tagger, self.sample, told
            )
            found = [one for one in looked.found if one.titles >= TITLES_OF_A_CANDIDATE]
            first = {one.word: one.category for one in reversed(found)}
            candidates = first | dict(candidates or {})
            vocabulary = learn_vocabulary(passes, groups, fields, candidates)
        taken = None if candidates is None else accept_candidates(vocabulary, candidates)
        return FittedWords(vocabulary, taken)


@dataclass(frozen=True, slots=True)
class Fit:
    """A codebook, how its groups came about, and how well it tells its own catalog apart."""

    codebook: Codebook
    groups: FittedGroups
    quality: Quality
    seed: int
    words: FittedWords

    def describe(
        self, folder: Path, files: Sequence[Path], rejected: int, seconds: float
    ) -> CodebookFitted:
        """The report of a fit whose codebook was written to a folder, beside other files."""
        groups = fitted_groups.describe_groups(self.groups, rejected, seconds)
        return CodebookFitted(
            seed=self.seed,
            seconds=round(seconds, 3),
            peak_memory_bytes=peak_memory_bytes(),
            vocabulary=self.words.vocabulary.fingerprint,
            candidates=self.words.candidates,
            quality=self.quality,
            groups=msgspec.structs.replace(groups, files=tuple(map(str, files))),
            codebook=summary.describe_codebook(self.codebook, str(folder), _HEAD_WORDS),
        )


def fit(
    passes: Passes,
    topology: Topology,
    seed: int,
    given: WordsGiven,
    *,
    keep_declared: bool,
    tagger: TaggerSource | None = None,
    told: Callable[[str, int, int], None],
) -> Fit:
    """Fit words, groups, capacities and slots, then encode the catalog once to measure the result.

    Raises: NotInstalled without scikit-learn.
    """
    try:
        from kae.encoders.fitting.fit import fit_codebook
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae codebook fit` needs the module {error.name}, which is not installed; "
            "pip install 'kae[fit]', or use `kae codebook build`, which makes no clusters"
        ) from error
    words = given.learn(passes, topology, told)
    fields = topology.catalog.fields
    groups = fit_groups(
        passes,
        topology.codebook_groups,
        fields,
        MergeWeights(),
        keep_declared=keep_declared,
        vocabulary=words.vocabulary,
        tagger=tagger,
    )
    positions = len(groups.groups)
    codebook = fit_codebook(
        groups, fields, seed, lambda done: told("clustering", done, positions), tagger
    )
    codes, _ = encode(codebook, passes)
    return Fit(codebook, groups, quality_of(codebook, codes), seed, words)
