"""The users of the console: a file with one line per user, NAME:ROLE:HASH.

The hash is an scrypt hash as a PHC string. A changed file is reloaded, so removing a user ends
their sessions at once.
"""

import base64
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from kae.streams.errors import UsersInvalid

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 10, 1024
# The second of OWASP's recommended scrypt settings: 16 MB and about 0.2 s for each hash.
LOG_N, R, P = 14, 8, 5
SALT_BYTES = HASH_BYTES = 16
_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]+)\$([\w+/]+)")


class ConsoleRole(IntEnum):
    """Each role may also do what the roles before it may."""

    viewer = 0  # read everything
    proposer = 1  # bind or propose terms, release them, roll them back
    approver = 2  # approve what others propose
    admin = 3  # replay dead letters


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: ConsoleRole
    password: str  # the hash

    @property
    def stamp(self) -> str:
        """A digest that a session is bound to: a new password or role ends the session."""
        return hashlib.sha256(f"{self.name}:{self.role}:{self.password}".encode()).hexdigest()[:32]


class Users:
    """The users of a file."""

    def __init__(self, path: Path) -> None:
        """Raises: UsersInvalid."""
        self._path = path
        self._loaded: tuple[int, int] | None = None
        self._users: Mapping[str, User] = {}
        # Each hash takes 16 MB, so at most two are computed at once.
        self._hashing = threading.Semaphore(2)
        if not self.current():
            raise UsersInvalid(f"{path}: contains no user; add one with `kae console user NAME`")

    def current(self) -> Mapping[str, User]:
        """The users by name, reloaded if the file has changed.

        Raises: UsersInvalid if the file cannot be read.
        """
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_size) != self._loaded:
                self._users = parse_users(self._path, self._path.read_text(encoding="utf-8"))
                self._loaded = (stat.st_mtime_ns, stat.st_size)
        except (OSError, UnicodeDecodeError) as error:
            raise UsersInvalid(
                f"{self._path}: cannot be read: {error}; console.users in topology.yaml names it, "
                "`kae console user NAME` writes it"
            ) from error
        return self._users

    def authenticate(self, name: str, password: str) -> User | None:
        """The user, if the password is right.

        An unknown name takes as long as a wrong password, so that timing does not reveal names.
        """
        user = self.current().get(name)
        with self._hashing:
            correct = verify(password, user.password if user else _DUMMY_HASH)
        return user if correct else None


def parse_users(path: Path, text: str) -> dict[str, User]:
    """Raises: UsersInvalid with the line number."""
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        role, _, hashed = rest.partition(":")
        if (
            not NAME.fullmatch(name)
            or role not in ConsoleRole.__members__
            or not _HASH.fullmatch(hashed)
        ):
            raise UsersInvalid(
                f"{path}:{number}: is no NAME:ROLE:HASH with a role of "
                f"{', '.join(ConsoleRole.__members__)}; "
                f"`kae console user NAME --role ROLE` writes one"
            )
        if name in users:
            raise UsersInvalid(f"{path}:{number}: {name} appears twice; remove one of the lines")
        users[name] = User(name, ConsoleRole[role], hashed)
    return users


def write_user(path: Path, name: str, role: ConsoleRole, password: str) -> None:
    """Add a user to the file, or replace the one of that name.

    Raises: UsersInvalid.
    """
    if not NAME.fullmatch(name):
        raise UsersInvalid(f"{name!r}: a name has 1 to 64 letters, digits or . _ @ -")
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise UsersInvalid(
            f"{name}: a password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"
        )
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        users = parse_users(path, text)
        users[name] = User(name, role, hash_password(password))
        lines = [f"{user.name}:{user.role.name}:{user.password}\n" for user in users.values()]
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(lines)
        new.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsersInvalid(f"{path}: cannot be written: {error}; give another --users") from error


def hash_password(password: str) -> str:
    salt = os.urandom(SALT_BYTES)
    derived = _derive(password, salt, LOG_N, R, P, HASH_BYTES)
    return f"$scrypt$ln={LOG_N},r={R},p={P}${_text(salt)}${_text(derived)}"


def verify(password: str, hashed: str) -> bool:
    found = _HASH.fullmatch(hashed)
    if found is None or len(password) > MAX_PASSWORD_LENGTH:
        return False
    log_n, r, p = (int(found[number]) for number in (1, 2, 3))
    expected = _bytes(found[5])
    return hmac.compare_digest(
        _derive(password, _bytes(found[4]), log_n, r, p, len(expected)), expected
    )


def _derive(password: str, salt: bytes, log_n: int, r: int, p: int, size: int) -> bytes:
    # surrogatepass: a browser may send unpaired surrogates; no password has them.
    secret = password.encode(errors="surrogatepass")
    return hashlib.scrypt(
        secret, salt=salt, n=1 << log_n, r=r, p=p, maxmem=256 * r << log_n, dklen=size
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


_DUMMY_HASH = hash_password(os.urandom(16).hex())
