"""Documents freed of what they don't say themselves; all of it is kept, with place and reason.

What a source repeats is known only when all its files are parsed: so this is a step of its own,
after parsing and before masking. A document is cleansed again when it changed, or when something
in it became boilerplate of its source or is none any more.

The table holds what documents say, unmasked, as that of the parsed documents does.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.code_of_parts import CLEANSING_LIBRARIES, code_version
from stillhouse.config.base import settings_of
from stillhouse.config.corpus import Cleansing
from stillhouse.corpus.cleanse.boilerplate import Known
from stillhouse.corpus.cleanse.document import Cleansed, cleanse
from stillhouse.corpus.cleanse.edits import MOJIBAKE, NOISE, Edit
from stillhouse.corpus.cleanse.language import main_language, passages_of
from stillhouse.corpus.cleanse.lines import exact
from stillhouse.corpus.cleanse.mojibake import mended
from stillhouse.corpus.cleanse.repetition import (
    index_version,
    inputs_schema,
    is_prose,
    update_index,
    write_inputs,
)
from stillhouse.corpus.parse.columns import leaves, to_json, with_leaves
from stillhouse.corpus.parsed import quarantine_schema
from stillhouse.facts import CleansedDocumentsFacts
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.provenance import library_versions
from stillhouse.storage.query import connected, rows_in_batches
from stillhouse.storage.tables import Finished, table_digest, table_writer, update_table

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

KEPT, LEFT_OUT = "kept", "left_out"
# Why a document is left out as a whole.
EMPTY = "nothing_left"
CONTENT = ("doc_id", "status", "title", "text", "columns", "language", "quality")


def cleansed_schema() -> pa.Schema:
    """One row a document; `status` says whether it goes on ("kept", "left_out" for `reason`).

    `content_id` is a digest of the document's id and of what it says now, which may change with
    what others say.

    `edits` are what was taken out or mended: `removed` stood in the parsed document's `part`
    ("text", "title", "columns") at `start` to `end` (characters from 0), `put` stands there now;
    those of a part don't overlap. `quality`, 0 to 1, is the share of words in the text as it was.
    `language` is an ISO 639-1 code, null where there is too little to tell; `passages` are places
    in the text as it is now.
    """
    import pyarrow as pa

    text = (
        *("doc_id", "cleanse_id", "content_id", "version", "status", "reason"),
        *("title", "text", "columns", "language"),
    )
    places = [("start", pa.int64()), ("end", pa.int64())]
    words = [(name, pa.string()) for name in ("removed", "put", "reason")]
    return pa.schema(
        [
            *((name, pa.string()) for name in text),
            ("quality", pa.float64()),
            ("passages", pa.list_(pa.struct([*places, ("language", pa.string())]))),
            ("edits", pa.list_(pa.struct([("part", pa.string()), *places, *words]))),
        ]
    )


def cleanse_documents(settings: Cleansing, layout: Layout) -> CleansedDocumentsFacts:
    """Bring `cleansed_documents` up to date with the documents that were parsed; those that are
    left out stand in its quarantine too."""
    table, parsed = layout.table("cleansed_documents"), layout.table("parsed_documents")
    workshop = layout.staging("cleanse")
    index = layout.cache("lines") / "lines.parquet"
    code = code_version("cleansing")
    update_index(parsed, index, layout.staging("lines"), version=index_version(code))
    inputs = write_inputs(index, settings, workshop / "inputs.parquet")
    version = digest(settings_of(settings), code, library_versions(CLEANSING_LIBRARIES))
    increment = update_table(
        table,
        layout.staging("cleansed_documents"),
        cleansed_schema(),
        key="cleanse_id",
        version=version,
        inputs=inputs,
        compute=lambda wanted: _cleanse(settings, version, parsed, wanted, workshop),
        description="Cleansing",
    )
    _write_quarantine(table, parsed, layout.quarantine("cleansed_documents"))
    return CleansedDocumentsFacts(
        digest=table_digest(table, CONTENT),
        **_figures(table),
        computed=increment.computed,
        reused=increment.reused,
        dropped=increment.dropped,
    )


def _cleanse(
    settings: Cleansing, version: str, parsed: Path, wanted: Iterator[Row], workshop: Path
) -> Iterator[Finished]:
    """The wanted documents' rows. Of the parsed documents only their texts are read."""
    todo = workshop / "todo.parquet"
    with table_writer(todo, inputs_schema()) as write:
        while batch := list(itertools.islice(wanted, 1000)):
            write(batch)
    documents = rows_in_batches(
        """SELECT t.*, p.kind, p.suffix, p.title, p.text, p.columns
           FROM parsed p JOIN todo t USING (doc_id) WHERE p.status = 'parsed'""",
        parsed=parsed,
        todo=todo,
    )
    for document in itertools.chain.from_iterable(documents):
        yield Finished(1, [{**_cleansed(document, settings), "version": version}])


def _cleansed(document: Row, settings: Cleansing) -> Row:
    title, columns = document["title"], document["columns"]
    done = Cleansed(document["text"], (), 1.0)
    edits: list[Row] = []
    if settings.enabled:
        said = [str(leaf) for leaf in leaves(json.loads(columns or "{}"))]
        known = Known(
            levels=dict(zip(document["known"], document["levels"], strict=True)),
            is_record=document["kind"] == "records",
            title=title or "",
            kept=[answer for answer in map(exact, said) if answer],
        )
        done = cleanse(document["text"], known, prose=is_prose(document))
        edits += [{"part": "text", **vars(edit)} for edit in done.edits]
        title, columns = title and mended(title), _mended_columns(columns)
        edits += _whole("title", document["title"], title)
        edits += _whole("columns", document["columns"], columns)
    reason = _why_left_out(document, done, settings)
    passages = passages_of(done.text)
    doc_id = document["doc_id"]
    return {
        "doc_id": doc_id,
        "cleanse_id": document["cleanse_id"],
        "content_id": digest(doc_id, title, done.text, columns),
        "status": LEFT_OUT if reason else KEPT,
        "reason": reason,
        "title": title,
        "text": done.text,
        "columns": columns,
        "language": main_language(done.text, passages),
        "quality": round(done.quality, 4),
        "passages": [{"start": p.start, "end": p.end, "language": p.language} for p in passages],
        "edits": edits,
    }


def _why_left_out(document: Row, done: Cleansed, settings: Cleansing) -> str | None:
    if not settings.enabled:
        return None
    if done.quality < settings.min_quality:
        return NOISE
    return EMPTY if document["text"].strip() and not done.text.strip() else None


def _whole(part: str, old: str | None, new: str | None) -> list[Row]:
    if old is None or new is None or old == new:
        return []
    return [{"part": part, **vars(Edit(0, len(old), old, new, MOJIBAKE))}]


def _mended_columns(columns: str | None) -> str | None:
    """What tasks read there, mended as the text is: an answer has to stand in it."""
    if columns is None or columns.isascii():
        return columns
    values = json.loads(columns)
    new = (mended(leaf) if isinstance(leaf, str) else leaf for leaf in leaves(values))
    return to_json(with_leaves(values, new))


REMEDIES = {
    NOISE: "scan it again with more contrast, or set `cleansing: {min_quality: ...}` lower.",
    EMPTY: "`stillhouse corpus show` prints what was taken out; remove it if nothing is missing.",
}
REASONS = {
    NOISE: "most of it is no words, as where character recognition failed",
    EMPTY: "nothing was left of it when what is no text was taken out",
}


def _write_quarantine(table: Path, parsed: Path, quarantine: Path) -> None:
    rows = rows_in_batches(
        f"""SELECT p.source, p.file_id, p.suffix, c.reason, p.position AS line
            FROM t c JOIN p USING (doc_id) WHERE c.status = '{LEFT_OUT}' ORDER BY ALL""",  # noqa: S608
        t=table,
        p=parsed,
    )
    with table_writer(quarantine, quarantine_schema()) as write:
        for batch in rows:
            write(
                {
                    **row,
                    "category": row["reason"],
                    "reason": REASONS[row["reason"]],
                    "remedy": REMEDIES[row["reason"]],
                }
                for row in batch
            )


def _figures(table: Path) -> dict[str, Any]:
    """Counts of documents, of edits by reason and of languages; what is left out aside."""
    with connected({"t": table}) as db:
        db.execute(f"CREATE VIEW kept AS FROM t WHERE status = '{KEPT}'")
        db.execute("CREATE VIEW edits AS SELECT unnest(edits, recursive := true) FROM kept")
        db.execute("CREATE VIEW passages AS SELECT unnest(passages).language AS language FROM kept")

        def by(name: str, what: str, where: str) -> dict[str, int]:
            sql = f"SELECT {name}, {what} FROM {where} GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608
            return {str(key): int(number) for key, number in db.sql(sql).fetchall()}

        documents, touched = db.sql(
            "SELECT count(*), count(*) FILTER (len(edits) > 0) FROM kept"
        ).fetchall()[0]
        language = "coalesce(language, 'unknown')"
        return {
            "documents": documents,
            "touched": touched,
            "left_out": by("reason", "count(*)", f"t WHERE status = '{LEFT_OUT}'"),
            "removals": by("reason", "count(*)", "edits"),
            "removed_characters": by("reason", "sum(length(removed))", "edits"),
            "by_language": by(language, "count(*)", "kept"),
            "passages_by_language": by(language, "count(*)", "passages"),
        }
