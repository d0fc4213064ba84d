"""Signed term events: the signature proves who sent an event, whatever its `by` claims.

A signed event is a DSSE envelope (Dead Simple Signing Envelope 1.0) whose payload is the event in
JSON. `terms.signers` of topology.yaml names who may sign, each with a public key. If it names
anybody, every event needs a signature: of the signer that its `data.by` names, or of a signer
`for_others`, as a console signs for its users. The event's `audience` is the topic that it was
signed for; on another topic it is refused.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kae.streams.errors import CredentialsUnusable, NotInstalled
from kae.streams.events import causes
from kae.streams.events.cloudevents import CONTENT_TYPE, STRUCTURED_JSON, Headers
from kae.streams.events.envelope import Undecodable
from kae.streams.topology.parts import SignerPart
from kae.streams.topology.types import Topology

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey


T = TypeVar("T")
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
SIGNED_HEADERS: Headers = [(CONTENT_TYPE, ENVELOPE.encode())]
# The file of the private key with which this process signs.
KEY_VARIABLE = "KAE_SIGNING_KEY"


class _Signature(msgspec.Struct, frozen=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


class _Audience(msgspec.Struct, frozen=True):
    audience: str = ""


_envelope = msgspec.json.Decoder(_Envelope).decode
_audience = msgspec.json.Decoder(_Audience).decode


class Signatures:
    """Checks the signatures that a topology requires."""

    def __init__(self, topology: Topology) -> None:
        """Raises: CredentialsUnusable, NotInstalled."""
        self._topic = topology.terms_topic
        self._signers: Mapping[str, tuple[SignerPart, SSlibKey]] = {
            key.keyid: (signer, key)
            for number, signer in enumerate(topology.terms.signers)
            for key in [_public_key(topology, number, signer)]
        }

    @property
    def required(self) -> bool:
        return bool(self._signers)

    def open(self, value: bytes | None, headers: Headers) -> tuple[bytes | None, SignerPart | None]:
        """The event of a record, and its signer.

        Raises: Undecodable if it is not signed as the topology requires.
        """
        is_signed = dict(headers).get(CONTENT_TYPE) == ENVELOPE.encode()
        if not self.required:
            if is_signed:
                raise Undecodable(
                    "signature: terms.signers of topology.yaml names no signer to check "
                    "it; name the signer there, or send the event unsigned",
                    causes.SIGNATURE_UNKNOWN,
                )
            return value, None
        if value is None or not is_signed:
            raise Undecodable(
                "signature: missing, and terms.signers of topology.yaml asks for it; send it with "
                f"{KEY_VARIABLE} naming your private key",
                causes.SIGNATURE_MISSING,
            )
        return self._verified(value)

    def check(self, by: str, signer: SignerPart | None) -> None:
        """Raises: Undecodable if `by` is not the signer's name."""
        if signer is None or signer.for_others or by == signer.name:
            return
        raise Undecodable(
            f"signature: of {signer.name!r}, and data.by is {by!r}; give --by {signer.name}",
            causes.SIGNATURE_BY,
        )

    def _verified(self, value: bytes) -> tuple[bytes, SignerPart]:
        from securesystemslib.dsse import Envelope
        from securesystemslib.exceptions import FormatError, VerificationError

        try:
            envelope = Envelope.from_dict(msgspec.to_builtins(_envelope(value)))
        except (msgspec.DecodeError, FormatError, KeyError, ValueError) as error:
            raise Undecodable(
                f"signature: no DSSE envelope: {error}", causes.SIGNATURE_MALFORMED
            ) from error
        if envelope.payload_type != STRUCTURED_JSON:
            raise Undecodable(
                f"signature: payloadType is {envelope.payload_type!r}, not {STRUCTURED_JSON}",
                causes.SIGNATURE_MALFORMED,
            )
        known = [self._signers[id_] for id_ in envelope.signatures if id_ in self._signers]
        if not known:
            raise Undecodable(
                f"signature: by key {', '.join(envelope.signatures) or 'none'}, which "
                "terms.signers of topology.yaml does not name",
                causes.SIGNATURE_UNKNOWN,
            )
        try:
            (keyid,) = envelope.verify([key for _, key in known], 1)
        except VerificationError as error:
            raise Undecodable(
                f"signature: it is not that of {known[0][0].name} for this event",
                causes.SIGNATURE_WRONG,
            ) from error
        self._check_audience(envelope.payload)
        return envelope.payload, self._signers[keyid][0]

    def _check_audience(self, payload: bytes) -> None:
        try:
            audience = _audience(payload).audience
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # decoding reports what is wrong with the event
        if audience != self._topic:
            raise Undecodable(
                f"signature: for audience {audience!r}, and this topic is {self._topic!r}",
                causes.SIGNATURE_AUDIENCE,
            )


def signed(event: bytes) -> bytes:
    """The envelope of an event, signed with the key of this process.

    Raises: CredentialsUnusable, NotInstalled.
    """
    signer = _signer(os.environ.get(KEY_VARIABLE, ""))
    from securesystemslib.dsse import Envelope

    envelope = Envelope(event, STRUCTURED_JSON, {})
    envelope.sign(signer)
    return msgspec.json.encode(envelope.to_dict())


@cache
def _signer(path: str) -> "CryptoSigner":
    _refuse_without_library()
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    if not path:
        raise CredentialsUnusable(
            "terms.signers of topology.yaml asks for signed events: name the file of your private "
            f"key in {KEY_VARIABLE}"
        )
    return _loaded(
        KEY_VARIABLE,
        Path(path),
        "a private key in PKCS 8 without a passphrase",
        lambda pem: CryptoSigner(load_pem_private_key(pem, None)),
    )


def _public_key(topology: Topology, number: int, signer: SignerPart) -> "SSlibKey":
    _refuse_without_library()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    return _loaded(
        f"terms.signers[{number}].key",
        topology.path.parent / signer.key,
        "a public key",
        lambda pem: SSlibKey.from_crypto(load_pem_public_key(pem)),
    )


def _loaded(place: str, path: Path, wanted: str, load: Callable[[bytes], T]) -> T:
    try:
        return load(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not {wanted}"
        raise CredentialsUnusable(
            f"{place}: {path}: {reason}; name a PEM file of {wanted}, Ed25519 or another of DSSE's"
        ) from error


def _refuse_without_library() -> None:
    if find_spec("securesystemslib") is None:
        raise NotInstalled(
            "terms.signers of topology.yaml asks for signed events, and the library that signs and "
            "checks them is not installed: install kae[signed]"
        )
