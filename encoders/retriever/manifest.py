"""retriever.json: what a model's folder was trained on, for which slots, and how."""

from hashlib import blake2b
from pathlib import Path

import msgspec

from kae.encoders.categories import POSITIONS
from kae.encoders.codebook.tokens import TokenLayout
from kae.encoders.retriever.plan import TrainingPlan

MANIFEST = "retriever.json"
WEIGHTS = "model.safetensors"
# Raise it when the same folder would give other beams.
FORMAT = 1
_REMEDY = "copy the folder again, or make it with `kae model train`"


class RetrieverInvalid(ValueError):
    """A folder that is not a model of this version."""


class StageFigures(msgspec.Struct, frozen=True):
    """How a stage ended; `loss` is the mean of its last tenth, in nats a token."""

    name: str
    steps: int
    samples: int
    loss: float


class RetrieverManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model's slots, and what it was made of.

    `offsets` are the tokens of slot 0 of each position. `codebook` is the fingerprint of the
    codebook, empty for identifiers that no codebook gives.
    """

    format: int
    codebook: str
    text_tokens: int
    capacities: tuple[int, ...]
    offsets: tuple[int, ...]
    parameters: int
    plan: TrainingPlan
    seed: int
    threads: int
    device: str
    samples: str  # the digest of what it was trained on
    stages: tuple[StageFigures, ...] = ()
    weights_blake2b: str = ""

    def write(self, folder: Path) -> None:
        encoded = msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
        (folder / MANIFEST).write_bytes(encoded)

    def is_same_training(self, other: "RetrieverManifest") -> bool:
        """Whether both were trained on the same, in the same way."""
        return _blank(self) == _blank(other)


def _blank(manifest: RetrieverManifest) -> RetrieverManifest:
    """A manifest without what the training has come to."""
    return msgspec.structs.replace(manifest, stages=(), weights_blake2b="")


def offsets_of(layout: TokenLayout) -> tuple[int, ...]:
    return tuple(layout.tokens_of(position).start for position in range(POSITIONS))


def read_manifest(folder: Path) -> RetrieverManifest:
    """Raises: RetrieverInvalid."""
    path = folder / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=RetrieverManifest)
    except OSError as error:
        raise RetrieverInvalid(f"{folder}: no model ({error.strerror}); {_REMEDY}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RetrieverInvalid(f"{path}: {error}; {_REMEDY}") from None
    if found.format != FORMAT:
        raise RetrieverInvalid(
            f"{path}: format {found.format}; this version of kae reads {FORMAT}; {_REMEDY}"
        )
    return found


def hash_weights(folder: Path) -> str:
    with (folder / WEIGHTS).open("rb") as file:
        hashed = blake2b(digest_size=16)
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def check_weights(folder: Path, manifest: RetrieverManifest) -> None:
    """Raises: RetrieverInvalid when the weights are not those of the manifest."""
    path = folder / WEIGHTS
    found = hash_weights(folder) if path.exists() else "missing"
    if found != manifest.weights_blake2b:
        raise RetrieverInvalid(
            f"{path}: its hash is {found}, {MANIFEST} says {manifest.weights_blake2b}; {_REMEDY}"
        )
