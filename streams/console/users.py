"""Who may use the console: a file of users, a line each, NAME:ROLE:HASH.

The hash is a PHC string of scrypt. The file is read again when it has changed, so a user who is
taken out of it is out at once.
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
LEAST_CHARACTERS, MOST_CHARACTERS = 10, 1024
# OWASP's second setting: 16 MB and some 0.2 s a try.
LOG_N, R, P = 14, 8, 5
SALT_BYTES = HASH_BYTES = 16
_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]+)\$([\w+/]+)")


class ConsoleRole(IntEnum):
    """Each may do what those before it may."""

    viewer = 0  # read everything
    proposer = 1  # propose terms, release them, put them back
    approver = 2  # approve what others propose
    admin = 3  # send dead letters again


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: ConsoleRole
    password: str  # the hash

    @property
    def stamp(self) -> str:
        """What a session is bound to: another password or role ends it."""
        return hashlib.sha256(f"{self.name}:{self.role}:{self.password}".encode()).hexdigest()[:32]


class Users:
    """The users of a file."""

    def __init__(self, path: Path) -> None:
        """Raises: UsersInvalid."""
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._users: Mapping[str, User] = {}
        # A try takes 16 MB: two at once, however many ask.
        self._tries = threading.Semaphore(2)
        if not self.current():
            raise UsersInvalid(f"{path}: names nobody; add one with `kae console user NAME`")

    def current(self) -> Mapping[str, User]:
        """Raises: UsersInvalid when the file has become unreadable."""
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_size) != self._read_at:
                self._users = parse_users(self._path, self._path.read_text(encoding="utf-8"))
                self._read_at = (stat.st_mtime_ns, stat.st_size)
        except (OSError, UnicodeDecodeError) as error:
            raise UsersInvalid(
                f"{self._path}: cannot be read: {error}; console.users of topology.yaml names it, "
                "`kae console user NAME` writes it"
            ) from error
        return self._users

    def signed_in(self, name: str, password: str) -> User | None:
        """The user, if the password is theirs; who is unknown takes as long as who is not."""
        user = self.current().get(name)
        with self._tries:
            right = verify(password, user.password if user else _NOBODY)
        return user if right else None


def parse_users(path: Path, text: str) -> dict[str, User]:
    """Raises: UsersInvalid, by line."""
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
            raise UsersInvalid(f"{path}:{number}: {name} is there twice; take one of them out")
        users[name] = User(name, ConsoleRole[role], hashed)
    return users


def with_user(path: Path, name: str, role: ConsoleRole, password: str) -> None:
    """Write a user into the file, or replace the one of that name.

    Raises: UsersInvalid.
    """
    if not NAME.fullmatch(name):
        raise UsersInvalid(f"{name!r}: a name is 1 to 64 of letters, digits and . _ @ -")
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise UsersInvalid(
            f"{name}: a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters"
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
    if found is None or len(password) > MOST_CHARACTERS:
        return False
    log_n, r, p = (int(found[number]) for number in (1, 2, 3))
    wanted = _bytes(found[5])
    return hmac.compare_digest(
        _derive(password, _bytes(found[4]), log_n, r, p, len(wanted)), wanted
    )


def _derive(password: str, salt: bytes, log_n: int, r: int, p: int, size: int) -> bytes:
    # errors: a browser may send what is no character; it is no password then.
    secret = password.encode(errors="surrogatepass")
    return hashlib.scrypt(
        secret, salt=salt, n=1 << log_n, r=r, p=p, maxmem=256 * r << log_n, dklen=size
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


_NOBODY = hash_password(os.urandom(16).hex())
