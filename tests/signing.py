"""Keys of people who sign term events, and topologies that name them."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def key_pair(folder: Path, name: str) -> Path:
    """Write NAME.pem and NAME.pub; returns the private one."""
    key = Ed25519PrivateKey.generate()
    private = folder / f"{name}.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private.with_suffix(".pub").write_bytes(public)
    return private


def signers(folder: Path, *names: str, for_others: str = "") -> list[dict[str, object]]:
    """What `terms.signers` says of them."""
    return [
        {"name": name, "key": str(folder / f"{name}.pub"), "for_others": name == for_others}
        for name in names
    ]
