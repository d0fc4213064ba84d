"""Fit a codebook to a catalog, measure it, and report the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kae.encoders.catalog_reader import CatalogReader
from kae.encoders.codebook.codebook import Codebook
from kae.encoders.groups.fit import PASSES as GROUP_PASSES
from kae.encoders.groups.fit import FittedGroups, fit_groups
from kae.encoders.groups.information import IdentifierQuality
from kae.encoders.groups.merge import MergeWeights
from kae.encoders.retriever.samples import Behaviour
from kae.encoders.tagger.weights import PACKAGED, TaggerSource
from kae.encoders.vocabulary.candidates import AcceptedCandidates, count_accepted
from kae.encoders.vocabulary.fit import learn_vocabulary
from kae.encoders.vocabulary.vocabulary import Vocabulary
from kae.streams.codebooks import fitted_groups, summary
from kae.streams.codebooks.fitted_groups import GroupsFitted
from kae.streams.codebooks.quality import OnProgress, encode_catalog, quality_of
from kae.streams.codebooks.summary import CodebookShown
from kae.streams.codebooks.vocabulary import search_candidates
from kae.streams.errors import NotInstalled
from kae.streams.runtime.interpreter import peak_memory_bytes
from kae.streams.topology.types import Topology

# Passes over the catalog once the vocabulary is known: one observes it, one measures the codebook.
PASSES = GROUP_PASSES
# Candidates that nobody reviews are accepted from so many sampled titles on.
MIN_TITLES = 2
_HEAD_WORDS = 8


class CodebookFitted(msgspec.Struct, frozen=True):
    """What `kae codebook fit --json` prints."""

    seed: int
    seconds: float
    peak_memory_bytes: int  # of the whole process
    vocabulary: str  # its fingerprint
    candidates: AcceptedCandidates | None  # null without any
    quality: IdentifierQuality  # on the catalog that it was fitted to
    groups: GroupsFitted
    codebook: CodebookShown


@dataclass(frozen=True, slots=True)
class LearnedVocabulary:
    """A vocabulary, and how many of the given candidates it accepted."""

    vocabulary: Vocabulary
    candidates: AcceptedCandidates | None


@dataclass(frozen=True, slots=True)
class VocabularySource:
    """Where the words come from: a given vocabulary, or the catalog itself.

    `candidates` are given too; the `tagger` searches `sample` titles for more.
    """

    vocabulary: Vocabulary | None = None
    candidates: Mapping[str, int] | None = None
    sample: int = 0
    tagger: Path = PACKAGED

    @property
    def passes(self) -> int:
        """Passes over the catalog that learning the vocabulary takes."""
        if self.vocabulary is not None:
            return 0
        return 3 if self.sample else 1

    def learn(
        self, catalog: CatalogReader, topology: Topology, on_progress: OnProgress
    ) -> LearnedVocabulary:
        """Learn the vocabulary from a catalog, unless it is given."""
        if self.vocabulary is not None:
            return LearnedVocabulary(self.vocabulary, None)
        groups, fields = topology.codebook_groups, topology.catalog.fields
        candidates = self.candidates
        vocabulary = learn_vocabulary(
            catalog, groups, fields, candidates, form=topology.search_form
        )
        if self.sample:
            search = search_candidates(
                catalog, vocabulary, topology, self.tagger, self.sample, on_progress
            )
            found = [one for one in search.found if one.titles >= MIN_TITLES]
            first = {one.word: one.category for one in reversed(found)}
            candidates = first | dict(candidates or {})
            vocabulary = learn_vocabulary(
                catalog, groups, fields, candidates, form=topology.search_form
            )
        accepted = None if candidates is None else count_accepted(vocabulary, candidates)
        return LearnedVocabulary(vocabulary, accepted)


@dataclass(frozen=True, slots=True)
class CodebookFit:
    """A fitted codebook, its groups and vocabulary, and its quality on its own catalog."""

    codebook: Codebook
    groups: FittedGroups
    quality: IdentifierQuality
    seed: int
    learned: LearnedVocabulary

    def describe(
        self, folder: Path, files: Sequence[Path], rejected: int, seconds: float
    ) -> CodebookFitted:
        """Describe the fit, given where the codebook and other files were written."""
        groups = fitted_groups.describe_groups(self.groups, rejected, seconds)
        return CodebookFitted(
            seed=self.seed,
            seconds=round(seconds, 3),
            peak_memory_bytes=peak_memory_bytes(),
            vocabulary=self.learned.vocabulary.fingerprint,
            candidates=self.learned.candidates,
            quality=self.quality,
            groups=msgspec.structs.replace(groups, files=tuple(map(str, files))),
            codebook=summary.describe_codebook(self.codebook, str(folder), _HEAD_WORDS),
        )


def fit_and_measure(
    catalog: CatalogReader,
    topology: Topology,
    seed: int,
    source: VocabularySource,
    behaviour: Sequence[Behaviour] = (),
    *,
    keep_declared: bool,
    tagger: TaggerSource | None = None,
    on_progress: OnProgress,
) -> CodebookFit:
    """Fit words, groups, capacities and slots, then encode the catalog to measure the result.

    With behaviour, words are ranked by what queries say, in one more pass over the catalog.
    Raises: NotInstalled without scikit-learn.
    """
    try:
        from kae.encoders.fitting.fit import fit_codebook
        from kae.encoders.fitting.importance import with_importance
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae codebook fit` needs the module {error.name}, which is not installed; "
            "pip install 'kae[fit]', or use `kae codebook build`, which makes no clusters"
        ) from error
    learned = source.learn(catalog, topology, on_progress)
    fields = topology.catalog.fields
    groups = fit_groups(
        catalog,
        topology.codebook_groups,
        fields,
        MergeWeights(),
        keep_declared=keep_declared,
        vocabulary=learned.vocabulary,
        tagger=tagger,
    )
    positions = len(groups.groups)
    codebook = fit_codebook(
        groups, fields, seed, lambda done: on_progress("clustering", done, positions), tagger
    )
    if behaviour:
        codebook = with_importance(codebook, catalog, behaviour)
    codes, _ = encode_catalog(codebook, catalog)
    return CodebookFit(codebook, groups, quality_of(codebook, codes), seed, learned)
