"""Who hides behind a pseudonym: kept apart from the tables, encrypted under a key of its own."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stillhouse.errors import UserError
from stillhouse.storage.files import atomic_file


@dataclass(frozen=True, order=True)
class VaultEntry:
    """One way a value was written, and the pseudonym that stands for it in the tables."""

    pseudonym: str
    kind: str
    value: str


def load_or_create_key(path: Path) -> bytes:
    """The key in `path`, 32 random bytes in URL-safe base64; made on first use, mode 0600.

    Raises:
        UserError: others may read the file, or it holds no key.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _create_key(path)
    if path.stat().st_mode & 0o077:
        raise UserError(f"{path}: others may read this key", remedy=f"run: chmod 600 {path}")
    key = path.read_bytes().strip()
    if len(key) != 44:
        raise UserError(
            f"{path}: holds no key of 32 bytes in base64",
            remedy="restore it from a backup; with a new key, old pseudonyms no longer match.",
        )
    return key


def _create_key(path: Path) -> None:
    from cryptography.fernet import Fernet

    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    _write_private(temporary, Fernet.generate_key() + b"\n")
    try:
        os.link(temporary, path)  # fails where another process was first: then that key counts
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


class Vault:
    """A folder of encrypted segments; each `add` writes one, whole or not at all.

    Segments are named by their content, so that processes may add side by side. `key` is a Fernet
    key (see `load_or_create_key`), another than the one the pseudonyms are made with.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        from cryptography.fernet import Fernet

        self.path = path
        self._cipher = Fernet(key)
        self._read: set[str] = set()
        self._entries: dict[str, set[VaultEntry]] = {}

    def add(self, entries: Iterable[VaultEntry]) -> int:
        """Keep the entries that are not here yet; returns how many that were."""
        self._refresh()
        new = sorted({e for e in entries if e not in self._entries.get(e.pseudonym, ())})
        if not new:
            return 0
        rows = json.dumps([[e.pseudonym, e.kind, e.value] for e in new], ensure_ascii=False)
        plain = rows.encode("utf-8", "surrogatepass")
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        sealed = self._cipher.encrypt(zlib.compress(plain))
        segment = self.path / f"{hashlib.sha256(sealed).hexdigest()[:32]}.vault"
        with atomic_file(segment) as temporary:
            _write_private(temporary, sealed)
        self._remember(segment.name, new)
        return len(new)

    def lookup(self, pseudonym: str) -> list[VaultEntry]:
        """The values behind a pseudonym: the ways one value was written, or, rarely, two values.

        Raises:
            UserError: the vault doesn't open with this key, or is damaged.
        """
        self._refresh()
        return sorted(self._entries.get(pseudonym, ()))

    def entries(self) -> Iterator[VaultEntry]:
        """Everything in the vault, by pseudonym."""
        self._refresh()
        for pseudonym in sorted(self._entries):
            yield from sorted(self._entries[pseudonym])

    def _refresh(self) -> None:
        for segment in sorted(self.path.glob("[!.]*.vault")):
            if segment.name not in self._read:
                self._remember(segment.name, self._open(segment))

    def _remember(self, segment: str, entries: list[VaultEntry]) -> None:
        self._read.add(segment)
        for entry in entries:
            self._entries.setdefault(entry.pseudonym, set()).add(entry)

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


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
