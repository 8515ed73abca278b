"""The installation's key: Ed25519 (RFC 8032), made at first need, 0600."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.storage.files import atomic_file, write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`, in PEM; made where there is none. Raises `UserError` as `load_key`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = Ed25519PrivateKey.generate()
        # Where another process was first, its key counts.
        with atomic_file(path, replace=False) as temporary:
            written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(temporary, written)
    return load_key(path)


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`; makes none.

    Raises:
        UserError: it isn't there, this user may not read it, others may, or it holds no key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        mode, data = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the key of releases can't be read ({error.strerror or error})",
            remedy="restore it from a backup, with mode 0600, as the data directory's owner.",
        ) from None
    if mode & 0o077:
        raise UserError(
            f"{path}: others may read this key",
            remedy=f"`chmod 600 {path}`; if others had it, remove it, and release anew: what was "
            "signed with it no longer counts then.",
        )
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        key = None  # type: ignore[assignment]
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(
            f"{path}: it holds no Ed25519 key in PEM", remedy="restore it from a backup."
        )
    return key


def public_pem(key: Ed25519PrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found.decode("ascii")


def signature(key: Ed25519PrivateKey, data: bytes) -> str:
    """In base64, with a line break."""
    return base64.b64encode(key.sign(data)).decode("ascii") + "\n"


def is_signed(key: Ed25519PrivateKey, data: bytes, signed: str) -> bool:
    """Whether `signed`, as `signature` gives it, is that of `data` by this key."""
    return is_signed_by(public_pem(key), data, signed)


def is_signed_by(pem: str, data: bytes, signed: str) -> bool:
    """The same, by the public key in PEM, whoever it is; not by anything else."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(base64.b64decode(signed.strip(), validate=True), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(pem: str) -> str:
    """SHA-256 of a public key (of its raw 32 bytes), in hex, in groups for a person to compare."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    raw = load_pem_public_key(pem.encode()).public_bytes(Encoding.Raw, PublicFormat.Raw)
    digest = hashlib.sha256(raw).hexdigest()
    return " ".join(digest[start : start + 8] for start in range(0, len(digest), 8))
