"""From logs to requests that are new: what was read before, and what is there twice."""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.project import Project
from stillhouse.corpus.pii.keyed import Keyed
from stillhouse.monitor.assigned import assigned
from stillhouse.monitor.clock import Clock
from stillhouse.monitor.logs import EMPTY, WAITING, Cursor, Line, lines_of, places, read_to
from stillhouse.monitor.outcomes import Outcome, answer_id, feedback_in, given_by, outcome_of
from stillhouse.monitor.refused import Refused
from stillhouse.monitor.requests import Request, UnusableError, requests_in
from stillhouse.storage.files import read_json

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

# Lines that are looked at together.
BATCH = 512


@dataclass
class Reading:
    """How far logs were read under one `version` of the settings, and what they gave so far."""

    version: str
    cursors: list[Cursor] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    clock: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "cursors": [asdict(cursor) for cursor in self.cursors]}


def last_reading(file: Path, version: str) -> Reading | None:
    try:
        found = read_json(file)
        cursors = [Cursor(**cursor) for cursor in found["cursors"]]
        counters = [Counter(found[name]) for name in ("counted", "refused", "clock")]
        return Reading(version, cursors, *counters) if found["version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or one of an older release


class Reader:
    """Requests and feedback of logs that are new, not masked yet; counts what else there was. A row
    of feedback has no `request`, and `answer_id` says of which it is."""

    def __init__(
        self,
        project: Project,
        keyed: Keyed,
        db: duckdb.DuckDBPyConnection,
        reading: Reading,
        now: datetime,
    ) -> None:
        self.project, self.reading, self.now = project, reading, now
        self.counted = reading.counted
        self.unreadable: Counter[str] = Counter()
        self.waiting = 0
        self.logs = 0
        self.refused: Refused
        self._keyed, self._db = keyed, db
        self._oldest = now - timedelta(days=project.traffic.retention_days)

    def knows(self, tables: Sequence[Path]) -> None:
        """Requests of these tables are none that are new."""
        self._db.execute("CREATE TABLE seen (request VARCHAR)")
        for table in tables:
            found = "INSERT INTO seen SELECT request FROM read_parquet(?)"
            self._db.execute(found, [str(table)])

    def requests(self, files: Sequence[Path]) -> Iterator[Row]:
        self.logs = len(files)
        last = self.reading.cursors
        self.reading.cursors = []
        for path, cursor in places(files, last):
            self.reading.cursors.append(cursor)
            try:
                yield from self._of_log(path, cursor)
            except (OSError, EOFError, zlib.error):
                self.unreadable["cut_short" if cursor.offset else "unreadable"] += 1

    def _of_log(self, path: Path, cursor: Cursor) -> Iterator[Row]:
        clock = Clock(self.now, datetime.fromisoformat(cursor.time) if cursor.time else None)
        lines = lines_of(path, cursor, self.now)
        while batch := list(itertools.islice(lines, BATCH)):
            rows = [row for line in batch for row in self._of_line(cursor, line, clock)]
            yield from self._new([row for row in rows if "request" in row])
            yield from (row for row in rows if "request" not in row)
            read = [line for line in batch if line.reason != WAITING]
            self.waiting += len(batch) - len(read)
            if read and read[-1].end:
                cursor = read_to(path, cursor, read[-1], clock.last)
                self.reading.cursors[-1] = cursor
        self.reading.clock.update(clock.counted)

    def _of_line(self, cursor: Cursor, line: Line, clock: Clock) -> Iterator[Row]:
        if line.reason in (WAITING, EMPTY):
            return
        self.counted["lines"] += 1
        try:
            if line.reason is not None:
                raise UnusableError(line.reason)
            where = self.project.traffic.feedback
            if (said := feedback_in(line.value, where)) is not None:
                yield from self._feedback(*said, clock.of(line.value.get("time")))
                return
            found = list(requests_in(line.value, self.project.traffic.format))
            rows = [self._row(request, clock) for request in found]
        except UnusableError as why:
            self.reading.refused[why.reason] += 1
            self.refused.add(cursor, line.number, why.reason)
            return
        yield from rows

    def _row(self, request: Request, clock: Clock) -> Row:
        found = assigned(request, self.project)
        time, answer = clock.of(request.time), request.answer or ""
        said = (request.id, "") if request.id else (str(request.time), answer)
        conversation = request.conversation
        return {
            "request": self._keyed.digest("request", found.task, *said, found.text).hex()[:32],
            "task": found.task,
            "student": found.student,
            "conversation": conversation
            and self._keyed.digest("conversation", conversation).hex()[:32],
            "input": found.text,
            "answer": request.answer,
            "time": time,
            "confidence": request.confidence,
            "liked": request.liked,
            "answer_id": (named := answer_id(request)) and self._answer_id(named),
            **vars(given_by(request.of)),
            **vars(outcome_of(request.of, self.project.traffic.feedback)),
        }

    def _feedback(self, about: str, said: Outcome, time: datetime) -> Iterator[Row]:
        self.counted["feedback"] += 1
        if said.says_something and time >= self._oldest:
            yield {"answer_id": self._answer_id(about), "time": time, **vars(said)}

    def _answer_id(self, named: str) -> str:
        """By which feedback finds its request."""
        own = named.removeprefix("chatcmpl-").removeprefix("cmpl-")
        return self._keyed.digest("answer", own).hex()[:32]

    def _new(self, rows: list[Row]) -> list[Row]:
        """Those that are to be kept, each for the first time."""
        import pyarrow as pa

        first = {row["request"]: row for row in reversed(rows)}
        asked = pa.table({"request": pa.array(list(first), pa.string())})
        self._db.register("asked", asked)
        unseen = "SELECT request FROM asked ANTI JOIN seen USING (request)"
        new = {request for (request,) in self._db.sql(unseen).fetchall()}
        self._db.execute(f"INSERT INTO seen {unseen}")
        self._db.unregister("asked")
        self.counted["duplicates"] += len(rows) - len(new)
        found = [row for request, row in reversed(first.items()) if request in new]
        recent = [row for row in found if row["time"] >= self._oldest]
        share = self.project.traffic.sample
        # By the digest: whatever else is read, the same requests are kept.
        kept = [row for row in recent if int(row["request"][:13], 16) < share * 16**13]
        self.counted["too_old"] += len(found) - len(recent)
        self.counted["not_sampled"] += len(recent) - len(kept)
        return kept
