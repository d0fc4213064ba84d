"""Opens the codebook that a topology names, and checks that both match."""

from kae.encoders.codebook.codebook import Codebook
from kae.encoders.text.normal_form import NORMALISATION
from kae.streams.errors import CodebookDiffers
from kae.streams.topology.types import Topology


def open_codebook(topology: Topology) -> Codebook:
    """Load the topology's codebook.

    Raises: CodebookInvalid when the folder is not a codebook; CodebookDiffers when it was built
    with other groups, another field mapping or another decimal mark than the topology has.
    """
    codebook = Codebook.load(topology.codebook_folder)
    remedy = f"Build one: kae codebook build CATALOG... --out DIR --topology {topology.path}"
    if codebook.groups != topology.codebook_groups:
        raise CodebookDiffers(
            f"{topology.codebook_folder}: built with other groups than {topology.path} has. "
            f"{remedy}"
        )
    if codebook.fields != dict(topology.catalog.fields):
        differing = sorted(codebook.fields.items() ^ topology.catalog.fields.items())
        raise CodebookDiffers(
            f"{topology.codebook_folder}: built with another field mapping than {topology.path} "
            f"has, first {differing[0]}. {remedy}"
        )
    if codebook.form.kept != topology.search_form.kept:
        raise CodebookDiffers(
            f"{topology.codebook_folder}: built with the letters {codebook.form.kept!r} kept, "
            f"folding.keep of {topology.path} has {topology.search_form.kept!r}. {remedy}"
        )
    if codebook.form.decimal_mark != topology.catalog.decimal_mark:
        raise CodebookDiffers(
            f"{topology.codebook_folder}: built with decimal mark {codebook.form.decimal_mark!r}; "
            f"{topology.path} has {topology.catalog.decimal_mark!r}. {remedy}"
        )
    return codebook


def open_codebook_for_indexing(topology: Topology) -> Codebook:
    """Load the topology's codebook for a process that encodes items.

    Raises: CodebookInvalid; CodebookDiffers as `open_codebook`, and when it was built with an older
    normal form: workers of another release would give its items other identifiers.
    """
    codebook = open_codebook(topology)
    if codebook.form.version != NORMALISATION:
        raise CodebookDiffers(
            f"{topology.codebook_folder}: built with version {codebook.form.version} of the normal "
            f"form, and this release encodes items with version {NORMALISATION}. Build a codebook "
            "for a new generation (kae codebook build, kae backfill run), and leave this "
            f"generation to workers of the release that built it until `kae generation promote`"
        )
    return codebook
