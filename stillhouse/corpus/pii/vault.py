"""Who hides behind a pseudonym: kept apart from the tables, encrypted under a key of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import zlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stillhouse.errors import UserError
from stillhouse.storage.files import atomic_file, write_private

IDENTITY = "identity"


@dataclass(frozen=True, order=True)
class VaultEntry:
    """One way a value was written, and the pseudonym that stands for it in the tables."""

    pseudonym: str
    kind: str
    value: str = field(repr=False)


def load_or_create_key(path: Path) -> bytes:
    """The key in `path`, 32 random bytes in URL-safe base64; made on first use, mode 0600.

    Raises:
        UserError: others may read the file, or it holds no key.
    """
    if not path.exists():
        _create_key(path)
    return load_key(path)


def load_key(path: Path) -> bytes:
    """The key in `path`; makes none.

    Raises:
        UserError: it isn't there, this user may not read it, others may, or it holds no key.
    """
    try:
        mode, key = path.stat().st_mode, path.read_bytes().strip()
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such key",
            remedy="restore it from a backup, with mode 0600, or ask who keeps it.",
        ) from None
    except PermissionError:
        raise UserError(
            f"{path}: this user may not read the key", remedy="ask who keeps it."
        ) from None
    if mode & 0o077:
        raise UserError(f"{path}: others may read this key", remedy=f"run: chmod 600 {path}")
    if len(key) != 44:
        raise UserError(
            f"{path}: holds no key of 32 bytes in base64",
            remedy="restore it from a backup; with a new key, old pseudonyms no longer match.",
        )
    return key


def key_id(key: bytes) -> str:
    """Tells one key from another without giving anything of it away."""
    return hmac.new(key, b"key id", hashlib.sha256).hexdigest()[:16]


def _create_key(path: Path) -> None:
    from cryptography.fernet import Fernet

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Where another process was first, its key counts.
    with atomic_file(path, replace=False) as temporary:
        write_private(temporary, Fernet.generate_key() + b"\n")


class Vault:
    """A folder of encrypted segments; each `add` writes one, whole or not at all.

    Segments are named by their content, so that processes may add side by side. `key` is a Fernet
    key (see `load_or_create_key`), another than the one the pseudonyms are made with. In memory
    are only digests of what it holds. One that was removed and begins anew has another `identity`.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        from cryptography.fernet import Fernet

        self.path = path
        self._cipher = Fernet(key)
        self._read: set[str] = set()
        self._known: set[bytes] = set()

    @property
    def identity(self) -> str:
        """Random, made on first use: what a table was masked for; see `identity_of`."""
        found = identity_of(self.path)
        return found if found is not None else self.renew()

    def renew(self) -> str:
        """Another identity: whatever relies on the old one has to add its entries again."""
        identity = secrets.token_hex(16)
        self._write(self.path / IDENTITY, identity.encode())
        return identity

    def add(self, entries: Iterable[VaultEntry]) -> int:
        """Keep the entries that are not here yet; returns how many that were."""
        for segment in self._segments():
            if segment.name not in self._read:
                self._remember(segment.name, self._open(segment))
        new = sorted({e for e in entries if _digest(e) not in self._known})
        if new:
            self._remember(self._seal(new), new)
        return len(new)

    def lookup(self, pseudonym: str) -> list[VaultEntry]:
        """The values behind a pseudonym: the ways one value was written, or, rarely, two values.

        Raises:
            UserError: the vault doesn't open with this key, or is damaged.
        """
        return sorted({entry for entry in self if entry.pseudonym == pseudonym})

    def entries(self) -> list[VaultEntry]:
        """Everything in the vault, by pseudonym."""
        return sorted(set(self))

    def __iter__(self) -> Iterator[VaultEntry]:
        """The entries as they lie, in bounded memory; two processes may have added the same."""
        for segment in self._segments():
            yield from self._open(segment)

    def keep_only(self, pseudonyms: Container[str]) -> int:
        """Forget the entries of all other pseudonyms; returns how many lay here.

        A segment that loses entries is written anew before the old one goes, so that one that is
        to stay is there at any time. The caller sees to it that nobody adds meanwhile.
        """
        forgotten = 0
        for segment in self._segments():
            entries = self._open(segment)
            kept = [entry for entry in entries if entry.pseudonym in pseudonyms]
            if len(kept) == len(entries):
                continue
            if kept:
                self._seal(kept)
            segment.unlink()
            forgotten += len(entries) - len(kept)
        self._read.clear()
        self._known.clear()
        return forgotten

    def _segments(self) -> list[Path]:
        return sorted(self.path.glob("[!.]*.vault"))

    def _seal(self, entries: list[VaultEntry]) -> str:
        """Write a segment; returns its name."""
        rows = json.dumps([[e.pseudonym, e.kind, e.value] for e in entries], ensure_ascii=False)
        sealed = self._cipher.encrypt(zlib.compress(rows.encode("utf-8", "surrogatepass")))
        name = f"{hashlib.sha256(sealed).hexdigest()[:32]}.vault"
        self._write(self.path / name, sealed)
        return name

    def _write(self, path: Path, data: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_file(path) as temporary:
            write_private(temporary, data)

    def _remember(self, segment: str, entries: list[VaultEntry]) -> None:
        self._read.add(segment)
        self._known.update(map(_digest, entries))

    def _open(self, segment: Path) -> list[VaultEntry]:
        from cryptography.fernet import InvalidToken

        try:
            plain = zlib.decompress(self._cipher.decrypt(segment.read_bytes()))
        except InvalidToken as error:
            raise UserError(
                f"{segment}: doesn't open with this key, or is damaged",
                remedy="put back the vault's key, or remove the vault: the corpus fills it anew.",
            ) from error
        rows = json.loads(plain.decode("utf-8", "surrogatepass"))
        return [VaultEntry(*row) for row in rows]


def identity_of(path: Path) -> str | None:
    """The identity of the vault in the folder `path`; None where there is none."""
    try:
        return (path / IDENTITY).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def _digest(entry: VaultEntry) -> bytes:
    parts = "\0".join((entry.pseudonym, entry.kind, entry.value))
    return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).digest()
