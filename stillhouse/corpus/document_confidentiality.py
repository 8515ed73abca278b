"""How confidential each document is, and why: the highest of all that say something counts.

Its source, the folders that it lies in, what it is marked with, what its file says of itself, and
the rules of the project file. Only a rule that a person answers for sets less.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import (
    CONFIDENTIALITY_ORDER,
    Confidentiality,
    ConfidentialityRule,
)
from stillhouse.config.project import Project
from stillhouse.corpus.confidentiality.levels import (
    LEGEND,
    Lookup,
    highest,
    level_of,
    level_of_folder,
    lookup_with,
)
from stillhouse.corpus.confidentiality.marks import LINE, PROPERTY
from stillhouse.corpus.listing import decode_path
from stillhouse.facts import DocumentConfidentialityFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import beside, connected, counts, one_row
from stillhouse.storage.tables import BATCH_ROWS, table_digest, table_writer

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

NAME = "document_confidentiality"
# What may give a level, in the order in which the first one is named as the reason.
SOURCES_OF_LEVEL = ("source", "folder", "marking", "property", "rule")
PERSONS = ("lowered_by", "lowered_because", "lowered_on")


def confidentiality_schema() -> pa.Schema:
    """One row a document: its `level` and the `reason` for it, one of `SOURCES_OF_LEVEL` or
    "lowered"; what each of them says, null where it says nothing; `lowered_to` and the person."""
    import pyarrow as pa

    says = [f"by_{name}" for name in SOURCES_OF_LEVEL]
    names = ("doc_id", "source", "level", "reason", *says, "lowered_to", *PERSONS)
    return pa.schema([(name, pa.string()) for name in names])


def find_confidentiality(project: Project, layout: Layout) -> DocumentConfidentialityFacts:
    """Write the table `document_confidentiality` from files, documents and rules.

    A mark that comes again in many documents is asked for once; memory is that of the different
    ones that mean something, and of DuckDB.
    """
    lookup = lookup_with(project.privacy.markings)
    tables = {name: layout.table(name) for name in ("source_files", "parsed_documents")}
    path = layout.table(NAME)
    with connected(tables) as db:
        _meanings(db, lookup)
        _files(db, project, lookup)
        with table_writer(path, confidentiality_schema()) as write:
            for batch in db.sql(_LEVELS).to_arrow_reader(BATCH_ROWS):
                write(batch)
    return DocumentConfidentialityFacts(
        digest=table_digest(path, confidentiality_schema().names),
        documents=one_row("SELECT count(*) AS n FROM t", t=path)["n"],
        by_level=counts(_counted("level"), t=path),
        by_reason=counts(_counted("reason"), t=path),
    )


def _counted(column: str) -> str:
    return f"SELECT {column}, count(*) AS n FROM t GROUP BY 1 ORDER BY n DESC, 1"


def _meanings(db: duckdb.DuckDBPyConnection, lookup: Lookup) -> None:
    """The table meanings(place, name, text, level): marks that stand for a level, by its number."""
    db.execute("CREATE TABLE meanings (place VARCHAR, name VARCHAR, text VARCHAR, level INT)")
    db.execute(
        """CREATE TABLE marks AS
           SELECT doc_id, m.place AS place, m.name AS name, m.text AS text, m.page AS page
           FROM (SELECT doc_id, unnest(marks) AS m FROM parsed_documents WHERE status = 'parsed')"""
    )
    different = beside(db).sql("SELECT DISTINCT place, name, text FROM marks")
    for batch in different.to_arrow_reader(BATCH_ROWS):
        found = [
            {**row, "level": _number(level)}
            for row in batch.to_pylist()
            if (level := level_of(row["place"], row["name"], row["text"], lookup))
        ]
        _insert(db, "meanings", found)


def _files(db: duckdb.DuckDBPyConnection, project: Project, lookup: Lookup) -> None:
    """The table files(file_id, source, folder, raised, lowered, ...) of levels, by their numbers,
    with the person of the rule that lowers."""
    db.execute(
        "CREATE TABLE files (file_id VARCHAR, source INT, folder INT, raised INT, lowered INT, "
        "lowered_by VARCHAR, lowered_because VARCHAR, lowered_on VARCHAR)"
    )
    rules = project.privacy.confidentiality_rules
    patterns = [glob(rule.path) if rule.path else None for rule in rules]
    depths = {source.name: _depth(project.root, source.path) for source in project.sources}
    listed = beside(db).sql("SELECT file_id, source, path, confidentiality FROM source_files")
    for batch in listed.to_arrow_reader(BATCH_ROWS):
        rows = []
        for file in batch.to_pylist():
            path = decode_path(file["path"])
            hit = _matching(rules, patterns, file["source"], path)
            folder = highest(
                level_of_folder(part, lookup)
                for part in PurePath(path).parts[depths.get(file["source"], 0) : -1]
            )
            raised = highest(rule.level for rule in hit if not rule.lowered_by)
            low = max(
                (rule for rule in hit if rule.lowered_by),
                key=lambda rule: _number(rule.level),
                default=None,
            )
            person = (low.lowered_by, low.reason, str(low.date)) if low else (None, None, None)
            levels = {
                "source": file["confidentiality"],
                "folder": folder,
                "raised": raised,
                "lowered": low.level if low else None,
            }
            numbers = {name: _number(level) if level else None for name, level in levels.items()}
            persons = dict(zip(PERSONS, person, strict=True))
            rows.append({"file_id": file["file_id"], **numbers, **persons})
        _insert(db, "files", rows)


def _insert(db: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    if rows:
        db.register("more", pa.Table.from_pylist(rows))
        db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM more")
        db.unregister("more")


def _matching(
    rules: Sequence[ConfidentialityRule],
    patterns: Sequence[re.Pattern[str] | None],
    source: str,
    path: str,
) -> list[ConfidentialityRule]:
    path = unicodedata.normalize("NFC", path)  # some systems take letters apart
    return [
        rule
        for rule, pattern in zip(rules, patterns, strict=True)
        if rule.source in (None, source) and (pattern is None or pattern.fullmatch(path))
    ]


def glob(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within a folder, `**` doesn't; `a/**/b` is also `a/b`, `a/` all below."""
    if pattern.endswith("/"):
        pattern += "**"
    translated = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", unicodedata.normalize("NFC", pattern))
    return re.compile("".join(translated.get(p) or re.escape(p) for p in pieces), re.DOTALL)


def _depth(root: Path, source: Path) -> int:
    """How many parts of a file's path, as the table has it, are the source's own."""
    whole = root / source
    return len((whole.relative_to(root) if whole.is_relative_to(root) else whole).parts)


def levels_up_to(level: Confidentiality) -> str:
    """The names of the levels up to this one, quoted for SQL."""
    names = CONFIDENTIALITY_ORDER[: _number(level)]
    return ", ".join(f"'{name}'" for name in names)


def _number(level: Confidentiality) -> int:
    return CONFIDENTIALITY_ORDER.index(level) + 1


def _name(number: str) -> str:
    return f"{list(CONFIDENTIALITY_ORDER)}[{number}]"


_LEVELS = f"""
    WITH meant AS (
        SELECT doc_id, m.place, page, level FROM marks m JOIN meanings USING (place, name, text)
        -- A place that names most levels explains them.
        QUALIFY m.place <> '{LINE}' OR len(list_distinct(
            array_agg(level) OVER (PARTITION BY doc_id, m.place, page))) < {LEGEND}
    ), read AS (
        SELECT doc_id, max(level) FILTER (place <> '{PROPERTY}') AS marking,
               max(level) FILTER (place = '{PROPERTY}') AS property
        FROM meant GROUP BY doc_id
    ), said AS (
        SELECT d.doc_id, d.source AS of, f.source, f.folder, r.marking, r.property,
               f.raised AS rule, f.lowered,
               {", ".join(f"f.{name}" for name in PERSONS)},
               greatest(f.source, f.folder, r.marking, r.property, f.raised) AS reached
        FROM parsed_documents d JOIN files f USING (file_id) LEFT JOIN read r USING (doc_id)
        WHERE d.status = 'parsed'
    )
    SELECT doc_id, of AS source, {_name("least(reached, lowered)")} AS level,
           CASE WHEN lowered < reached THEN 'lowered'
                {" ".join(f"WHEN {name} = reached THEN '{name}'" for name in SOURCES_OF_LEVEL)}
           END AS reason,
           {", ".join(f"{_name(name)} AS by_{name}" for name in SOURCES_OF_LEVEL)},
           {_name("lowered")} AS lowered_to, {", ".join(PERSONS)}
    FROM said ORDER BY doc_id
"""


def above(
    layout: Layout, train_up_to: Confidentiality, documents: Path | pa.Table
) -> dict[str, int]:
    """How many of `documents` (a column doc_id) are more confidential than `train_up_to`, or have
    a copy that is ("above"); and of how many nothing is known ("unknown").

    Reads the levels and the clusters themselves, not what a later stage wrote of them.
    """
    tables = {
        "asked": documents,
        "levels": layout.table(NAME),
        "clusters": layout.table("duplicate_clusters"),
    }
    limit = _number(train_up_to)
    found = one_row(
        f"""WITH numbers AS (
                SELECT doc_id, list_position({list(CONFIDENTIALITY_ORDER)}, level) AS number
                FROM levels
            ), highest AS (
                SELECT cluster_id, max(number) AS number
                FROM clusters JOIN numbers USING (doc_id) GROUP BY 1
            )
            SELECT count(*) FILTER (greatest(n.number, h.number) > {limit}) AS above,
                   count(*) FILTER (n.number IS NULL) AS unknown
            FROM (SELECT DISTINCT doc_id FROM asked) LEFT JOIN numbers n USING (doc_id)
            LEFT JOIN clusters c USING (doc_id) LEFT JOIN highest h USING (cluster_id)""",
        **tables,
    )
    return {name: int(number) for name, number in found.items()}
