"""Fit a codebook to a catalog and say what came of it."""

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kae.encoders.codebook import Codebook
from kae.encoders.group_fit import PASSES as GROUP_PASSES
from kae.encoders.group_fit import FittedGroups, fit_groups
from kae.encoders.merge import Weights
from kae.encoders.passes import Passes
from kae.encoders.quality import Quality
from kae.encoders.tagger.weights import AtHand
from kae.streams import codebook_shown, groups_fitted
from kae.streams.codebook_quality import encode, quality_of
from kae.streams.codebook_shown import CodebookShown
from kae.streams.errors import NotInstalled
from kae.streams.groups_fitted import GroupsFitted
from kae.streams.topology import Topology

# Those that fit the groups, and one that measures the codebook.
PASSES = GROUP_PASSES + 1
_HEAD_WORDS = 8


class CodebookFitted(msgspec.Struct, frozen=True):
    """What `kae codebook fit --json` prints."""

    seed: int
    seconds: float
    peak_memory_bytes: int  # of the whole process
    quality: Quality  # on the catalog that it was fitted to
    groups: GroupsFitted
    codebook: CodebookShown


@dataclass(frozen=True, slots=True)
class Fit:
    """A codebook, how its groups came about, and how well it tells its own catalog apart."""

    codebook: Codebook
    groups: FittedGroups
    quality: Quality
    seed: int

    def describe(
        self, folder: Path, files: Sequence[Path], rejected: int, seconds: float
    ) -> CodebookFitted:
        """The report of a fit whose codebook was written to a folder, beside other files."""
        groups = groups_fitted.describe(self.groups, rejected, seconds)
        return CodebookFitted(
            seed=self.seed,
            seconds=round(seconds, 3),
            peak_memory_bytes=_peak_memory_bytes(),
            quality=self.quality,
            groups=msgspec.structs.replace(groups, files=tuple(map(str, files))),
            codebook=codebook_shown.describe(self.codebook, str(folder), _HEAD_WORDS),
        )


def fit(
    passes: Passes,
    topology: Topology,
    seed: int,
    *,
    keep_declared: bool,
    tagger: AtHand | None = None,
    told: Callable[[str, int, int], None],
) -> Fit:
    """Fit groups, capacities and slots, then encode the catalog once to measure the result.

    Raises: NotInstalled without scikit-learn.
    """
    try:
        from kae.encoders.fit import fit_codebook
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"`kae codebook fit` needs the module {error.name}, which is not installed; "
            "pip install 'kae[fit]', or use `kae codebook build`, which makes no clusters"
        ) from error
    fields = topology.catalog.fields
    groups = fit_groups(
        passes,
        topology.codebook_groups,
        fields,
        Weights(),
        keep_declared=keep_declared,
        tagger=tagger,
    )
    positions = len(groups.groups)
    codebook = fit_codebook(
        groups, fields, seed, lambda done: told("clustering", done, positions), tagger
    )
    codes, _ = encode(codebook, passes)
    return Fit(codebook, groups, quality_of(codebook, codes), seed)


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
