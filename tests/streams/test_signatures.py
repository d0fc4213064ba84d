"""Signed term events: who may sign, for whom, what, and for which topic."""

import base64
from pathlib import Path

import msgspec
import pytest
from tests.signing import key_pair, signers

from kae.streams.errors import CredentialsUnusable
from kae.streams.events.envelope import Undecodable
from kae.streams.events.signatures import KEY_VARIABLE, SIGNED_HEADERS, Signatures, signed
from kae.streams.events.term_data import ReleaseData
from kae.streams.events.terms import encode_term
from kae.streams.topology.types import REFERENCE, Topology

TOPIC = "kae.terms"


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    for name in ("alice", "console", "mallory"):
        key_pair(tmp_path, name)
    named = signers(tmp_path, "alice", "console", for_others="console")
    return Topology.load(REFERENCE).edited({"terms.signers": named})


@pytest.fixture
def signatures(topology: Topology) -> Signatures:
    return Signatures(topology)


def event(audience: str = TOPIC) -> bytes:
    return encode_term("zorblax", ReleaseData(7, "alice"), "/tests", audience=audience)


def signed_by(monkeypatch: pytest.MonkeyPatch, key: Path, value: bytes) -> bytes:
    monkeypatch.setenv(KEY_VARIABLE, str(key))
    return signed(value)


def changed(envelope: bytes, **fields: object) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(envelope), **fields})


def test_what_was_signed_is_what_is_opened(
    signatures: Signatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = signed_by(monkeypatch, tmp_path / "alice.pem", event())
    opened, signer = signatures.open(envelope, SIGNED_HEADERS)
    assert opened == event()
    assert signer is not None
    signatures.check("alice", signer)
    with pytest.raises(Undecodable, match=r"of 'alice', and data\.by is 'bob'") as caught:
        signatures.check("bob", signer)
    assert caught.value.kind == "signature.by"


def test_a_console_speaks_for_whom_it_has_let_in(
    signatures: Signatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = signed_by(monkeypatch, tmp_path / "console.pem", event())
    _, signer = signatures.open(envelope, SIGNED_HEADERS)
    signatures.check("alice", signer)


OTHER = base64.b64encode(event()[:-1] + b" }").decode()


@pytest.mark.parametrize(
    ("key", "change", "audience", "kind"),
    [
        ("mallory", {}, TOPIC, "signature.unknown"),
        ("alice", {"payload": OTHER}, TOPIC, "signature.wrong"),
        ("alice", {"payloadType": "text/plain"}, TOPIC, "signature.malformed"),
        ("alice", {"signatures": []}, TOPIC, "signature.unknown"),
        ("alice", {"signatures": [{"keyid": "a", "sig": "%"}]}, TOPIC, "signature.malformed"),
        ("alice", {"payload": 7}, TOPIC, "signature.malformed"),
        ("alice", {}, "other.terms", "signature.audience"),
        ("alice", {}, "", "signature.audience"),
    ],
)  # fmt: skip
def test_what_was_not_signed_like_this_is_refused(
    signatures: Signatures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    change: dict[str, object],
    audience: str,
    kind: str,
) -> None:
    envelope = signed_by(monkeypatch, tmp_path / f"{key}.pem", event(audience))
    with pytest.raises(Undecodable) as caught:
        signatures.open(changed(envelope, **change), SIGNED_HEADERS)
    assert caught.value.kind == kind


def test_a_signature_under_anothers_name_is_refused(
    signatures: Signatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = msgspec.json.decode(signed_by(monkeypatch, tmp_path / "alice.pem", event()))
    forged = msgspec.json.decode(signed_by(monkeypatch, tmp_path / "mallory.pem", event()))
    forged["signatures"][0]["keyid"] = honest["signatures"][0]["keyid"]
    with pytest.raises(Undecodable, match="is not that of alice") as caught:
        signatures.open(msgspec.json.encode(forged), SIGNED_HEADERS)
    assert caught.value.kind == "signature.wrong"


def test_unsigned_events_are_refused_where_there_are_signers(signatures: Signatures) -> None:
    for value in (event(), None):
        with pytest.raises(Undecodable, match=KEY_VARIABLE) as caught:
            signatures.open(value, ())
        assert caught.value.kind == "signature.missing"


def test_signed_events_are_refused_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsigned = Signatures(Topology.load(REFERENCE))
    assert unsigned.open(event(""), ()) == (event(""), None)
    envelope = signed_by(monkeypatch, key_pair(tmp_path, "alice"), event())
    with pytest.raises(Undecodable) as caught:
        unsigned.open(envelope, SIGNED_HEADERS)
    assert caught.value.kind == "signature.unknown"


def test_keys_that_cannot_be_used_are_named(
    topology: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "console.pub").write_text("no key")
    with pytest.raises(CredentialsUnusable, match=r"terms.signers\[1\].key: .*console.pub"):
        Signatures(topology)
    for key in ("", str(tmp_path / "missing.pem"), str(tmp_path / "alice.pub")):
        monkeypatch.setenv(KEY_VARIABLE, key)
        with pytest.raises(CredentialsUnusable, match=KEY_VARIABLE):
            signed(event())
