"""Requests of production, masked: what logs say since they were read last.

Nothing of a log is written down before it is masked. A request is known by a keyed digest of its
id and text (or of its time, text and answer, where it has no id), so that logs that overlap, or
were copied, count each request once. Conversations have keyed digests too. Originals are kept
nowhere: the vault knows none of them. Feedback may come long after its request: what is new of it
is kept beside the table, and joined whenever that is written.
"""

# Queries are composed of names of our own, and of paths that are quoted.
# ruff: noqa: S608

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.code_of_parts import code_version
from stillhouse.config.base import settings_of
from stillhouse.config.monitor import Traffic
from stillhouse.config.project import Project
from stillhouse.corpus.masked import mask_settings
from stillhouse.corpus.pii.keyed import Keyed
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.parts import BREAK
from stillhouse.corpus.pii.pool import clean_in_processes
from stillhouse.corpus.pii.vault import load_or_create_key
from stillhouse.facts import ProductionTrafficFacts
from stillhouse.monitor.judged import FEEDBACK, NEW_FEEDBACK, feedback_schema, judge, judged
from stillhouse.monitor.logs import log_files
from stillhouse.monitor.reading import BATCH, Reader, Reading, Row, last_reading
from stillhouse.monitor.refused import Refused
from stillhouse.storage.files import digest, write_json
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected, query
from stillhouse.storage.tables import BATCH_ROWS, table_digest, table_writer

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

COUNTED = ("lines", "duplicates", "too_old", "too_many", "not_sampled", "feedback")
SUMMED = ("requests", "answered", "rated", "judged", "shadowed")
STEP = "production_traffic"
TABLE, READ, NEW = "data.parquet", "read.json", ".new.parquet"
# What is masked of a row, in one go: who is known from one is found in the others.
TEXTS = ("input", "answer", "shadow", "gold")


def traffic_schema() -> pa.Schema:
    """One row a request; `input`, `answer`, `gold` and what a `shadow` answered are masked,
    `pseudonyms` stand in them. `liked` is 1 or 0, `score` 0..1; `conversation` the digest of what
    requests belong together by, `answer_id` of what feedback is given by."""
    import pyarrow as pa

    text = ("request", "task", "student", "conversation", "input", "answer")
    of_answer = ("answer_id", "release", "shadow", "shadow_release", "gold")
    return pa.schema(
        [
            *((name, pa.string()) for name in text),
            ("time", pa.timestamp("us", tz="UTC")),
            ("confidence", pa.float64()),
            ("liked", pa.float64()),
            ("pseudonyms", pa.list_(pa.string())),
            *((name, pa.string()) for name in of_answer),
            *((name, pa.float64()) for name in ("shadow_confidence", "score", "metric")),
        ]
    )


def read_traffic(
    project: Project, layout: Layout, folder: Path, *, now: datetime | None = None
) -> ProductionTrafficFacts:
    """Write the table of requests to `folder`, and how far each log was read: what the present
    table has, and what is new. Without logs in the project file it is empty.

    With other settings of masking or traffic everything is read anew; what is in no log any more
    is then gone, as nobody has its original.

    Raises:
        UserError: a wrong setting of masking, or a key that doesn't serve.
    """
    now, logs = now or datetime.now(UTC), project.traffic.logs
    if not logs:
        with connected({}) as db:
            _write(db, folder, [], [], project.traffic, now)
        return _facts(folder / TABLE, Reading(""), None, project.traffic)
    key = load_or_create_key(layout.key("pseudonyms"))
    masker = Masker(mask_settings(project.privacy, project.root), key)
    old, version = layout.table(STEP), _version(project, masker)
    reading = last_reading(old.with_name(READ), version)
    known = [old] if reading is not None and old.exists() else []
    said = [f for f in [old.with_name(FEEDBACK)] if known and f.exists()]
    with connected({}) as db:
        reader = Reader(project, Keyed(key), db, reading or Reading(version), now)
        forgotten = [f for f in [layout.forgotten_requests] if f.exists()]
        reader.knows([*known, *forgotten])
        reader.refused = Refused(layout, reset=not known)
        heard = folder / NEW_FEEDBACK
        with (
            table_writer(folder / NEW, traffic_schema()) as write,
            table_writer(heard, feedback_schema()) as hear,
        ):
            rows = _masked(masker, reader.requests(log_files(project.root, logs)))
            while batch := list(itertools.islice(rows, BATCH)):
                write([row for row in batch if "request" in row])
                hear([row for row in batch if "request" not in row])
        parts, feedback = [*known, folder / NEW], [*said, heard]
        left_out = _write(db, folder, parts, feedback, project.traffic, now, forgotten)
    reader.counted.update(left_out)
    for new in (folder / NEW, heard):
        new.unlink()
    reader.refused.write()
    write_json(folder / READ, reader.reading.as_json())
    return _facts(folder / TABLE, reader.reading, reader, project.traffic)


def _version(project: Project, masker: Masker) -> str:
    """Of all that decides what a line gives."""
    kept = ("logs", "retention_days", "max_requests")
    settings = {k: v for k, v in settings_of(project.traffic).items() if k not in kept}
    tasks = [(task.name, task.kind, task.instruction) for task in project.tasks]
    students = [student.name for student in project.students]
    return digest(masker.fingerprint(), code_version("traffic"), settings, tasks, students)


def _masked(masker: Masker, rows: Iterator[Row]) -> Iterator[Row]:
    waiting: deque[Row] = deque()

    def originals() -> Iterator[str]:
        for row in rows:
            waiting.append(row)
            parts = (row.get(name) or "" for name in TEXTS)
            yield BREAK.join(part.replace(BREAK, "\n") for part in parts)

    for masked, _ in clean_in_processes(masker, originals(), os.cpu_count() or 1):
        row = waiting.popleft()
        texts = zip(TEXTS, masked.text.split(BREAK), strict=True)
        pseudonyms = sorted({e.pseudonym for e in masked.entities if e.pseudonym})
        yield {**row, **{name: text or None for name, text in texts}, "pseudonyms": pseudonyms}


def _write(
    db: duckdb.DuckDBPyConnection,
    folder: Path,
    parts: Sequence[Path],
    feedback: Sequence[Path],
    settings: Traffic,
    now: datetime,
    forgotten: Sequence[Path] = (),
) -> dict[str, int]:
    """The table of what these parts have and may stay, by time; returns what was left out."""
    with table_writer(folder / TABLE, traffic_schema()) as write:
        db.execute("SET TimeZone = 'UTC'")
        db.register("empty", traffic_schema().empty_table())
        rows = " UNION ALL ".join(
            ["FROM empty", *(f"FROM read_parquet('{_quoted(part)}')" for part in parts)]
        )
        oldest = now - timedelta(days=settings.retention_days)
        db.execute("CREATE TABLE bound AS SELECT ?::TIMESTAMPTZ AS oldest", [oldest])
        gone = " ".join(
            f"ANTI JOIN read_parquet('{_quoted(f)}') USING (request)" for f in forgotten
        )
        db.execute(f"CREATE VIEW rows AS SELECT * FROM ({rows}) {gone}")
        judge(db, folder / FEEDBACK, feedback, now)
        recent = "SELECT * FROM rows WHERE time >= (FROM bound)"
        left = db.sql(f"SELECT (SELECT count(*) FROM rows), count(*) FROM ({recent})").fetchall()
        (everything, kept), most = left[0], settings.max_requests
        newest = f"{recent} ORDER BY time DESC, request LIMIT {most}"
        sql = f"SELECT * FROM ({judged(newest)}) ORDER BY time, request"
        for batch in db.sql(sql).to_arrow_reader(BATCH_ROWS):
            write(batch)
    return {"too_old": everything - kept, "too_many": max(0, kept - most)}


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _facts(
    table: Path, reading: Reading, reader: Reader | None, settings: Traffic
) -> ProductionTrafficFacts:
    found = query(
        """SELECT task, count(*) AS requests, count(answer) AS answered, count(liked) AS rated,
                  count(coalesce(gold, score::VARCHAR)) AS judged, count(shadow) AS shadowed,
                  epoch(min(time)) AS oldest, epoch(max(time)) AS newest
           FROM t GROUP BY task ORDER BY task""",
        t=table,
    ).to_pylist()
    oldest = min((row["oldest"] for row in found), default=None)
    newest = max((row["newest"] for row in found), default=None)
    kept = settings.retention_days * 86400
    return ProductionTrafficFacts(
        digest=table_digest(table, [f.name for f in traffic_schema()]),
        logs=reader.logs if reader else 0,
        by_task={row["task"]: row["requests"] for row in found},
        **{n: sum(row[n] for row in found) for n in SUMMED},
        **{n: reading.counted[n] for n in COUNTED},
        refused=dict(sorted(reading.refused.items())),
        clock=dict(sorted(reading.clock.items())),
        waiting=reader.waiting if reader else 0,
        unreadable=dict(reader.unreadable) if reader else {},
        oldest=_iso(oldest),
        newest=_iso(newest),
        expires=_iso(None if oldest is None else oldest + kept),
    )


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
