"""The files of the project's sources: one row a file, hashed again only when it was touched.

What is no file to read, but somebody may think it is, has a row too (`unread`; the reasons stand in
listing.py), from which `parsed_documents` quarantines it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import Source
from stillhouse.config.project import Project
from stillhouse.corpus.listing import Seen, decode_path, encode_path, look_through
from stillhouse.corpus.parse.kinds import SUPPORTED_SUFFIXES
from stillhouse.corpus.parse.record_rows import RECORD_SUFFIXES
from stillhouse.errors import UserError
from stillhouse.facts import SourceFilesFacts
from stillhouse.progress import track
from stillhouse.storage.files import digest, sha256_of
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import counts, one_row, rows_in_batches
from stillhouse.storage.tables import table_digest, table_writer

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


def source_schema() -> pa.Schema:
    """`path` is relative to the project file (see `encode_path`); `unread` says why a row is no
    file to read (see `why_unread`), null for the others; these have a `sha256`."""
    import pyarrow as pa

    text = (
        *("file_id", "source", "kind", "path", "sha256", "label", "confidentiality"),
        "unread",
    )
    numbers = ("size", "modified_ns", "position")
    return pa.schema([(n, pa.string()) for n in text] + [(n, pa.int64()) for n in numbers])


def list_files(project: Project) -> Iterator[tuple[Source, Path]]:
    """Files to read, by source and path; raises `ConfigError` for a path that isn't there."""
    return ((seen.source, Path(seen.path)) for seen in look_through(project) if seen.unread is None)


def scan_sources(
    project: Project, layout: Layout, *, target: Path | None = None
) -> SourceFilesFacts:
    """Write the table `source_files`, a row for each file (to `target`, if only its facts matter).

    A file of the same size and modification time as in the last scan keeps its hash.

    Raises:
        ConfigError: a source's path isn't there.
        UserError: there is no file, or a source that had some has none: nothing is written then.
    """
    table = layout.table("source_files")
    last = _last_scan(table)
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "listing.parquet"
        counted = _write_listing(project, listing)
        before = counts(_FILES, t=last)
        _refuse_what_went(project, before, counts(_FILES, t=listing))
        rows = rows_in_batches(
            """SELECT f.* REPLACE (
                   (SELECT any_value(sha256) FROM last l WHERE l.source = f.source
                    AND l.path = f.path AND l.size = f.size AND l.modified_ns = f.modified_ns)
                   AS sha256)
               FROM listing f ORDER BY f.position""",
            listing=listing,
            last=last,
        )
        readable: Counter[str] = Counter()
        with table_writer(target or table, source_schema()) as write:
            for batch in rows:
                hashed = [_hashed(project, row) for row in batch]
                readable.update(row["source"] for row in hashed if not row["unread"])
                write(hashed)
            _refuse_what_went(project, before, readable)  # or the table stays as it was
    return _facts(target or table, counted)


def _last_scan(table: Path) -> Path | pa.Table:
    """The table, unless there is none, or one of an older release with other columns."""
    import pyarrow.parquet as pq

    schema = source_schema()
    fits = table.exists() and pq.read_schema(table).names == schema.names
    return table if fits else schema.empty_table()


def listing_digest(project: Project) -> str:
    """Changes when a file comes, goes or is touched; reads no file's content.

    Raises `ConfigError` for a source whose path isn't there.
    """
    total = hashlib.sha256()
    root = f"{project.root}{os.sep}"
    for seen in look_through(project):
        if seen.has_row:
            path = encode_path(seen.path.removeprefix(root))
            said = (seen.source.name, path, seen.unread, seen.size, seen.modified_ns)
            total.update(f"{said}\n".encode())
    return total.hexdigest()[:20]


def _write_listing(project: Project, listing: Path) -> Counter[str]:
    """What is seen, not hashed yet; returns counts of what has no row."""
    counted: Counter[str] = Counter()
    seen = track(look_through(project), "Scanning sources", unit="files")
    positions = itertools.count()
    with table_writer(listing, source_schema()) as write:
        while batch := list(itertools.islice(seen, 1024)):
            counted.update(item.unread or "" for item in batch if not item.has_row)
            write([_row(project, item, next(positions)) for item in batch if item.has_row])
    return counted


def _row(project: Project, seen: Seen, position: int) -> Row:
    return {
        "source": seen.source.name,
        "kind": seen.source.kind,
        "path": encode_path(seen.path.removeprefix(f"{project.root}{os.sep}")),
        "label": _folder_label(seen.source, Path(seen.path), project.root / seen.source.path),
        "confidentiality": seen.source.confidentiality,
        "unread": seen.unread,
        "size": seen.size,
        "modified_ns": seen.modified_ns,
        "position": position,
    }


def _hashed(project: Project, row: Row) -> Row:
    if not row["unread"]:
        sha256 = row["sha256"] or _sha256(project.root / decode_path(row["path"]))
        if sha256:
            return {**row, "sha256": sha256, "file_id": digest(row["source"], row["path"], sha256)}
        row["unread"] = "unreadable_file"
    return {**row, "file_id": digest(row["source"], row["path"], row["unread"], "unread")}


def _refuse_what_went(project: Project, before: dict[str, int], now: Mapping[str, int]) -> None:
    """A share that isn't mounted looks like an empty folder: its documents must not go for that."""
    empty = [s.name for s in project.sources if s.name in before and s.name not in now]
    if empty:
        raise UserError(
            f"{project.file}: sources: {', '.join(empty)}: all files went since the last run",
            remedy="mount the share that they lie on; if they are really to go, remove the "
            "source from the project file.",
        )
    if not now:
        raise UserError(
            f"{project.file}: sources: there are no files in them that can be read",
            remedy=f"put files there: {', '.join(SUPPORTED_SUFFIXES)} into a source of documents, "
            f"{', '.join(RECORD_SUFFIXES)} into one of records.",
        )


_FILES = "SELECT source, count(*) FROM t WHERE unread IS NULL GROUP BY source ORDER BY source"


def _facts(table: Path, counted: Counter[str]) -> SourceFilesFacts:
    figures = one_row(
        "SELECT count(*) AS files, coalesce(sum(size), 0)::BIGINT AS bytes FROM t "
        "WHERE unread IS NULL",
        t=table,
    )
    rows = "SELECT unread, count(*) FROM t WHERE unread IS NOT NULL GROUP BY unread"
    content = ["file_id", "source", "kind", "label", "confidentiality", "unread", "position"]
    return SourceFilesFacts(
        digest=table_digest(table, content),
        by_source=counts(_FILES, t=table),
        unread=dict(sorted({**counted, **counts(rows, t=table)}.items())),
        **figures,
    )


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None  # it may pass: the next scan tries again


def _folder_label(source: Source, path: Path, base: Path) -> str | None:
    if source.label_from != "folder" or path.parent == base:
        return None
    return encode_path(path.parent.name)
