"""Which lines many documents of a source share: known only when all are there.

Documents are read once, to an index of their lines' shapes; what is boilerplate is counted in the
index. A document is cleansed again when something in it became boilerplate, or is none any more.
"""

# Queries are composed of numbers and names of our own.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import Cleansing
from stillhouse.corpus.cleanse.lines import lines_of, shape_of, weight_of
from stillhouse.storage.files import digest
from stillhouse.storage.query import connected
from stillhouse.storage.tables import BATCH_ROWS, Finished, Inputs, table_writer, update_table

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

# Data, row by row: what comes back there are names and values of columns.
NO_PROSE = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xlsx")
# A document bears witness to what is boilerplate if this share of it is its own. Copies and
# versions of one document share nearly all lines, and none of them is boilerplate.
OWN = 0.2
# In how many documents a line comes back, as multiples of `min_share`: levels 1, 2, 3. What nearly
# all documents have is of level 4.
TWICE, MOST, NEARLY_ALL = 3, 5, 0.9
BATCH = 256


def index_schema() -> pa.Schema:
    """A row a document: the shapes of its lines, each once, and how much each counts there."""
    import pyarrow as pa

    return pa.schema(
        [
            *((name, pa.string()) for name in ("doc_id", "version", "source")),
            ("shapes", pa.list_(pa.uint64())),
            ("weights", pa.list_(pa.int64())),
        ]
    )


def update_index(parsed: Path, index: Path, staging: Path, *, version: str) -> None:
    """Bring the index up to date with the parsed documents; only new ones are read."""
    update_table(
        index,
        staging,
        index_schema(),
        key="doc_id",
        version=version,
        inputs=Inputs(parsed, ["doc_id", "source", "kind", "suffix", "text"], "status = 'parsed'"),
        compute=lambda documents: _indexed(documents, version),
        description="Comparing lines",
    )


def is_prose(document: Row) -> bool:
    return document["kind"] == "records" or document["suffix"] not in NO_PROSE


def _indexed(documents: Iterable[Row], version: str) -> Iterator[Finished]:
    for document in documents:
        weights: dict[int, int] = defaultdict(int)
        if is_prose(document):
            digits = document["kind"] == "records"
            for line in lines_of(document["text"]):
                weights[shape_of(line, digits=digits)] += weight_of(line)
        row = {
            "doc_id": document["doc_id"],
            "version": version,
            "source": document["source"],
            "shapes": list(weights),
            "weights": list(weights.values()),
        }
        yield Finished(1, [row])


def inputs_schema() -> pa.Schema:
    """A row a document: `cleanse_id` stands for it and for what in it is boilerplate, the shapes
    `known` with their `levels`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("cleanse_id", pa.string()),
            ("doc_id", pa.string()),
            ("known", pa.list_(pa.uint64())),
            ("levels", pa.list_(pa.int64())),
        ]
    )


def write_inputs(index: Path, settings: Cleansing, target: Path) -> Inputs:
    """The documents that are to be cleansed, and by what; see `inputs_schema`.

    A line is boilerplate when at least `min_documents` documents of its source have it, and
    `min_share` of them, each with something of its own beside it.
    """
    needed = f"greatest({settings.min_documents}, {settings.min_share} * any_value(size))"
    share = "count(*) / any_value(size)"
    level = f"""CASE WHEN {share} >= {NEARLY_ALL} THEN 4
        WHEN {share} >= least({MOST * settings.min_share}, {NEARLY_ALL}) THEN 3
        WHEN {share} >= least({TWICE * settings.min_share}, {NEARLY_ALL}) THEN 2 ELSE 1 END"""
    with connected({"indexed": index}) as db:
        db.execute(
            "CREATE TABLE documents AS SELECT DISTINCT ON (doc_id) doc_id, source, shapes, weights,"
            " row_number() OVER () AS number FROM indexed"
        )
        db.execute(
            """CREATE TABLE lines AS
            SELECT number, d.source, shape, weight, size FROM (
                SELECT number, source, unnest(shapes) AS shape, unnest(weights) AS weight
                FROM documents
            ) d JOIN (
                SELECT source, count(*) AS size FROM documents WHERE len(shapes) > 0 GROUP BY source
            ) USING (source)"""
        )
        db.execute(
            f"""CREATE TABLE frequent AS SELECT source, shape FROM lines WHERE shape <> 0
            GROUP BY source, shape HAVING count(*) >= {needed}"""
        )
        db.execute(
            f"""CREATE TABLE witnesses AS SELECT number FROM (
                SELECT number, weight, f.shape IS NULL AS own
                FROM lines LEFT JOIN frequent f USING (source, shape)
            ) GROUP BY number
            HAVING sum(weight) FILTER (own) >= {OWN} * sum(weight)"""
        )
        db.execute(
            f"""CREATE TABLE boilerplate AS SELECT source, shape, {level} AS level
            FROM lines JOIN frequent USING (source, shape) SEMI JOIN witnesses USING (number)
            GROUP BY source, shape HAVING count(*) >= {needed}"""
        )
        rows = db.sql(
            """SELECT md5(doc_id || coalesce(list_zip(known, levels)::VARCHAR, '')) AS cleanse_id,
                      doc_id, coalesce(known, []) AS known, coalesce(levels, []) AS levels
               FROM documents LEFT JOIN (
                   SELECT number, list(shape ORDER BY shape) AS known,
                          list(level ORDER BY shape) AS levels
                   FROM lines JOIN boilerplate USING (source, shape) GROUP BY number
               ) USING (number) ORDER BY number"""
        ).to_arrow_reader(BATCH_ROWS)
        with table_writer(target, inputs_schema()) as write:
            for batch in rows:
                write(batch)
    return Inputs(target, inputs_schema().names)


def index_version(code: int) -> str:
    return digest("lines", code)
