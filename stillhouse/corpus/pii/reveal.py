"""Who hides behind a pseudonym, for who holds the vault's key; each time is written down first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from stillhouse.corpus.pii.vault import Vault, VaultEntry, load_key
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.storage.log import append_line, user_name


@dataclass(frozen=True)
class Asked:
    """Who asked for what, when (UTC, ISO 8601) and why. `pseudonym` is None where the vault didn't
    hold what was asked for: that may be anything, an original too."""

    time: str
    user: str
    pseudonym: str | None
    reason: str


def reveal(layout: Layout, pseudonym: str, reason: str) -> list[VaultEntry]:
    """The originals behind `pseudonym`, after who asked is on disk.

    Raises:
        UserError: no reason, no vault or key that opens it, an unknown pseudonym, or a log that
            can't be written: then nothing is revealed.
    """
    if not reason.strip():
        raise UserError(
            "--reason: it says nothing", remedy="say what the original is needed for; it is logged."
        )
    vault = Vault(layout.vault, load_key(layout.key("vault")))
    if not layout.vault.is_dir():
        raise UserError(
            f"{layout.vault}: there is no vault",
            remedy="`stillhouse run --until masked_documents` fills it.",
        )
    found = vault.lookup(pseudonym)
    known = found[0].pseudonym if found else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    said = _without(reason, [entry.value for entry in found])
    append_line(layout.reveals, asdict(Asked(now, user_name(), known, said)))
    if not found:
        raise UserError(
            "the vault holds no such pseudonym",
            remedy="write it as it stands in the text. The vault forgets what no document needs "
            "any more, and holds nothing of what was masked, replaced or redacted.",
        )
    return found


def asked(layout: Layout) -> Iterator[Asked | None]:
    """What the log holds, from the first to the last; None for a line that can't be read.

    Raises:
        UserError: this user may not read the log.
    """
    try:
        lines = layout.reveals.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(layout.reveals, error) from error
    for line in filter(None, lines):
        try:
            yield Asked(**json.loads(line))
        except (ValueError, TypeError):
            yield None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: the log of who asked can't be read ({error.strerror or error})",
        remedy="run this as the owner of the data directory.",
    )


def _without(reason: str, originals: list[str]) -> str:
    """The reason, with a gap where it names whom it is about."""
    words = {w for value in originals for w in (value, *re.findall(r"\w{3,}", value))}
    for word in sorted(words, key=len, reverse=True):
        reason = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "[...]", reason, flags=re.I)
    return reason
