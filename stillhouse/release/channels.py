"""Channels: paths that a server reads, each a link to a release; and who moved them, when and why.

A link is replaced by rename, so a reader sees the release before or the one after. What is to be
done is on disk in the history before it is done: after a power failure between the two, the link
says what is, and the same command given again makes it so.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from stillhouse.storage.files import sync
from stillhouse.storage.layout import Layout
from stillhouse.storage.log import append_line, user_name

CANDIDATE, PRODUCTION = "candidate", "production"
CHANNELS = (CANDIDATE, PRODUCTION)

RELEASE, ROLLBACK, REMOVE = "release", "rollback", "remove"


@dataclass(frozen=True)
class Move:
    """A channel that was moved `before` -> `after` (ids of releases), by whom and why.

    `by` is who is responsible, `user` the account, by the kernel's word. Of a release that was
    removed, `before` is its id, and there is no channel.
    """

    time: str
    user: str
    by: str
    action: str
    student: str
    channel: str | None
    before: str | None
    after: str | None
    reason: str


def pointed(layout: Layout, student: str, channel: str) -> str | None:
    """The id of the release that the channel leads to."""
    try:
        return layout.channel(student, channel).readlink().name
    except OSError:
        return None


def channels_of(layout: Layout, student: str, release: str) -> list[str]:
    """The channels that lead to this release."""
    return [name for name in CHANNELS if pointed(layout, student, name) == release]


def move(
    layout: Layout,
    student: str,
    channel: str,
    release: str,
    *,
    action: str,
    by: str | None,
    reason: str,
) -> bool:
    """Lead the channel to the release; False where it does already. The caller holds the lock of
    the student's releases, and has verified the release.

    Raises `UserError` when the history can't be written: the channel then stays as it is.
    """
    before, link = pointed(layout, student, channel), layout.channel(student, channel)
    if before == release:
        return False
    note(layout, action, student, channel, before, release, by=by, reason=reason)
    link.parent.mkdir(parents=True, exist_ok=True)
    for left in link.parent.glob(f".{channel}.*.link"):  # of a killed process: we hold the lock
        left.unlink(missing_ok=True)
    temporary = link.with_name(f".{channel}.{secrets.token_hex(4)}.link")
    # Relative, so that the data directory can be moved.
    temporary.symlink_to(os.path.relpath(layout.release(student, release), link.parent))
    temporary.replace(link)
    sync(link.parent)
    return True


def note(
    layout: Layout,
    action: str,
    student: str,
    channel: str | None,
    before: str | None,
    after: str | None,
    *,
    by: str | None,
    reason: str,
) -> None:
    """Write it into the history, on disk when this returns."""
    user, now = user_name(), datetime.now(UTC).isoformat(timespec="seconds")
    entry = Move(now, user, by or user, action, student, channel, before, after, reason)
    append_line(layout.release_history, asdict(entry))


def history(layout: Layout, student: str | None = None) -> Iterator[Move]:
    """From the first to the last; a line that can't be read is left out."""
    try:
        text = layout.release_history.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            found = Move(**json.loads(line))
        except (ValueError, TypeError):
            continue
        if student in (None, found.student):
            yield found


def previous(layout: Layout, student: str, channel: str) -> str | None:
    """The release that the channel led to before the one it leads to: a rollback takes back a
    move, so the one after it goes back one further."""
    led: list[str] = []
    for found in history(layout, student):
        if found.channel != channel or found.after is None:
            continue
        while led and led[-1] != found.before:  # noted, and not carried out
            led.pop()
        if found.action == ROLLBACK and found.after in led:
            while led[-1] != found.after:
                led.pop()
        else:
            led.append(found.after)
    now = pointed(layout, student, channel)
    while led and led[-1] != now:
        led.pop()
    return led[-2] if len(led) > 1 else None
