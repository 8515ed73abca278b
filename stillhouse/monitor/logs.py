"""Reading logs that go on being written: only what is new, whatever rotates them.

How far a log was read is kept with a digest of its beginning and of the bytes before that place.
By these a log is known again under another name (rotated by renaming, compressed or not), and a new
one under an old name is told from it (copied and truncated). A log that was changed before that
place is read again from its start: what was read then is known by its ids.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from stillhouse.storage.files import digest

# Bytes of a log's beginning, and of what was read last, that tell it from others.
HEAD, TAIL = 4096, 256
# A line longer than this is none that a client sent.
LONGEST = 32 << 20
CHUNK = 1 << 20
# A last line without an end is being written, unless nothing was written for so long.
SETTLED = timedelta(hours=1)
GZIP = b"\x1f\x8b"

TOO_LONG, NOT_UTF8, NO_JSON, TRUNCATED = "too_long", "not_utf8", "no_json", "truncated"
EMPTY, WAITING = "empty", "waiting"


@dataclass(frozen=True)
class Cursor:
    """How far a log was read: `offset` bytes and `lines` (of its content, if compressed), what it
    began and ended with there, and the time of its last request."""

    path: str
    offset: int = 0
    lines: int = 0
    head_bytes: int = 0
    head: str = ""
    tail: str = ""
    time: str | None = None


@dataclass(frozen=True)
class Line:
    """A line's number from 1, and its value, or why it has none; `end` is where it ends."""

    number: int
    end: int
    value: Any = None
    reason: str | None = None


def log_files(root: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that the globs name, by path; each once."""
    found = {
        Path(name)
        for pattern in patterns
        for name in glob.glob(str(root / pattern), recursive=True)  # noqa: PTH207 - absolute ones too
        if Path(name).is_file()
    }
    return sorted(found)


def logs_digest(root: Path, patterns: Sequence[str]) -> str:
    """Changes when a log comes, goes or is written to; reads none."""
    seen = []
    for path in log_files(root, patterns):
        try:
            found = path.stat()
        except OSError:
            continue
        seen.append([str(path), found.st_size, found.st_mtime_ns])
    return digest(seen)


def places(files: Sequence[Path], known: Iterable[Cursor]) -> Iterator[tuple[Path, Cursor]]:
    """Each log with the place that it was read to, in the order of their paths.

    A log whose place was kept under another path takes it over where that path has another log now,
    or none: a mere copy is read from its start, so that nothing written to it since is missed.
    """
    by_path = {cursor.path: cursor for cursor in known}
    own: dict[Path, Cursor] = {}
    for path in files:
        cursor = by_path.get(str(path))
        if cursor is not None and _continues(path, cursor):
            own[path] = by_path.pop(str(path))
    moved = sorted(by_path.values(), key=lambda cursor: -cursor.offset)
    for path in files:
        if path not in own:
            found = next((c for c in moved if c.offset and _continues(path, c)), None)
            if found is not None:
                moved.remove(found)
            own[path] = replace(found, path=str(path)) if found else Cursor(str(path))
        yield path, own[path]


def _continues(path: Path, cursor: Cursor) -> bool:
    try:
        with _opened(path) as stream:
            return _marks(stream, cursor.offset, cursor.head_bytes) == (cursor.head, cursor.tail)
    except (OSError, EOFError):
        return False


def _marks(stream: IO[bytes], offset: int, head_bytes: int) -> tuple[str, str]:
    """Digests of a log's beginning and of what stands before `offset`."""
    head = stream.read(head_bytes)
    stream.seek(max(0, offset - TAIL))
    tail = stream.read(min(TAIL, offset))
    return hashlib.sha256(head).hexdigest()[:32], hashlib.sha256(tail).hexdigest()[:32]


def read_to(path: Path, cursor: Cursor, line: Line, time: datetime | None) -> Cursor:
    """The place behind `line`."""
    head_bytes = min(HEAD, line.end)
    with _opened(path) as stream:
        head, tail = _marks(stream, line.end, head_bytes)
    last = time.isoformat() if time else cursor.time
    return Cursor(cursor.path, line.end, line.number, head_bytes, head, tail, last)


def lines_of(path: Path, cursor: Cursor, now: datetime) -> Iterator[Line]:
    """The whole lines behind the cursor, or the values of a file that is one JSON document.

    A last line that is still being written is left for the next time: it comes with the reason
    `WAITING`, and no cursor may pass it. Raises `OSError` or `EOFError` where the file can't be
    read (any further).
    """
    settled = datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo) < now - SETTLED
    with _opened(path) as stream:
        if _is_document(path, stream.read(1 << 16)):
            stream.seek(0)
            yield from _values(stream, cursor)
            return
        stream.seek(cursor.offset)
        yield from _lines(stream, cursor, settled=settled)


def _opened(path: Path) -> IO[bytes]:
    stream = path.open("rb")
    packed = stream.read(2) == GZIP
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if packed else stream  # type: ignore[return-value]


def _lines(stream: IO[bytes], cursor: Cursor, *, settled: bool) -> Iterator[Line]:
    at = cursor.offset
    for number in itertools.count(cursor.lines + 1):
        data = stream.readline(LONGEST)
        if not data:
            return
        at += len(data)
        if len(data) == LONGEST and not data.endswith(b"\n"):
            while (rest := stream.readline(CHUNK)) and not rest.endswith(b"\n"):
                at += len(rest)
            at += len(rest)
            yield Line(number, at, reason=TOO_LONG)
            continue
        line = _line(number, at, data)
        if not data.endswith(b"\n") and line.reason is not None:
            yield replace(line, reason=TRUNCATED if settled else WAITING)
            return
        yield line


def _line(number: int, end: int, data: bytes) -> Line:
    # Blocks that a crash left empty are zeros.
    data = data.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n")
    if not data:
        return Line(number, end, reason=EMPTY)
    try:
        return Line(number, end, json.loads(data.decode("utf-8")))
    except UnicodeDecodeError:
        return Line(number, end, reason=NOT_UTF8)
    except (ValueError, RecursionError):
        return Line(number, end, reason=NO_JSON)


def _is_document(path: Path, beginning: bytes) -> bool:
    """Whether the file is an array, or one object over several lines."""
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[":
        return True
    suffixes = [suffix.lower() for suffix in path.suffixes]
    whole = ".json" in suffixes and text[:1] == b"{"
    return whole and _line(1, 0, text.split(b"\n", 1)[0]).reason is not None


def _values(stream: IO[bytes], cursor: Cursor) -> Iterator[Line]:
    """The elements of an array, or the values of a file, one by one: a file that is one document
    is written whole, and read again where it has changed."""
    size = sum(map(len, iter(lambda: stream.read(CHUNK), b"")))
    if size == cursor.offset:
        return
    stream.seek(0)
    text, decoder, at, number = "", json.JSONDecoder(), 0, 0
    reader = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="strict")  # type: ignore[arg-type]
    wanted = CHUNK
    ended = False
    try:
        while True:
            at = _next_value(text, at)
            try:
                value, end = decoder.raw_decode(text, at)
                whole = ended or end < len(text)
            except (ValueError, RecursionError):
                whole = False
            if whole:
                number += 1
                yield Line(number, 0, value)
                at = end
                continue
            if ended:
                break
            # Twice as much before trying again: a large value is tried a few times.
            wanted = max(CHUNK, min(2 * len(text[at:]), LONGEST))
            more = reader.read(wanted)
            ended, text, at = not more, text[at:] + more, 0
            if len(text) > 2 * LONGEST:
                yield Line(number + 1, size, reason=TOO_LONG)
                return
    except UnicodeDecodeError:
        yield Line(number + 1, size, reason=NOT_UTF8)
        return
    finally:
        reader.detach()
    rest = text[at:].strip(" \t\r\n,]\0")
    yield Line(number + bool(rest), size, reason=TRUNCATED if rest else EMPTY)


def _next_value(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,[]\0":
        at += 1
    return at
